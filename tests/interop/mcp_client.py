#!/usr/bin/env python3
"""The MCP server as an official client sees it: the PyPI package `mcp`, over stdio and HTTP, against a real daemon.

Usage: mcp_client.py PATH_TO_CLONE [FOLDER_WITH_NODE_MODULES]

Makes a throwaway home, starts `clone daemon` in it and `clone mcp` through the client, lists the tools, calls every one
of them with real arguments, and looks at results and failures; over HTTP the daemon is restarted in the middle, after
IDLE_SECONDS of silence where the environment names some. With a folder
that has `@modelcontextprotocol/sdk` (npm) the official TypeScript client does the same. Everything is read off the wire names (`isError`,
`structuredContent`), so that both generations of the package will do.
"""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from importlib.metadata import version

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

WRITES = [
    "record_agent_prompt",
    "record_agent_response",
    "record_event",
    "start_session",
    "stop_session",
    "submit_feedback",
]
READS = [
    "get_prediction",
    "get_user_context",
    "list_predictions",
    "predict_continuation",
    "predict_next_prompt",
    "search_memory",
    "why",
]
READY_SECONDS = 60
CALL_SECONDS = 60
IDLE_SECONDS = int(os.environ.get("IDLE_SECONDS", "0"))

passed, failed = 0, []


def check(what, holds, seen=""):
    """One assertion; the run goes on, so that one failure does not hide the next."""
    global passed
    if holds:
        passed += 1
    else:
        failed.append(what)
        print(f"  FAILED  {what}  {seen}")


