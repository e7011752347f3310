"""Every command: what --help teaches, how errors look, man pages, completions, and the text of the README."""
import json
import re
import shutil
import socket
import subprocess
import urllib.request

import pytest
from conftest import ROOT, clean_env, write_cycle_model

COMMANDS = ["run", "generate", "logits", "tokenize", "detokenize", "template", "inspect", "discover", "gpu-info", "bench", "completions", "grammar", "help"]
SAMPLING = ["--max-tokens", "--temp", "--top-k", "--top-p", "--min-p", "--typical-p", "--xtc-probability", "--xtc-threshold",
            "--dry-multiplier", "--dry-base", "--dry-allowed-length", "--dry-range", "--mirostat-tau", "--mirostat-eta", "--repetition-penalty",
            "--presence-penalty", "--frequency-penalty", "--logit-bias", "--seed", "--sampler-order", "--stop", "--ignore-eos", "--logprobs"]
MODEL = ["--backend", "--device", "--threads", "--precision", "--ctx", "--kv-type", "--prefill-chunk", "--memory-limit", "--chat-template",
         "--cpu-isa"]
OPTIONS = {"run": SAMPLING + MODEL + ["--system", "--file"], "generate": SAMPLING + MODEL + ["--file", "--tokens"],
           "logits": MODEL + ["--tokens", "--greedy"], "tokenize": ["--file", "--no-special"], "detokenize": ["--no-special"],
           "template": ["--messages", "--tools", "--vars"], "inspect": ["--tensors"], "discover": ["--format"], "gpu-info": [],
           "bench": MODEL + ["--prompt", "--gen", "--batch", "--depth", "--repetitions", "--csv"], "completions": [], "grammar": ["--schema", "--regex", "--gbnf", "--lark", "--text", "--batch", "--tokenizer"],
           "help": ["--man"]}


def options_in(text):
    return set(re.findall(r"^\s+(?:-\w, )?(--[a-z][a-z0-9-]*)", text, re.M))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches(wick, command):
    text = wick.ok(command, "--help").stdout
    assert text.startswith(f"Usage: wick {command}")
    assert {*OPTIONS[command], "--json", "--verbose", "--quiet", "--help"} <= options_in(text)
    assert all(len(line) < 160 for line in text.splitlines())
    described = re.findall(r"^\s+(?:-\w, )?--[a-z0-9-]+(?: \S+)?\s+(\S.*)$", text, re.M)
    assert len(described) == len(options_in(text)), "each option has a description"
    assert wick.ok(command, "-h").stdout == text == wick.ok("help", command).stdout
    if command != "help":
        assert "\nExamples\n" in text and f"wick {command}" in text.split("Examples")[1]


def test_help_options_are_accepted(wick):
    """Each option that help shows is known to the parser: what it then complains about is the value or the model."""
    for command in COMMANDS:
        for option in options_in(wick.ok(command, "--help").stdout) - {"--help"}:
            assert "unknown option" not in wick(command, option).stderr


def test_overview(wick):
    text = wick.ok("--help").stdout
    assert all(re.search(rf"^  {c} +\S", text, re.M) for c in COMMANDS)
    assert wick.ok("help").stdout == text
    none = wick()
    assert none.returncode == 2 and none.stderr == text
    assert re.fullmatch(r"wick \d+\.\d+\.\d+\S*\n", wick.ok("--version").stdout)


def test_did_you_mean(wick):
    assert 'did you mean "wick run"' in wick.fails(2, "rnu")
    assert 'did you mean "wick tokenize"' in wick.fails(2, "tokenise")
    assert "wick --help" in wick.fails(2, "qqqqqqqq")
    assert "did you mean --temp" in wick.fails(2, "run", "m", "hi", "--tmp", "3")
    assert "did you mean --max-tokens" in wick.fails(2, "run", "m", "--max-token=3")
    assert "wick run --help" in wick.fails(2, "run", "m", "--qqqqqqqq")
    assert "run" in wick.fails(2, "help", "rnu")


