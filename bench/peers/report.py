"""The ledger of run.py (peers.jsonl) as a table and a plot.

  report.py FOLDER        writes FOLDER/peers.md and FOLDER/peers.svg from the newest line of each model and test

A ratio is always "how many times better Wick is": speeds over the peer's, the peer's time or memory over Wick's."""
import json
import sys
from pathlib import Path

# Ratios to llama.cpp that Wick wants to reach, by test and figure; weights None: any.
GOALS = {("speed", "decode 1", "q4_k_m"): 1.3, ("speed", "decode 1", None): 1.5, ("speed", "prompt", "q4_k_m"): 2.5,
         ("speed", "prompt", None): 3.0, ("speed", "peak", None): 1.0, ("batch", "decode 8", None): 4.0, ("batch", "decode 32", None): 3.0,
         ("depth", "decode", None): 1.5, ("start", "first", None): 2.0, ("avx2", "decode", None): 1.2, ("avx2", "prompt", None): 1.5}
TITLES = {"speed": "", "batch": "", "depth": "", "start": "start to ", "avx2": "AVX2 only: ", "busy": "a busy thread beside: ", "mlx": ""}


def goal(test, what, weights):
    for (t, w, q), g in GOALS.items():
        if t == test and what.startswith(w) and q in (weights, None):
            return g
    return None


def newest(folder):
    """{(model, test): entry} of the ledger, in the order of the table."""
    out = {}
    for line in (folder / "peers.jsonl").read_text().splitlines():
        e = json.loads(line)
        for r in e["rows"]:
            out[r["model"], r["test"]] = e
    order = list(TITLES)
    return dict(sorted(out.items(), key=lambda item: (item[0][0], order.index(item[0][1]))))


def lower_is_better(what):
    return what.endswith((" s", "MiB"))


def comparisons(entry, test):
    """One dict for each figure of Wick that a peer has too: mlx4 and Q4_0 have the same bits a weight."""
    rows = [r for r in entry["rows"] if r["test"] == test]
    for r in rows:
        if r["program"] != "wick":
            continue
        against = ["q4_0", "mlx4"] if r["weights"] == "mlx4" else [r["weights"]]
        peer = next((p for w in against for p in rows if p["program"] != "wick" and p["weights"] == w and p["what"] == r["what"]), None)
        if not peer or not r["median"] or not peer["median"]:
            continue
        ratio = peer["median"] / r["median"] if lower_is_better(r["what"]) else r["median"] / peer["median"]
        share = None
        if r["what"] == "decode 1" and test == "speed":
            share = r["median"] * entry["bytes_per_token"][r["weights"]] / 1e9 / entry["read_gbs"]
        yield dict(model=r["model"], test=test, what=TITLES[test] + r["what"], weights=r["weights"], wick=r["median"], peer=peer["median"],
                   peer_name=peer["program"], ratio=ratio, share=share,
                   goal=goal(test, r["what"], r["weights"]) if peer["program"] == "llama.cpp" else None)


def table(entries):
    last = max(entries.values(), key=lambda e: e["time"])
    m, v = last["machine"], last["versions"]
    loads = [e[k] for e in entries.values() for k in ("load_before", "load_after")]
    reads = sorted(e["read_gbs"] for e in entries.values())
    out = ["# Wick beside its peers", "",
           f"{m['cpu']}, {m['cores']} cores, {last['threads']} threads ({m['device']}); read bandwidth {reads[0]:.1f} to {reads[-1]:.1f} GB/s; "
           f"load average {min(loads):.1f} to {max(loads):.1f}.",
           f"Wick {v['wick']} ({v['commit']}), {v['llama.cpp']}, mlx {v['mlx']}, mlx-lm {v['mlx-lm']}. Medians of "
           f"{min(e['rounds'] for e in entries.values())} or more rounds in turns (`make bench-peers`), tok/s but where a unit is given.", "",
           "Ratio: how many times better Wick is. mlx4 (affine, groups of 64) and Q4_0 have the same bits a weight: both are beside the peer's "
           "Q4_0. mlx-lm runs in float32.", "",
           "| model | figure | weights | Wick | peer | ratio | goal | of read bandwidth |", "|---|---|---|---|---|---|---|---|"]
    for (_, test), e in entries.items():
        for c in comparisons(e, test):
            out.append(f"| {c['model']} | {c['what']} | {c['weights']} | {c['wick']:.2f} | {c['peer']:.2f} {c['peer_name']} | "
                       f"**{c['ratio']:.2f}** | {c['goal'] or ''} | {'' if c['share'] is None else format(c['share'], '.0%')} |")
    return "\n".join(out) + "\n"


def plot(entries):
    """Bars of the ratios; a mark where the goal is, a line at 1."""
    bars = [c for (_, test), e in entries.items() for c in comparisons(e, test) if c["peer_name"] == "llama.cpp"]
    left, width, step, top = 330, 520, 17, 46
    most = max([4.0, *(c["ratio"] for c in bars), *(c["goal"] or 0 for c in bars)]) * 1.05

    def x(v):
        return left + width * v / most

    height = top + step * len(bars) + 30
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 60}" height="{height}" font-family="sans-serif" font-size="11">',
           '<rect width="100%" height="100%" fill="white"/>',
           '<text x="10" y="20" font-size="14">Wick over llama.cpp, times (red: the goal)</text>']
    for v in range(int(most) + 1):
        out.append(f'<line x1="{x(v):.1f}" y1="{top - 8}" x2="{x(v):.1f}" y2="{height - 22}" stroke="{"#444" if v == 1 else "#ddd"}"/>'
                   f'<text x="{x(v):.1f}" y="{height - 8}" text-anchor="middle">{v}</text>')
    for i, c in enumerate(bars):
        y = top + step * i
        label = f"{c['model']}  {c['what']}  {c['weights']}"
        out.append(f'<text x="{left - 6}" y="{y + 9}" text-anchor="end">{label}</text>'
                   f'<rect x="{left}" y="{y}" width="{x(c["ratio"]) - left:.1f}" height="11" fill="{"#4a7db5" if c["ratio"] >= 1 else "#c9a13b"}"/>'
                   f'<text x="{x(c["ratio"]) + 4:.1f}" y="{y + 9}">{c["ratio"]:.2f}</text>')
        if c["goal"]:
            out.append(f'<line x1="{x(c["goal"]):.1f}" y1="{y - 2}" x2="{x(c["goal"]):.1f}" y2="{y + 13}" stroke="#c0392b" stroke-width="2"/>')
    return "\n".join(out) + "\n</svg>\n"


def write(folder):
    entries = newest(folder)
    (folder / "peers.md").write_text(table(entries))
    (folder / "peers.svg").write_text(plot(entries))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