class Daemon:
    """`clone daemon` in a home of its own; ended by its own process id."""

    def __init__(self, binary, **more):
        self.home = tempfile.mkdtemp(prefix="clone-mcp-")  # 0700, and short: a socket path has room for 107 bytes
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("CLONE_")}
        self.env.update(CLONE_HOME=self.home, NO_COLOR="1", **more)
        self.binary = binary
        self.begin()

    def begin(self):
        self.child = subprocess.Popen(
            [self.binary, "daemon"], env=self.env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self.told, is_ready = [], threading.Event()

        def read():
            for line in self.child.stderr:
                self.told.append(line)
                if line.rstrip().endswith("ready"):
                    is_ready.set()
            is_ready.set()  # it ended

        threading.Thread(target=read, daemon=True).start()
        if not is_ready.wait(READY_SECONDS) or self.child.poll() is not None:
            self.end()
            sys.exit("the daemon did not start:\n" + "".join(self.told))

    def ask(self, *arguments):
        """What a verb prints, as JSON."""
        verb = [self.binary, "--json", *arguments]
        return json.loads(subprocess.run(verb, env=self.env, capture_output=True, text=True, check=True).stdout)

    def http(self):
        """The port of the HTTP door, and a key that may record."""
        return self.door(), self.ask("keys", "create", "--label", "interop")["key"]

    def door(self):
        """Waits until the HTTP door is open: it opens after everything derived is loaded."""
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until:
            url = self.ask("status")["http"]
            if url:
                return int(url.rsplit(":", 1)[1])
        sys.exit("the HTTP door stays shut")

    def restart(self):
        """Ends the daemon and starts it again in the same home; the port stays where one is named."""
        self.child.terminate()
        self.child.wait(timeout=READY_SECONDS)
        self.begin()
        self.door()

    def end(self):
        if self.child.poll() is None:
            self.child.terminate()
        code = self.child.wait(timeout=READY_SECONDS)
        shutil.rmtree(self.home, ignore_errors=True)
        return code


def free_port():
    """A port of loopback that nobody holds now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wire(model):
    """What was on the wire, whatever the package calls it in Python."""
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)


class Caller:
    """Calls tools and prints what went to and fro."""

    def __init__(self, session):
        self.session = session

    async def call(self, name, **arguments):
        """(isError, the JSON object); a result carries it twice, as text and structured."""
        result = wire(await asyncio.wait_for(self.session.call_tool(name, arguments), CALL_SECONDS))
        is_error = result.get("isError", False)
        body = json.loads(result["content"][0]["text"])
        print(f"  {'!' if is_error else ' '} {name} {short(arguments)}\n      -> {short(body)}")
        if not is_error:
            check(f"{name}: text and structured content agree", result.get("structuredContent") == body, result)
        return is_error, body

    async def good(self, name, **arguments):
        is_error, body = await self.call(name, **arguments)
        check(f"{name} works", not is_error, body)
        return body

    async def bad(self, why, name, **arguments):
        is_error, body = await self.call(name, **arguments)
        check(f"{name} refuses {why} with isError", is_error, body)
        check(f"{name} says why it refuses {why}", bool(body.get("error")), body)


def short(value):
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 150 else text[:147] + "..."


async def listing(session):
    tools = wire(await session.list_tools())["tools"]
    names = sorted(tool["name"] for tool in tools)
    print(f"tools/list -> {', '.join(names)}")
    check("the tools", names == sorted(READS + WRITES), names)
    for tool in tools:
        name, hints = tool["name"], tool.get("annotations", {})
        check(f"{name}: input schema", tool["inputSchema"].get("type") == "object")
        check(f"{name}: output schema", tool.get("outputSchema", {}).get("type") == "object")
        check(f"{name}: says what it is for", len(tool.get("description", "")) > 20)
        check(f"{name}: read-only or not", hints.get("readOnlyHint") == (name in READS), hints)
        check(f"{name}: destroys nothing", hints.get("destructiveHint") is False, hints)


async def recording(tools):
    """A session with three exchanges; returns its id."""
    session = (await tools.good("start_session", source="integration", source_detail="interop"))["session_id"]
    for asked, said in [
        ("add a test for the parser", "I added the test and it passes. Shall I run the whole suite?"),
        ("yes, run all tests", "All 214 tests pass. Shall I commit?"),
        ("yes, commit", "Committed as 3f2a1c9. What next?"),
    ]:
        sent = await tools.good("record_agent_prompt", session_id=session, agent="Claude Code", prompt=asked)
        check("a prompt has an event id", bool(sent.get("event_id")), sent)
        answer = await tools.good(
            "record_agent_response",
            session_id=session,
            agent="Claude Code",
            response=said,
            in_response_to=sent["event_id"],
        )
        check("a response belongs to its session", answer.get("session_id") == session, answer)
    # A real client sends fields and sources that no document names; they must not be refused.
    await tools.good("record_agent_prompt", session_id=session, agent="Loop", prompt="go", source="a-plugin", extra=1)
    return session


async def predicting(tools, session):
    question = {"agent": "Claude Code", "agent_input": "All tests pass. Shall I commit?", "session_id": session}
    answer = await tools.good("predict_next_prompt", k=3, threshold=0.6, **question)
    check("the threshold comes back", answer.get("threshold") == 0.6, answer)
    check("at most k candidates", len(answer.get("candidates", [])) <= 3, answer)
    is_auto = answer.get("confidence", 0) >= 0.6
    check("auto exactly when confidence reaches the threshold", (answer.get("status") == "auto") == is_auto, answer)
    check("a new home never answers by itself", answer.get("status") == "escalated", answer)
    bare = await tools.good("predict_next_prompt", agent="Claude Code", agent_input="Done.")
    check("the default threshold", bare.get("threshold") == 0.8, bare)
    goes_on = await tools.good("predict_continuation", threshold=0.7, **question)
    check("a continuation is a boolean", isinstance(goes_on.get("should_continue"), bool), goes_on)
    for status in ("accepted", "rejected"):
        judged = await tools.good("submit_feedback", prediction_id=answer["id"], status=status)
        check(f"{status} comes back", judged.get("status") == status, judged)
    edited = {"prediction_id": answer["id"], "status": "edited"}
    await tools.good("submit_feedback", actual_response="yes, and push", **edited)
    await tools.bad("an edit without words", "submit_feedback", **edited)


async def refusing(tools, session):
    await tools.bad("an id nobody gave", "submit_feedback", prediction_id="nobody", status="accepted")
    await tools.bad("a verdict nobody knows", "submit_feedback", prediction_id="x", status="perhaps")
    await tools.bad("a missing agent input", "predict_next_prompt", agent="Claude Code")
    await tools.bad("k = 0", "predict_next_prompt", agent="a", agent_input="Done.", k=0)
    await tools.bad("k = 11", "predict_next_prompt", agent="a", agent_input="Done.", k=11)
    await tools.bad("a threshold over 1", "predict_continuation", agent="a", agent_input="Done.", threshold=1.5)
    await tools.bad("a prompt of no agent", "record_agent_prompt", session_id=session, prompt="hello")
    await tools.bad("a response of no words", "record_agent_response", session_id=session, agent="a", response=None)
    await tools.bad("a stop of no session", "stop_session")
    try:
        result = wire(await tools.session.call_tool("no_such_tool", {}))
        check("an unknown tool is an error", result.get("isError") is True, result)
    except Exception as error:  # the class has another name in each generation of the package
        code = getattr(getattr(error, "error", None), "code", None)
        print(f"  ! no_such_tool {{}}\n      -> {type(error).__name__} {code}: {error}")
        check("an unknown tool is a protocol error", code == -32602, error)


async def recalling(tools, session):
    found = await tools.good("search_memory", query="tests", limit=3)
    check("what is found is fenced", bool(found.get("fence")) and "data" in found.get("notice", ""), found)
    await tools.good("get_user_context", max_facts=5)
    listed = await tools.good("list_predictions", limit=2, session_id=session)
    one = listed["predictions"][0]["id"]
    check("one prediction whole", (await tools.good("get_prediction", prediction_id=one)).get("id") == one)
    await tools.good("why", id=one)
    command = {"command": "ls", "cwd": "/", "exit_code": 0, "duration_ms": 3}
    recorded = await tools.good("record_event", type="terminal.command", session_id=session, source="cli", **command)
    check("any event has an id", bool(recorded.get("event_id")), recorded)


async def talk(session, name):
    hello = wire(await asyncio.wait_for(session.initialize(), CALL_SECONDS))
    print(f"{name}: initialize -> {short(hello['serverInfo'])}, protocol {hello['protocolVersion']}")
    check("the server is called clone", hello["serverInfo"]["name"] == "clone", hello)
    check("the server says how to use it", bool(hello.get("instructions")), hello)
    await listing(session)
    tools = Caller(session)
    recorded = await recording(tools)
    await predicting(tools, recorded)
    await recalling(tools, recorded)
    await refusing(tools, recorded)
    return tools, recorded


async def over_stdio(daemon):
    server = StdioServerParameters(command=daemon.binary, args=["mcp"], env=daemon.env)
    with open(os.devnull, "w", encoding="utf-8") as quiet:
        async with stdio_client(server, errlog=quiet) as (read, write), ClientSession(read, write) as session:
            tools, recorded = await talk(session, "stdio")
            await tools.good("stop_session", session_id=recorded)


async def over_http(daemon, port, key):
    client = create_mcp_http_client(headers={"X-Clone-API-Key": key})
    async with client, streamable_http_client(f"http://127.0.0.1:{port}/mcp", http_client=client) as streams:
        async with ClientSession(streams[0], streams[1]) as session:
            tools, recorded = await talk(session, "http")
            if IDLE_SECONDS:
                print(f"idle for {IDLE_SECONDS} s")
                await asyncio.sleep(IDLE_SECONDS)
                await tools.good("record_agent_prompt", session_id=recorded, agent="A", prompt="after a while")
            # The same session, with the daemon of before gone.
            await asyncio.to_thread(daemon.restart)
            await tools.good("stop_session", session_id=recorded)


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    binary = os.path.abspath(sys.argv[1])
    print(f"mcp {version('mcp')}, {binary}")
    daemon = Daemon(binary, CLONE_DAEMON_PORT=str(free_port()))
    try:
        port, key = daemon.http()
        asyncio.run(over_stdio(daemon))
        asyncio.run(over_http(daemon, port, key))
        if len(sys.argv) == 3:
            script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mcp_client.mjs")
            url = f"http://127.0.0.1:{port}/mcp"
            node = ["node", script, os.path.abspath(sys.argv[2]), binary, url, key]
            check("the TypeScript client passes", subprocess.run(node, env=daemon.env).returncode == 0)
        check("the daemon lives", daemon.child.poll() is None, "".join(daemon.told))
    finally:
        code = daemon.end()
    check("the daemon ends well", code == 0, code)
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