@pytest.mark.parametrize("args,name", [
    (["--temp", "x"], "--temp"), (["--temp", "-1"], "--temp"), (["--temp", "nan"], "--temp"), (["--temp", "1e400"], "--temp"),
    (["--top-p", "1.5"], "--top-p"), (["--top-k", "-1"], "--top-k"), (["--top-k", "4294967296"], "--top-k"), (["--top-k", "1.5"], "--top-k"),
    (["--seed", "x"], "--seed"), (["--seed", "99999999999999999999"], "--seed"), (["--precision", "very"], "fast|fine|exact"),
    (["--kv-type", "q3"], "q8_0"), (["--sampler-order", "random"], "default|mlx|llama"), (["--backend", "cuda"], "auto|cpu|mlx"),
    (["--memory-limit", "lots"], "512M"), (["--logprobs", "21"], "20"), (["--json=1"], "takes no value"), (["--temp"], "needs a value"),
    (["--logit-bias", "x=1"], "ID=NUMBER"), (["--logit-bias", "5"], "ID=NUMBER"), (["--stop", ""], "stop"), (["--threads", "0x2"], "--threads"),
    (["--min-keep", "1001"], "--min-keep"), (["--cpu-isa", "mmx"], "portable"), (["extra"], "too many"),
])
def test_bad_parameter(wick, cycle, args, name):
    assert name in wick.fails(2, "generate", cycle("ab"), "a", *args)


@pytest.mark.parametrize("command", ["run", "generate", "logits", "tokenize", "detokenize", "inspect", "bench", "completions"])
def test_missing_operand(wick, command):
    assert "usage: wick " + command in wick.fails(2, command)


def test_single_commands_bad_parameter(wick, cycle):
    m = cycle("ab")
    assert "--tokens" in wick.fails(2, "logits", m)
    assert "--tokens" in wick.fails(2, "logits", m, "--tokens", "1,x")
    assert "--tokens" in wick.fails(2, "logits", m, "--tokens", " , ")
    assert "260" in wick.fails(2, "logits", m, "--tokens", "1,260")
    assert "99999" in wick.fails(2, "detokenize", m, "99999")
    assert "--messages" in wick.fails(2, "template", m)
    assert "npz|gguf|safetensors" in wick.fails(2, "discover", "--format", "onnx")
    assert "-p" in wick.fails(2, "bench", m, "-p", "16,x")
    assert "-b" in wick.fails(2, "bench", m, "-b", "0")
    assert "bash, zsh, fish" in wick.fails(2, "completions", "tcsh")
    assert "empty" in wick.fails(2, "generate", m, "")
    assert "JSON" in wick.fails(2, "run", m, "hi", "--chat-template-kwargs", "[1]")


MODEL_COMMANDS = [["run", "M", "hi"], ["generate", "M", "hi"], ["logits", "M", "--tokens", "1"], ["tokenize", "M", "hi"], ["detokenize", "M", "1"],
                  ["template", "M", "--messages", "[]"], ["inspect", "M"], ["bench", "M"]]


@pytest.mark.parametrize("args", MODEL_COMMANDS, ids=lambda a: a[0])
def test_model_not_found(wick, args, tmp_path):
    for name in ("no/such/model", "/no/such", "x.gguf"):
        line = wick.fails(3, *[name if a == "M" else a for a in args], cwd=tmp_path)
        assert name in line


@pytest.mark.parametrize("args", [a for a in MODEL_COMMANDS if a[0] not in ("template",)], ids=lambda a: a[0])
def test_unsupported_format(wick, args, tmp_path):
    (tmp_path / "notes.txt").write_text("these are no weights, at any length that one may choose to look at\n" * 3)
    line = wick.fails(4, *["notes.txt" if a == "M" else a for a in args], cwd=tmp_path)
    assert "notes.txt" in line and "expected" in line and "got" in line


