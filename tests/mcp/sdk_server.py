"""A server made with the `mcp` package of PyPI: sdk_server.py (standard input) or sdk_server.py PORT."""
import sys

from mcp.server import MCPServer

server = MCPServer("sdk")


@server.tool()
def add(a: int, b: int) -> int:
    """Adds a and b."""
    return a + b


@server.tool()
def fail() -> str:
    """Always fails."""
    raise ValueError("no luck")


@server.resource("note://one")
def note() -> str:
    """A note."""
    return "the note"


@server.prompt()
def greet(name: str) -> str:
    """Greets."""
    return f"Say hello to {name}"


if len(sys.argv) > 1:
    server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
else:
    server.run()
