#!/usr/bin/env python3
"""The official MCP conformance scenarios (npm package `@modelcontextprotocol/conformance`) against `/mcp` of a real daemon.

Usage: conformance.py PATH_TO_CLONE FOLDER_WITH_NODE_MODULES

The scenarios know no credential, so a proxy on loopback adds the key and names the daemon's own host where the scenario named
the proxy's; any other Host or Origin goes on as it came. Scenarios that need fixture tools, prompts, resources or sampling do
not apply to a server that has none of them; each is listed with its reason, and an unexpected result either way fails.
"""

import http.client
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from mcp_client import Daemon  # the same throwaway daemon

APPLY = [
    "server-initialize",
    "ping",
    "tools-list",
    "dns-rebinding-protection",
    "server-sse-polling",
    "server-sse-multiple-streams",
    "resources-list",
    "prompts-list",
    "completion-complete",
]
NOT_APPLICABLE = {
    "tools-call": "needs the fixture tools `test_*`",
    "elicitation": "the server asks the client nothing",
    "sampling": "the server asks the client nothing",
    "logging": "the server declares no logging",
    "resources": "the server declares no resources",
    "prompts": "the server declares no prompts",
    "completion": "the server declares no completions",
    "json-schema": "needs the fixture tool `json_schema_2020_12_tool`",
}


def proxy(port, key):
    """A proxy to the daemon that adds the key."""

    class Relay(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def relay(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            own = f":{self.server.server_address[1]}"
            ours = ("localhost:", "127.0.0.1:", "http://localhost:", "http://127.0.0.1:")

            def swap(value):
                return value.replace(own, f":{port}") if value.startswith(ours) else value

            upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "keep-alive", "transfer-encoding", "content-length"):
                    upstream.putheader(name, swap(value) if name.lower() in ("host", "origin") else value)
            upstream.putheader("X-Clone-API-Key", key)
            upstream.putheader("Content-Length", str(len(body)))
            upstream.endheaders(body)
            answer = upstream.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = do_OPTIONS = relay

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request, client_address):
            if not isinstance(sys.exc_info()[1], ConnectionError):  # a scenario that hangs up is no news
                super().handle_error(request, client_address)

    server = Server(("127.0.0.1", 0), Relay)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def scenarios(node, tool):
    listed = subprocess.run([node, tool, "list", "--server"], capture_output=True, text=True, timeout=120).stdout
    names = (line.strip().lstrip("-• ").split(" ")[0].rstrip(":") for line in listed.splitlines())
    return [name for name in names if name and name == name.lower() and "-" in name or name == "ping"]


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    binary, folder = (os.path.abspath(path) for path in sys.argv[1:])
    node = os.path.join(folder, "node_modules/.bin/node")
    tool = os.path.join(folder, "node_modules/@modelcontextprotocol/conformance/dist/index.js")
    daemon = Daemon(binary, CLONE_DAEMON_PORT="0")
    passed, failed = 0, []
    try:
        server = proxy(*daemon.http())
        url = f"http://127.0.0.1:{server.server_address[1]}/mcp"
        known = scenarios(node, tool)
        for name in known:
            command = [node, tool, "server", "--url", url, "--scenario", name]
            run = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=daemon.home)
            good, reason = run.returncode == 0, next((why for part, why in NOT_APPLICABLE.items() if name.startswith(part)), None)
            applies = name in APPLY
            if good or applies or not reason:
                print(f"  {'passed' if good else 'FAILED':<15} {name}")
            else:
                print(f"  {'not applicable':<15} {name}: {reason}")
            passed += good
            if not good and (applies or not reason):
                failed.append(name)
                print(run.stdout[-2000:], run.stderr[-500:])
        missing = [name for name in APPLY if name not in known]
        if missing:
            failed.append(f"not offered: {missing}")
        server.shutdown()
    finally:
        daemon.end()
    print(f"{len(known)} scenarios: {passed} passed, unexpected: {failed or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
