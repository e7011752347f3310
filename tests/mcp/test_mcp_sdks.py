"""Clients and servers that others made: the `mcp` package of PyPI and the TypeScript SDK of npm, on both transports."""
import asyncio
import json
import socket
import subprocess
import time

import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.types import ElicitResult
from mcp_common import EVERYTHING, HERE, everything, node, outcome, python, use


async def drive(target, mode):
    seen = []

    async def elicit(context, params):
        return ElicitResult(action="accept", content={"username": "ada", "email": "a@b.c", "name": "ada"})

    async def progress(done, total, message):
        seen.append((done, total))

    async with Client(target, mode=mode, elicitation_callback=elicit) as c:
        tools = await c.list_tools()
        assert "test_simple_text" in [t.name for t in tools.tools]
        r = await c.call_tool("test_simple_text", {})
        assert r.content[0].text == "This is a simple text response for testing."
        assert (await c.call_tool("test_error_handling", {})).is_error
        r = await c.call_tool("test_tool_with_progress", {}, progress_callback=progress)
        assert [d for d, _ in seen] == [0, 50, 100]
        r = await c.call_tool("test_elicitation", {"message": "say \"hi\"\n"})
        assert "accept" in r.content[0].text and "a@b.c" in r.content[0].text
        assert (await c.read_resource("test://template/7/data")).contents[0].text.startswith('{"id":"7"')
        p = await c.get_prompt("test_prompt_with_arguments", {"arg1": "a", "arg2": "b"})
        assert p.messages[0].content.text == "Prompt with arguments: arg1='a', arg2='b'"
        with pytest.raises(MCPError):
            await c.read_resource("test://nothing")
        many = await asyncio.gather(*(c.call_tool("test_tool_with_progress", {}) for _ in range(8)))
        assert all(m.content[0].text == "Reported progress." for m in many)
        return c.protocol_version


@pytest.mark.parametrize("mode,version", [("auto", "2026-07-28"), ("legacy", "2025-11-25")])
@pytest.mark.parametrize("transport", ["http", "stdio"])
def test_python_client(mode, version, transport):
    if transport == "stdio":
        got = asyncio.run(drive(StdioServerParameters(command=str(EVERYTHING)), mode))
    else:
        with everything() as url:
            got = asyncio.run(drive(url, mode))
    assert got == version


@pytest.mark.parametrize("transport", ["http", "stdio"])
def test_typescript_client(transport):
    exe, packages = node()
    run = [exe, HERE / "sdk_client.mjs", packages]
    if transport == "stdio":
        r = subprocess.run([*run, "--", EVERYTHING], capture_output=True, text=True, timeout=60, check=False)
    else:
        with everything() as url:
            r = subprocess.run([*run, url], capture_output=True, text=True, timeout=60, check=False)
    assert r.returncode == 0, r.stderr
    out = json.loads(r.stdout)
    assert out["text"].startswith("This is a simple") and out["error"] is True and out["progress"] == [0, 50, 100]
    assert "ada" in out["asked"] and '"id":"7"' in out["resource"] and "arg1='a'" in out["prompt"]


def check_sdk(lines, version):
    assert lines[0]["version"] == version
    assert [t["name"] for t in outcome(lines, "list", "tools")["result"]][0] == "add"
    assert outcome(lines, "call", "add")["result"]["content"][0]["text"] == "10"
    assert "hello to x" in json.dumps(outcome(lines, "prompts/get", "greet")["result"])


@pytest.mark.parametrize("version", ["2026-07-28", "2025-11-25", "2024-11-05"])
def test_python_server_on_stdio(version):
    lines, _ = use("--", *python("sdk_server.py"), env={"MCP_CONFORMANCE_PROTOCOL_VERSION": version})
    check_sdk(lines, version)
    assert outcome(lines, "call", "fail")["result"]["isError"] is True
    assert outcome(lines, "resources/read", "note://one")["result"]["contents"][0]["text"] == "the note"


@pytest.mark.parametrize("version", ["2026-07-28", "2025-11-25"])
def test_python_server_on_http(version):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    p = subprocess.Popen([*python("sdk_server.py"), str(port)], stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            time.sleep(0.1)
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) == 0:
                    break
        lines, _ = use(f"http://127.0.0.1:{port}/mcp", env={"MCP_CONFORMANCE_PROTOCOL_VERSION": version})
        check_sdk(lines, version)
    finally:
        p.terminate()
        p.wait(20)


def test_typescript_server_on_stdio():
    exe, packages = node()
    lines, _ = use("--", exe, HERE / "sdk_server.mjs", packages)
    check_sdk(lines, "2025-11-25")
