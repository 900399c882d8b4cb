#!/usr/bin/env python3
"""What a hook costs: the whole process, with a daemon, without one, and a prompt of bash, zsh and fish.

Usage: hooks.py PATH_TO_CLONE [ROUNDS] [--dir DIR] [--json FILE]

An agent waits for its hook: measured from starting the process to its end, ROUNDS times (default 100), each with a
transcript of 1 MB beside it. A shell does not wait; what a prompt takes with and without the hook is measured by 50 empty
commands under a terminal, as the shell itself sees it.
"""

import json
import os
import pty
import select
import shutil
import subprocess
import sys
import time

import rig
from follow import turn

COMMANDS = 50
QUESTIONS = {"questions": [{"question": "Which?", "header": "Store", "multiSelect": False,
                            "options": [{"label": "A", "description": "a"}, {"label": "B", "description": "b"}]}]}


def run(daemon, call, agent="claude-code"):
    subprocess.run([daemon.binary, "hook", "run", agent], env=daemon.env, input=json.dumps(call).encode(), check=True)


def transcript(path):
    size, number = 0, 0
    with open(path, "w", encoding="utf-8") as file:
        while size < 1 << 20:
            size += file.write(turn(number, "some words " * 50, "hook", "assistant" if number % 2 else "user"))
            number += 1
    return number


def agent_hooks(daemon, rounds):
    path = f"{daemon.home}/hook.jsonl"
    number = transcript(path)
    base = {"session_id": "hook", "transcript_path": path, "cwd": "/bench", "permission_mode": "default"}

    def stop(i):
        with open(path, "a", encoding="utf-8") as file:
            file.write(turn(number + i, f"answer {i}", "hook", "assistant"))
        told = {"hook_event_name": "Stop", "stop_hook_active": False, "last_assistant_message": f"answer {i}"}
        run(daemon, {**base, **told})

    def timed(call, agent="claude-code"):
        return rig.quantiles(rig.timed(lambda _: run(daemon, call, agent), rounds))

    prompt = {**base, "hook_event_name": "UserPromptSubmit", "prompt": "go on"}
    asked = {**base, "hook_event_name": "PreToolUse", "tool_name": "AskUserQuestion", "tool_input": QUESTIONS}
    codex = {"session_id": "c", "turn_id": "t", "cwd": "/bench", "model": "m", "permission_mode": "default", "transcript_path": None}
    gemini = {"session_id": "g", "transcript_path": "", "cwd": "/bench", "timestamp": "2026-05-05T00:00:00Z"}
    run(daemon, prompt)  # the first one sends all of it
    found = {"SessionStart": timed({**base, "hook_event_name": "SessionStart", "source": "startup"}),
             "UserPromptSubmit": timed(prompt), "PreToolUse(AskUserQuestion)": timed(asked),
             "Stop": rig.quantiles(rig.timed(stop, rounds)),
             "SessionEnd": timed({**base, "hook_event_name": "SessionEnd", "reason": "exit"}),
             "Codex, no transcript": timed({**codex, "hook_event_name": "UserPromptSubmit", "prompt": "go on"}, "codex"),
             "Gemini, no transcript": timed({**gemini, "hook_event_name": "BeforeAgent", "prompt": "go on"}, "gemini")}
    daemon.end()
    found["no daemon"] = rig.quantiles(rig.timed(lambda _: run(daemon, prompt), rounds))
    daemon.start()
    return found


def typed(command, env, home):
    """Seconds for each of the empty commands under a terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(home)
        os.execvpe(command[0], command, env)
    took, seen = [], b""

    def until(mark):
        nonlocal seen
        while mark not in seen:
            ready, _, _ = select.select([terminal], [], [], 20)
            if not ready:
                raise RuntimeError(f"{command}: {seen[-300:]!r}")
            seen += os.read(terminal, 65536)
        seen = seen[seen.index(mark) + len(mark):]

    try:
        os.write(terminal, b"echo be''gin\n")
        until(b"begin")
        for number in range(COMMANDS):
            # The answer of a command comes after the prompt that the one before it brought.
            began = time.perf_counter()
            os.write(terminal, f"echo a''{number}z\n".encode())
            until(f"a{number}z".encode())
            took.append(time.perf_counter() - began)
        os.write(terminal, b"exit\n")
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)
    return took


def shells(daemon):
    found = {}
    for shell in ("bash", "zsh", "fish"):
        if not shutil.which(shell):
            found[shell] = None
            continue
        env = {**daemon.env, "TERM": "dumb", "PS1": "$ "}
        bare = typed([shell, "-i"], env, daemon.home)
        subprocess.run([daemon.binary, "hook", "install", shell], env=env, check=True, capture_output=True)
        hooked = typed([shell, "-i"], env, daemon.home)
        found[shell] = {"bare": rig.quantiles(bare), "hooked": rig.quantiles(hooked)}
    return found


def main():
    options = rig.parser(__doc__, "rounds", 100).parse_args()
    daemon = rig.Daemon(options.binary, options.dir)
    daemon.env["HOME"] = daemon.home
    try:
        daemon.start()
        found = {"before": rig.load(), "agent": agent_hooks(daemon, options.rounds), "shell": shells(daemon)}
    finally:
        daemon.remove()
    found["after"] = rig.load()
    print(f"hooks, process start included; {found['before']} before, {found['after']} after")
    rig.row("", "p50", "p99", "worst")
    for name, figures in found["agent"].items():
        rig.latency_row(name, figures)
    for name, figures in found["shell"].items():
        if figures is None:
            rig.row(f"{name}: not on this machine")
            continue
        rig.latency_row(f"{name}, a command without the hook", figures["bare"])
        rig.latency_row(f"{name}, a command with it", figures["hooked"])
    rig.keep(options, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
