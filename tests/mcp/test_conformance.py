"""The official conformance suite of the Model Context Protocol (npm), offline, on the server and the client of the library."""
import subprocess

import pytest
from mcp_common import CLIENT, everything, node

SUITE = "node_modules/@modelcontextprotocol/conformance/dist/index.js"
# Client scenarios that need no OAuth, which the client does not do: it takes tokens.
CLIENT_SCENARIOS = [("2025-11-25", s) for s in ("initialize", "tools_call", "elicitation-sep1034-client-defaults", "sse-retry")]
CLIENT_SCENARIOS += [("2026-07-28", s) for s in ("tools_call", "request-metadata", "sep-2322-client-request-state",
                                                 "http-standard-headers", "http-custom-headers", "http-invalid-tool-headers",
                                                 "json-schema-ref-no-deref")]


@pytest.mark.parametrize("revision,n_scenarios", [("2025-11-25", 30), ("2026-07-28", 37)])
def test_server(revision, n_scenarios, tmp_path):
    exe, folder = node()
    listed = subprocess.run([exe, folder / SUITE, "list", "--requirements", revision], capture_output=True, text=True, check=True)
    assert listed.stdout.split("Client scenarios")[0].count("  - ") == n_scenarios
    with everything() as url:
        r = subprocess.run([exe, folder / SUITE, "server", "--url", url, "--requirements", revision, "-o", tmp_path],
                           capture_output=True, text=True, timeout=300, check=False)
    failed = [line for line in r.stdout.splitlines() if line.startswith("✗") and "tasks-" not in line]
    assert r.returncode == 0 and not failed, r.stdout[-3000:]


@pytest.mark.parametrize("revision,scenario", CLIENT_SCENARIOS)
def test_client(revision, scenario, tmp_path):
    exe, folder = node()
    r = subprocess.run([exe, folder / SUITE, "client", "--command", CLIENT, "--scenario", scenario, "--spec-version", revision,
                        "-o", tmp_path], capture_output=True, text=True, timeout=120, check=False)
    assert r.returncode == 0, (r.stdout + r.stderr)[-3000:]
    assert "0 failed, 0 warnings" in r.stdout + r.stderr
