#!/usr/bin/env python3
"""From saving a note in the vault to search finding it, with three ways in which programs save.

Usage: edit.py PATH_TO_CLONE [ROUNDS] [--dir DIR] [--json FILE]

`sed -i` puts a new file in the place of the old one, a plain `open(path, "w")` empties it and writes again, vim moves
the old one aside. Each saves a word that stands nowhere else, ROUNDS times (default 30), and the clock runs until
the search over the socket finds it. It starts with the modification time of the saved file.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import time

import rig

GIVE_UP_SECONDS = 30
SEED = 11


def sed(path, old, new):
    subprocess.run(["sed", "-i", f"s/{old}/{new}/", path], check=True)


def truncate(path, old, new):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace(old, new))


def vim(path, old, new):
    program = shutil.which("vim") or shutil.which("vim.tiny") or shutil.which("vi")
    if not program:
        sys.exit("vim is missing: apt-get install vim-tiny")
    command = [program, "-u", "NONE", "-es", "-c", f"%s/{old}/{new}/", "-c", "wq", path]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def is_found(client, word):
    return rig.is_found(client, word, tier="fact")


def wait(client, feed, word, since):
    """The seconds from `since` (of the system clock) until the word is found; none when it never is."""
    return time.time() - since if rig.found_within(client, feed, word, GIVE_UP_SECONDS, tier="fact") else None


def word_of(number):
    """A word of letters that no text has."""
    return "qxz" + "".join(chr(ord("a") + (number // 26**place) % 26) for place in range(3)) + "q"


def rounds(doors, path, save, first, count, draw):
    """Saves a new word again and again; the seconds of each, and how many were never found."""
    took, lost, old = [], 0, word_of(first)
    for number in range(first + 1, first + 1 + count):
        rig.out_of_step(doors[0], draw)  # an editor does not save in step with us
        new = word_of(number)
        save(path, old, new)
        with open(path, encoding="utf-8") as file:
            if new not in file.read():
                raise RuntimeError(f"the save of `{new}` did not reach the file")
        seconds = wait(*doors, new, os.stat(path).st_mtime)
        if seconds is None:
            lost += 1
        else:
            took.append(seconds)
        old = new
    return took, lost


def measure(daemon, count):
    daemon.start()
    client, path, draw = daemon.client(), f"{daemon.vault}/facts/bench.md", random.Random(SEED)
    doors = client, daemon.feed()
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"I like the word {word_of(0)} in my notes.\n")
    created = wait(*doors, word_of(0), os.stat(path).st_mtime)
    found = {"before": rig.load(), "created_ms": None if created is None else 1000 * created, "saves": {}}
    first = 0
    for name, save in (("sed -i", sed), ("open('w')", truncate), ("vim -es", vim)):
        took, lost = rounds(doors, path, save, first, count, draw)
        first += count
        found["saves"][name] = {"lost": lost, **rig.quantiles(took)}
    old = [word_of(number) for number in range(first) if is_found(client, word_of(number))]
    facts = client.json("GET", "/api/memory/facts/?limit=200")
    found.update(after=rig.load(), old_words_found=len(old), facts=len(facts))
    return found


def main():
    options = rig.parser(__doc__, "rounds", 30).parse_args()
    daemon = rig.Daemon(options.binary, options.dir)
    try:
        found = measure(daemon, options.rounds)
    finally:
        daemon.remove()
    print(f"from save to found; {found['before']} before, {found['after']} after")
    rig.row("", "p50", "p99", "worst", "lost")
    for name, figures in found["saves"].items():
        rig.row(name, *rig.latencies(figures, 0), figures["lost"])
    rig.row("a new note of one sentence", "never" if found["created_ms"] is None else f"{found['created_ms']:.0f} ms")
    rig.row("old words still found, facts in the end", found["old_words_found"], found["facts"])
    if not rig.keep(options, found):
        print(json.dumps(found, indent=1))
    is_whole = found["old_words_found"] == 0 and not any(figures["lost"] for figures in found["saves"].values())
    return 0 if is_whole else 1


if __name__ == "__main__":
    sys.exit(main())
