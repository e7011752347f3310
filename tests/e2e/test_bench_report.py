"""The table and the plot of bench/peers: which figures are compared, which way a ratio points, the newest line wins."""
import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench/peers"))
import report  # noqa: E402


def entry(time, wick, peer):
    rows = [("wick", "mlx4", "decode 1", wick), ("wick", "q4_0", "decode 1", wick), ("llama.cpp", "q4_0", "decode 1", peer),
            ("wick", "q4_0", "peak MiB", 100.0), ("llama.cpp", "q4_0", "peak MiB", 150.0)]
    return dict(time=time, machine=dict(cpu="a cpu", cores=2, device="cpu"), threads=2, rounds=5, load_before=0.1, load_after=0.2,
                versions={"wick": "1", "commit": "abc", "llama.cpp": "x", "mlx": "y", "mlx-lm": "z"}, read_gbs=20.0,
                bytes_per_token={"mlx4": 10**9, "q4_0": 5 * 10**8},
                rows=[dict(model="m", test="speed", program=p, weights=w, what=what, median=v, samples=[v]) for p, w, what, v in rows])


def test_ratios_and_share_of_bandwidth(tmp_path):
    (tmp_path / "peers.jsonl").write_text("".join(json.dumps(e) + "\n" for e in (entry("1", 1.0, 99.0), entry("2", 15.0, 10.0))))
    report.write(tmp_path)
    lines = [line for line in (tmp_path / "peers.md").read_text().splitlines() if line.startswith("| m |")]
    assert lines == ["| m | decode 1 | mlx4 | 15.00 | 10.00 llama.cpp | **1.50** | 1.5 | 75% |",
                     "| m | decode 1 | q4_0 | 15.00 | 10.00 llama.cpp | **1.50** | 1.5 | 38% |",
                     "| m | peak MiB | q4_0 | 100.00 | 150.00 llama.cpp | **1.50** | 1.0 |  |"]
    svg = ET.parse(tmp_path / "peers.svg").getroot()
    assert sum(t.text == "1.50" for t in svg.iter("{http://www.w3.org/2000/svg}text")) == 3