@pytest.mark.parametrize("args", [a for a in MODEL_COMMANDS if a[0] in ("run", "generate", "logits", "inspect", "bench")], ids=lambda a: a[0])
def test_bad_file(wick, args, tmp_path):
    m = write_cycle_model(tmp_path / "cut", "ab")
    data = (m / "model.safetensors").read_bytes()
    (m / "model.safetensors").write_bytes(data[: len(data) // 2])
    r = wick(*[m if a == "M" else a for a in args])
    assert r.returncode == 5 and r.stderr.count("\n") == 1 and "model.safetensors" in r.stderr


def test_unknown_architecture_is_unsupported(wick, tmp_path):
    m = write_cycle_model(tmp_path / "m", "ab")
    config = json.loads((m / "config.json").read_text())
    config["model_type"] = "lliama"
    (m / "config.json").write_text(json.dumps(config))
    assert "lliama" in (line := wick.fails(4, "run", m, "hi")) and "nearest known: llama" in line
    r = wick("inspect", m)
    assert r.returncode == 4 and "lliama" in r.stdout and "lliama" in r.stderr


def test_device_not_available(wick, cycle):
    assert "gpu" in wick.fails(6, "run", cycle("ab"), "hi", "--backend", "cpu", "--device", "gpu")


def test_tokenizer_mismatch(wick, tmp_path):
    """A token that the model has no row for: both sizes are named."""
    m = write_cycle_model(tmp_path / "m", "ab")
    tok = json.loads((m / "tokenizer.json").read_text())
    tok["model"]["vocab"].update({f"extra{i}": 300 + i for i in range(700)})
    (m / "tokenizer.json").write_text(json.dumps(tok))
    line = wick.fails(7, "run", m, "hi")
    assert "260" in line and "1000" in line
    wick.ok("logits", m, "--tokens", "1", "--json")  # needs no tokenizer


def test_out_of_memory(wick, cycle):
    line = wick.fails(8, "run", cycle("ab"), "hi", "--memory-limit", "1M")
    assert "needed" in line and "available" in line and "MiB" in line


def test_no_tokenizer(wick, tmp_path):
    m = write_cycle_model(tmp_path / "m", "ab")
    for f in ("tokenizer.json", "tokenizer_config.json"):
        (m / f).unlink()
    r = wick("run", m, "hi")
    assert r.returncode != 0 and "tokenizer" in r.stderr
    assert wick.json("logits", m, "--tokens", "97,98", "--greedy", "2")["tokens"] == [97, 98]


def test_closed_pipe_is_an_error_and_no_crash(wick, cycle):
    r = subprocess.run(["sh", "-c", '"$0" generate "$1" a -n 2000 --temp 0 >/dev/full', wick.path, cycle("ab")], capture_output=True, text=True,
                       env=clean_env(wick.home))
    assert r.returncode == 9 and r.stderr.count("\n") == 1 and "standard output" in r.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_name_everything(wick, shell):
    script = wick.ok("completions", shell).stdout
    for command in COMMANDS:
        assert command in script
        for option in OPTIONS[command]:
            assert (f"-l {option[2:]}" if shell == "fish" else option) in script
    if shell == "fish":
        for line in script.splitlines():
            assert line.startswith("#") or line.startswith("complete -c wick "), line
            assert line.replace("\\'", "").count("'") % 2 == 0
    if shell == "zsh":
        assert script.startswith("#compdef wick\n")
    if shutil.which(shell):
        r = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True)
        assert r.returncode == 0 and not r.stderr


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
@pytest.mark.parametrize("words,wanted,unwanted", [
    (["wick", "in"], {"inspect"}, {"run"}), (["wick", ""], {*COMMANDS}, {"--json"}), (["wick", "bench", "--rep"], {"--repetitions"}, {"--json"}),
    (["wick", "run", "--precision", ""], {"exact", "fast"}, {"--json"}), (["wick", "discover", "--format", "g"], {"gguf"}, {"npz"}),
    (["wick", "run", "--"], {"--temp", "--backend"}, {"--csv"}), (["wick", "run", ""], {"a model"}, {"--temp"}),
    (["wick", "generate", "m", "--file", ""], {"a model"}, {"--temp"}), (["wick", "run", "--json", ""], {"a model"}, {"--temp"}),
    (["wick", "completions", ""], {"bash", "zsh", "fish"}, set()), (["wick", "help", "b"], {"bench"}, {"run"}),
])
def test_bash_completes(wick, tmp_path, words, wanted, unwanted):
    (tmp_path / "wick.bash").write_text(wick.ok("completions", "bash").stdout)
    (tmp_path / "d").mkdir()
    (tmp_path / "d/a model").write_text("")
    script = 'source ../wick.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _wick; printf "%s\\n" "${COMPREPLY[@]}"'
    r = subprocess.run(["bash", "-c", script, "-", *words], cwd=tmp_path / "d", capture_output=True, text=True)
    got = set(r.stdout.splitlines())
    assert not r.stderr and wanted <= got and not unwanted & got, got


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_man_page(wick, command):
    page = wick.ok(*(["help"] + ([command] if command else []) + ["--man"])).stdout
    assert page.startswith(".TH ") and ".SH NAME" in page
    plain = page.replace("\\-", "-").replace("\\fI", "").replace("\\fR", "")
    for option in OPTIONS.get(command, []):
        assert option in plain
    if shutil.which("mandoc"):
        r = subprocess.run(["mandoc", "-T", "lint", "-W", "warning"], input=page, capture_output=True, text=True)
        left = [line for line in r.stdout.splitlines() if "missing date" not in line]
        assert not left, "\n".join(left)


def test_options_from_the_environment(wick, cycle):
    env = clean_env(wick.home, WICK_BACKEND="nonsense")
    r = wick("run", cycle("ab"), "hi", env=env)
    assert r.returncode == 2 and "WICK_BACKEND" in r.stderr
    env = clean_env(wick.home, WICK_CPU="portable", WICK_THREADS="1")
    r = wick.ok("generate", cycle("ab"), "a", "-n", 2, "-v", env=env)
    assert "portable" in r.stderr and "1 thread" in r.stderr


def test_option_spellings(wick, cycle):
    say = lambda *a: wick.ok("generate", cycle("abc"), *a, "--temp", "0").stdout
    want = "bcab\n"
    assert [say("a", "-n", "4"), say("a", "-n4"), say("a", "--max-tokens=4"), say("--max-tokens", "4", "a"), say("a", "-qn4")] == [want] * 5
    assert wick.ok("generate", "--temp", "0", "-n4", "--", cycle("abc"), "-a").stdout == want
    assert wick.ok("generate", cycle("abc"), "a", "-vqn4", "--temp=0").stdout == want


def serves_until_asked_to_stop(line, cwd, env):
    """The line with a free port: it says its address, answers there, and ends with 0 on SIGTERM."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(["sh", "-c", f"exec {line} --port {port}"], cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert f"http://127.0.0.1:{port}/v1" in server.stdout.readline()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=20) as answer:
            assert json.load(answer)["data"][0]["id"] == "wick-shell"
        server.terminate()
        assert server.wait(20) == 0
    finally:
        server.kill()


def test_readme_commands(wick, shell_model, tmp_path):
    """Each `wick` line of the README runs as it is written, with a model in place of MODEL and model.gguf."""
    block = re.search(r"## What people do\n+```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.S)[1]
    lines = [line.split("  #")[0].strip() for line in block.splitlines() if line.strip()]
    assert len(lines) >= 6
    (tmp_path / "models").symlink_to(ROOT / "models")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/wick").symlink_to(wick.path)
    env = clean_env(wick.home)
    env["PATH"] = f"{tmp_path / 'bin'}:{env['PATH']}"
    for line in lines:
        line = line.replace("MODEL", "models/wick-shell").replace("model.gguf", "models/wick-shell")
        line += " -r 1" if " bench " in line else ""
        if " serve " in line:
            serves_until_asked_to_stop(line, tmp_path, env)
            continue
        r = subprocess.run(["sh", "-c", line], cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        if " pull " in line:  # tests make no requests: tests/e2e/test_hub.py has a hub of its own
            assert r.returncode == 3 and "HF_HUB_OFFLINE" in r.stderr
            continue
        if " sh --check " in line:  # the exit code is the level
            assert r.returncode == 3 and r.stdout.startswith("critical"), line
            continue
        assert r.returncode == 0 and r.stdout, f"{line}: {r.stderr}"


def test_readme_links_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text()):
        assert "://" in target or (ROOT / target).exists(), target
