"""What users of Ollama, llama.cpp, LM Studio and mlx-lm type first: it works, or the answer names the right command."""
import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest
from conftest import ROOT, clean_env, write_cycle_model
from test_cli_discover import Disk, gguf_bytes, ollama  # noqa: F401


@pytest.fixture
def home(tmp_path, cycle):
    """A home whose ~/models has the model `tiny`."""
    h = tmp_path / "home"
    shutil.copytree(cycle("abcd", ends=True), h / "models/tiny")
    return h


@pytest.fixture
def at(wick, home):
    return lambda *args, **kw: wick(*args, env=clean_env(home, **kw.pop("env", {})), cwd=home, **kw)


def answer(r):
    assert r.returncode == 0, r.stderr
    return r.stdout.strip()


@pytest.mark.parametrize("args", [
    ["generate", "-m", "tiny", "-p", "a", "--temperature", "0"],
    ["generate", "--model", "tiny", "--prompt", "a", "--temp", "0"],
    ["generate", "--model=tiny", "--prompt=a", "--temp=0", "--max-tokens", "3"],
    ["generate", "-hf", "tiny", "-p", "a", "--temp", "0", "-n", "-1"],
    ["generate", "-m", "tiny", "-p", "a", "--temp", "0", "--n-predict", "50", "-ngl", "99", "-c", "512", "-fa", "on", "--no-mmap", "-q"],
    ["generate", "-m", "tiny", "-p", "a", "--temp", "0", "--ctx-size", "512", "--repeat-penalty", "1.0", "--top_k", "3"],
    ["--temp", "0", "generate", "-m", "tiny", "-p", "a"],
    ["-q", "--temp", "0", "generate", "tiny", "a"],
])
def test_other_spellings(at, args):
    assert answer(at(*args)) == "bcd"


def test_what_does_nothing_is_said(at):
    r = at("generate", "tiny", "a", "--temp", "0", "-ngl", "99", "--mlock")
    assert answer(r) == "bcd" and "-ngl does nothing here: " in r.stderr and "--device" in r.stderr and "--mlock does nothing" in r.stderr
    assert at("generate", "tiny", "a", "--temp", "0", "-ngl", "99", "-q").stderr == ""


@pytest.mark.parametrize("typed,says", [
    (["push", "x"], "hf upload"), (["search", "x"], "wick pull"), (["create", "x", "-f", "Modelfile"], "wick cp"), (["lst"], "wick list"),
    (["pul", "x"], "wick pull"), (["remvoe"], "wick rm"), (["lgoin"], "wick login"), (["run", "m", "--temprature", "1"], "--temp"),
    (["run", "m", "--port", "1"], "wick serve has it"), (["serve", "m", "--prot", "1"], "--port"), (["run", "m", "--contxt", "1"], "--ctx"),
    (["run", "m", "-c", "99999999999"], "from 0 to 16777216"), (["run", "m", "--ctx", "16777217"], "from 0 to 16777216"),
    (["run", "-m", "a", "-m", "b"], "given twice"), (["generate", "m", "-p"], "needs a value"),
])
def test_answered_by_the_right_word(at, typed, says):
    r = at(*typed)
    assert r.returncode == 2 and says in r.stderr and r.stderr.count("\n") == 1, r.stderr


def test_list(at, home):
    (home / "models/x-Q4_K_M.gguf").write_bytes(gguf_bytes())
    for name in ("list", "ls"):
        lines = answer(at(name)).splitlines()
        assert re.match(r"NAME +SIZE +FORMAT +QUANT +USED +WHERE", lines[0]) and len(lines) == 3, lines
    assert re.search(r"^tiny +.* [KM]iB +safetensors +- +(now|[0-9]+ minutes? ago) +models$", answer(at("ls", "TIN")), re.M)
    assert answer(at("list", "--names")).splitlines() == ["tiny", "x-Q4_K_M.gguf"]
    [m] = json.loads(answer(at("ls", "tiny", "--json")))["models"]
    assert m["name"] == "tiny" and m["bytes"] > 1000 and abs(m["used"] - time.time()) < 600
    os.utime(home / "models/x-Q4_K_M.gguf", (time.time() - 3 * 86400,) * 2)
    assert "3 days ago" in answer(at("ls", "x-q4"))


def test_show(at, home):
    text = answer(at("show", "tiny"))
    assert "context length           4096" in text and "architecture             llama" in text
    assert answer(at("show", "tiny", "--template")).startswith("{% for m in messages %}")
    r = at("show", "tiny", "--license")
    assert r.returncode == 2 and "no license" in r.stderr
    (home / "models/tiny/LICENSE.txt").write_text("Do as you like.\n")
    assert answer(at("show", "tiny", "--license")) == "Do as you like."
    (home / "models/tiny/generation_config.json").write_text('{"temperature": 0.5}')
    assert re.search(r"temperature +0\.5", answer(at("show", "tiny", "--parameters")))
    assert json.loads(answer(at("show", "tiny", "--json")))["parameters"] == {"temperature": 0.5}


def test_cp(at, home):
    answer(at("cp", "tiny", "mine"))
    assert answer(at("generate", "mine", "a", "--temp", "0")) == "bcd"
    assert (home / "models/mine").is_symlink()
    for bad in ("a/b", "../x", "", "-x"):
        assert at("cp", "--", "tiny", bad).returncode == 2
    assert "there already" in at("cp", "tiny", "mine").stderr


