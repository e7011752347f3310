"""An MCP server that misbehaves in one way: nasty_server.py MODE. Older revisions (with initialize), on standard input."""
import json
import os
import subprocess
import sys
import time

mode = sys.argv[1]
out = sys.stdout.buffer


def say(**message):
    out.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
    out.flush()


def text(s):
    return {"content": [{"type": "text", "text": s}]}


def call(i, name):
    if mode == "slow":
        time.sleep(60)
    elif mode == "crash":
        os._exit(3)
    elif mode == "half":
        out.write(b'{"jsonrpc":"2.0","id":' + str(i).encode() + b',"result":{"con')
        out.flush()
        os._exit(0)
    elif mode == "rubbish":
        out.write(b"Starting up...\n\x00\xff\xfe\x80 not json\n[1,2\n{}\n{\"jsonrpc\":\"1.0\",\"id\":1}\n\n")
        say(id=i + 1000, result={})
        say(id="x", result={})
    elif mode == "burst":
        for n in range(20000):
            say(method="notifications/message", params={"level": "info", "data": "x" * 100, "n": n})
    elif mode == "flood":
        block = b"x" * (1 << 20)
        for _ in range(40):
            out.write(block)
        out.flush()
    elif mode == "grandchild":
        subprocess.Popen([sys.executable, "-c", "import time\nwhile True: time.sleep(1)", "wick-test-grandchild"])
    elif mode == "twice":
        say(id=i, result=text("first"))
    elif mode == "number":
        say(id=i, result=7)
        return
    elif mode == "no-content":
        say(id=i, result={"isError": False})
        return
    elif mode == "asks":
        for k in range(5):
            say(id=f"q{k}", method="sampling/createMessage", params={"messages": [], "maxTokens": 1})
        say(id="p", method="ping")
        say(id="u", method="no/such")
    elif mode == "alive":
        for _ in range(8):
            time.sleep(0.4)
            say(method="notifications/progress", params={"progressToken": name, "progress": 1})
    say(id=i, result=text("done"))


if mode == "mute":
    time.sleep(60)
if mode == "dead":
    sys.exit(1)
if mode == "stderr":
    sys.stderr.write("x" * (1 << 20))
if mode == "stays":
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
for line in sys.stdin:
    m = json.loads(line)
    i = m.get("id")
    if "method" not in m or i is None:
        continue
    if m["method"] == "initialize":
        say(id=i, result={"protocolVersion": "9999-01-01" if mode == "future" else "2025-06-18", "capabilities": {"tools": {}},
                          "serverInfo": {"name": "nasty", "version": "1"}})
        if mode == "deaf":
            time.sleep(60)
    elif m["method"] == "tools/list":
        if mode == "endless":
            say(id=i, result={"tools": [], "nextCursor": "again"})
        else:
            say(id=i, result={"tools": [{"name": "t", "inputSchema": {"type": "object"}}, {"noname": 1}, 5]})
    elif m["method"] == "tools/call":
        if mode == "env":
            say(id=i, result=text(json.dumps(dict(os.environ))))
        elif mode == "fds":
            say(id=i, result=text(json.dumps(sorted(int(f) for f in os.listdir("/proc/self/fd")))))
        else:
            call(i, m["params"]["name"])
    else:
        say(id=i, error={"code": -32601, "message": "Method not found"})
if mode == "stays":
    time.sleep(60)
