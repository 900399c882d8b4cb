#!/usr/bin/env python3
"""From writing a turn into a followed transcript to search finding it, and what importing a large history takes.

Usage: follow.py PATH_TO_CLONE [ROUNDS] [--import-mb MB] [--dir DIR] [--json FILE]

A turn with a word that stands nowhere else is appended to a session file of Claude Code, ROUNDS times (default 100), and
the clock runs from the return of the write until the search over the socket finds it. Then MB megabytes (default 250)
of synthetic sessions are imported, and the most memory that the importing process and the daemon ever had is told.
"""

import json
import os
import random
import resource
import subprocess
import sys
import time

import rig

GIVE_UP_SECONDS = 30
SEED = 6


def turn(number, text, session="bench", role="user"):
    minute, second = divmod(number, 60)
    record = {"type": role, "uuid": f"{session}-{number}", "sessionId": session, "cwd": "/bench",
              "timestamp": f"2026-05-05T{minute // 60 % 24:02}:{minute % 60:02}:{second:02}.000Z",
              "message": {"role": role, "content": text if role == "user" else [{"type": "text", "text": text}]}}
    return json.dumps(record) + "\n"


def word_of(number):
    return "qxv" + "".join(chr(ord("a") + (number // 26**place) % 26) for place in range(3)) + "q"


def latencies(daemon, path, rounds):
    client, feed, took, draw = daemon.client(), daemon.feed(), [], random.Random(SEED)
    for number in range(rounds):
        rig.out_of_step(client, draw)  # a person does not type in step with us
        word = word_of(number)
        with open(path, "a", encoding="utf-8") as file:
            file.write(turn(number, f"please look at {word} again", role="user" if number % 2 else "assistant"))
        began = time.perf_counter()
        if rig.found_within(client, feed, word, GIVE_UP_SECONDS):
            took.append(time.perf_counter() - began)
    return took, rounds - len(took)


def history(folder, megabytes):
    """Sessions of 5 MB with tool output between the turns, as real ones have."""
    os.makedirs(folder, exist_ok=True)
    words = [f"word{n}" for n in range(5000)]
    dice, written, session = random.Random(SEED), 0, 0
    while written < megabytes << 20:
        size, number = 0, 0
        with open(f"{folder}/h{session}.jsonl", "w", encoding="utf-8") as file:
            while size < 5 << 20:
                text = " ".join(dice.choices(words, k=60))
                size += file.write(turn(number, text, f"h{session}", "assistant"))
                size += file.write(turn(number + 1, " ".join(dice.choices(words, k=12)), f"h{session}"))
                result = [{"type": "tool_result", "tool_use_id": "t", "content": " ".join(dice.choices(words, k=1500))}]
                size += file.write(turn(number + 2, result, f"h{session}"))
                number += 3
        written, session = written + size, session + 1
    return written


def large(daemon, megabytes):
    folder = f"{daemon.home}/history"
    written = history(folder, megabytes)
    began = time.perf_counter()
    done = subprocess.run([daemon.binary, "--json", "import", "claude-code", folder], env=daemon.env, check=True,
                          capture_output=True, text=True)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"mb": written / 1e6, "seconds": seconds, "imported": json.loads(done.stdout)["imported"],
            "importer_peak_mb": peak, "daemon_peak_mb": daemon.memory()[1]}


def main():
    parser = rig.parser(__doc__, "rounds", 100)
    parser.add_argument("--import-mb", type=int, default=250)
    options = parser.parse_args()
    daemon = rig.Daemon(options.binary, options.dir)
    daemon.env["HOME"] = daemon.home
    path = f"{daemon.home}/.claude/projects/-bench/bench.jsonl"
    try:
        os.makedirs(os.path.dirname(path))
        daemon.start()
        subprocess.run([daemon.binary, "source", "follow", "claude-code"], env=daemon.env, check=True, capture_output=True)
        before = rig.load()
        took, lost = latencies(daemon, path, options.rounds)
        found = {"before": before, "turn_to_found": {"lost": lost, **rig.quantiles(took)}}
        if options.import_mb:
            found["import"] = large(daemon, options.import_mb)
    finally:
        daemon.remove()
    found["after"] = rig.load()
    print(f"from turn written to found; {found['before']} before, {found['after']} after")
    rig.row("", "p50", "p99", "worst")
    rig.latency_row(f"turn written to searchable, {lost} lost", found["turn_to_found"])
    if "import" in found:
        told = found["import"]
        rig.row(f"import of {told['mb']:.0f} MB, {told['imported']} events", f"{told['seconds']:.0f} s",
                f"{told['importer_peak_mb']:.0f} MB", f"{told['daemon_peak_mb']:.0f} MB")
    rig.keep(options, found)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