def test_doctor(at, home):
    text = answer(at("doctor"))
    for word in ("processor", "memory", "backend", "models", "downloads", "hub", "packed weights"):
        assert re.search(rf"^(ok|note|bad) +{word}", text, re.M), word
    token = home / ".cache/huggingface/token"
    token.parent.mkdir(parents=True)
    token.write_text("hf_secret")
    token.chmod(0o644)
    out = json.loads(answer(at("doctor", "--json")))
    assert out["bad"] == 1 and any("read the token" in c["text"] for c in out["checks"]) and "hf_secret" not in json.dumps(out)


JSON_ERRORS = [(["nonsense"], 2, "bad parameter"), (["run", "no-such-model", "x"], 3, "model not found"), (["list", "--nope"], 2, "bad parameter"),
               (["pull", "x"], 2, "bad parameter"), (["pull", "org/x"], 3, "model not found"), (["rm", "tiny", "--force"], 14, None),
               (["inspect", "/etc/hostname"], 4, None), (["ps", "--url", "http://127.0.0.1:9"], 9, None), (["serve"], 2, None), (["generate", "tiny"], 2, None)]


@pytest.mark.parametrize("args,code,kind", JSON_ERRORS, ids=lambda a: a[0] if isinstance(a, list) else None)
def test_errors_are_json(at, args, code, kind):
    r = at(*args, "--json")
    assert r.returncode == code, r.stderr
    e = json.loads(r.stdout)["error"]
    assert r.stderr == f"wick: {e['message']}\n", "the line is for people and for scripts that read it"
    assert set(e) == {"kind", "message", "remedy"} and all(e.values()) and r.stdout.count("\n") == 1
    assert kind is None or e["kind"] == kind
    assert at(*args).stderr == f"wick: {e['message']}\n", "the text is the same without --json"


def test_server_commands(wick, at, home):
    env = clean_env(home)
    p = subprocess.Popen([wick.path, "serve", "tiny", "--port", "0"], env=env, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        url = re.search(r"http://\S+?(?=/v1)", p.stdout.readline())[0]
        rows = json.loads(answer(at("ps", "--json", "--url", url)))["models"]
        assert [m["id"] for m in rows] == ["tiny"]
        assert re.search(r"^tiny +ready +cpu", answer(at("ps", "--url", url)), re.M)
        for client, line in (("aider", f"export OPENAI_API_BASE={url}/v1"), ("claude-code", f"export ANTHROPIC_BASE_URL={url}"),
                             ("open-webui", f"export OPENAI_API_BASE_URL={url}/v1"), ("codex", f'base_url = "{url}/v1"'), ("continue", f"apiBase: {url}/v1")):
            r = at("launch", client, "--url", url)
            assert line in answer(r).splitlines() or line in r.stdout and "tiny" in r.stdout + r.stderr
        answer(at("launch", "codex", "--write", "--url", url))
        assert 'model = "tiny"' in (home / ".codex/config.toml").read_text()
        assert "not changed" in at("launch", "codex", "--write", "--url", url).stderr
        answer(at("stop", "tiny", "--url", url))
        for _ in range(100):
            if json.loads(answer(at("ps", "--json", "--url", url)))["models"] == []:
                break
            time.sleep(0.05)
        else:
            raise AssertionError("the model is still loaded")
        answer(at("stop", "--url", url))
        assert p.wait(timeout=20) == 0
    finally:
        p.kill()
    r = at("launch", "aider", "--url", url)
    assert r.returncode == 2 and "starts one" in r.stderr
    assert "claude-code, codex" in at("launch", "emacs").stderr


def test_launch_starts_a_server(wick, at, home):
    import socket
    with socket.socket() as s:  # the default port must be free: launch uses it
        if s.connect_ex(("127.0.0.1", 11535)) == 0:
            pytest.skip("a server runs on the default port")
    r = at("launch", "aider", "tiny")
    try:
        assert "export OPENAI_API_BASE=http://127.0.0.1:11535/v1" in answer(r) and "openai/tiny" in r.stderr
    finally:
        pid = re.search(r"process (\d+)", r.stderr)
        if pid:
            os.kill(int(pid[1]), signal.SIGTERM)
    assert (home / ".local/state/wick/server.log").exists()


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
def test_completion_offers_models(wick, home):
    script = answer(wick("completions", "bash")) + '\nCOMP_WORDS=(wick run ti); COMP_CWORD=2; _wick; echo "${COMPREPLY[@]}"\n'
    path = f"{os.path.dirname(wick.path)}:{os.environ['PATH']}"
    r = subprocess.run(["bash", "-c", script], env=clean_env(home, PATH=path), cwd=home, capture_output=True, text=True)
    assert r.stdout.split() == ["tiny"], r.stderr


def test_the_table_of_the_docs(at):
    """Every Wick command of docs/COMING_FROM.md exists, and its options do."""
    text = (ROOT / "docs/COMING_FROM.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) >= 40
    help_of = {}
    for row in rows:
        for command in re.findall(r"`wick ([^`]+)`", row.split("|")[2]):
            words = command.split()
            if words[0] not in help_of:
                help_of[words[0]] = answer(at(words[0], "--help"))
            for option in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", command)) - {"--model", "--prompt"}:  # of every command with operands
                assert option in help_of[words[0]], f"{command}: {option}"
