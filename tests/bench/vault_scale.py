#!/usr/bin/env python3
"""A vault of many notes: first look, a look at nothing new, everything touched, another branch, one edit.

Usage: vault_scale.py PATH_TO_CLONE [NOTES] [--edits N] [--watches N] [--dir DIR] [--json FILE]

Writes NOTES notes of about a kilobyte (default 100000) into `facts/`, a thousand to a folder, and asks the daemon to
derive everything (`sync`) after each step. `git` really checks out the other branch: on it every folder has another name
and every twentieth note another text. The floor beside each look is a plain walk with `stat` over the same files.
`--watches` lowers the limit of inotify watches, in a user namespace of its own: the daemon must then look by itself.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import time

import rig
import speed

NOTES_IN_FOLDER = 1000
BODY_BYTES = 900
CHANGED_ONE_IN = 20
SEED = 13
GIVE_UP_SECONDS = 120


def path_of(vault, number):
    return f"{vault}/facts/f{number // NOTES_IN_FOLDER:03}/n{number:06}.md"


def fill(vault, count, words):
    for number in range(count):
        path = path_of(vault, number)
        if number % NOTES_IN_FOLDER == 0:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"I keep the thing {name(number)} in mind.\n\n{words.text(BODY_BYTES, BODY_BYTES + 100)}\n")


def name(number):
    """A word that only this note has."""
    return "qz" + "".join(chr(ord("a") + number // 26**place % 26) for place in range(4)) + "z"


def walk(vault):
    """The seconds that a plain walk with `stat` takes."""
    began = time.perf_counter()
    for folder, _, files in os.walk(vault):
        if ".git" not in folder:
            for file in files:
                os.lstat(f"{folder}/{file}")
    return time.perf_counter() - began


def touch(vault):
    for folder, _, files in os.walk(f"{vault}/facts"):
        for file in files:
            os.utime(f"{folder}/{file}")


def git(vault, *arguments):
    subprocess.run(["git", "-C", vault, "-c", "user.name=x", "-c", "user.email=x@x", *arguments], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def branch(vault, count):
    """Makes the other branch and goes back to the first."""
    git(vault, "init", "-q", "-b", "one")
    git(vault, "config", "gc.auto", "0")
    git(vault, "add", "facts")
    git(vault, "commit", "-qm", "one")
    git(vault, "checkout", "-qb", "other")
    for folder in range((count + NOTES_IN_FOLDER - 1) // NOTES_IN_FOLDER):
        os.rename(f"{vault}/facts/f{folder:03}", f"{vault}/facts/g{folder:03}")
    for number in range(0, count, CHANGED_ONE_IN):
        with open(path_of(vault, number).replace("/facts/f", "/facts/g"), "a", encoding="utf-8") as file:
            file.write("Another branch says more.\n")
    git(vault, "add", "-A", "facts")
    git(vault, "commit", "-qm", "other")
    git(vault, "checkout", "-q", "one")


def is_found(client, word):
    return rig.is_found(client, word, tier="fact")


def edit(daemon, client, count, edits):
    """From saving a note to finding what it says, again and again."""
    feed, draw, took, lost = daemon.feed(), random.Random(SEED), [], 0
    for _ in range(edits):
        word = "xq" + "".join(draw.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(8))
        rig.out_of_step(client, draw)  # an editor does not save in step with us
        with open(path_of(daemon.vault, draw.randrange(count)), "a", encoding="utf-8") as file:
            file.write(f"And {word}.\n")
        began = time.perf_counter()
        lost += not rig.found_within(client, feed, word, GIVE_UP_SECONDS, tier="fact")
        took.append(time.perf_counter() - began)
    return {**rig.quantiles(took), "lost": lost}


class Steps:
    """Steps, each told with the seconds until everything is derived and the memory then."""

    def __init__(self, daemon, client):
        self.daemon, self.client, self.figures = daemon, client, {}
        rig.row("", "seconds", "walk alone", "RSS MB", "most MB")

    def step(self, what, act=lambda: None):
        act()
        floor, began = walk(self.daemon.vault), time.perf_counter()
        self.client.json("POST", "/api/memory/sync/", {})
        took, (rss, most, _) = time.perf_counter() - began, self.daemon.memory()
        self.figures[what] = {"seconds": took, "walk_seconds": floor, "rss_mb": rss, "most_mb": most}
        rig.row(what, f"{took:.2f}", f"{floor:.2f}", f"{rss:.0f}", f"{most:.0f}")


def measure(daemon, count, edits):
    daemon.start()
    client = daemon.client()
    steps, vault = Steps(daemon, client), daemon.vault
    steps.step("an empty vault")
    steps.step("the first look", lambda: fill(vault, count, speed.Words(SEED)))
    known = sum(is_found(client, name(number)) for number in range(0, count, max(1, count // 50)))
    for _ in range(3):
        steps.step("nothing new")
    steps.step("everything touched", lambda: touch(vault))
    branch(vault, count)
    steps.step("back on the first branch")
    held = len(client.json("GET", "/api/memory/deletions/"))
    steps.step("checkout of the other branch", lambda: git(vault, "checkout", "-q", "other"))
    moved = is_found(client, name(count // 2)) and held == 0
    steps.step("checkout of the first branch", lambda: git(vault, "checkout", "-q", "one"))
    found = {"steps": steps.figures, "edit": edit(daemon, client, count, edits), "known": known, "moved": moved}
    rig.row("from save to found (p50, p99, worst)", *rig.latencies(found["edit"], 0))
    status = client.json("GET", "/api/monitoring/status/")
    found.update(facts=status["counts"]["facts"], problems=status["problems"][:5], idle=daemon.idle(20))
    daemon.end()
    found["start_seconds"] = daemon.start()
    speed.settled(daemon.client())
    found["start_and_look_rss_mb"] = daemon.memory()[0]
    return found


def again_with_few_watches(options):
    """This program in a user namespace of its own, in which there are few watches."""
    lower = f"echo {options.watches} > /proc/sys/user/max_inotify_watches && exec \"$@\""
    rest = [argument for argument in sys.argv if not argument.startswith("--watches")]
    os.execvp("unshare", ["unshare", "-Ur", "sh", "-c", lower, "sh", sys.executable, *rest, "--few"])


def main():
    parser = rig.parser(__doc__, "notes", 100_000)
    parser.add_argument("--edits", type=int, default=50)
    parser.add_argument("--watches", type=int, help="write as --watches=N")
    parser.add_argument("--few", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.watches is not None:
        again_with_few_watches(options)
    if not shutil.which("git"):
        sys.exit("git is missing: apt-get install git")
    daemon = rig.Daemon(options.binary, options.dir)
    print(f"{options.notes} notes; {rig.load()}", flush=True)
    try:
        found = measure(daemon, options.notes, options.edits)
    finally:
        daemon.remove()
    rig.row("idle: CPU, bytes written", f"{found['idle']['cpu_percent']:.2f} %", found["idle"]["written_bytes"])
    rig.row("start", f"{found['start_seconds']:.2f} s", f"{found['start_and_look_rss_mb']:.0f} MB")
    rig.row("facts, sampled notes found", found["facts"], f"{found['known']}/50")
    for problem in found["problems"]:
        print(f"  problem: {problem}")
    print(f"  after, {rig.load()}")
    rig.keep(options, found)
    is_polled = any("not watched" in problem for problem in found["problems"])
    return 0 if found["moved"] and not found["edit"]["lost"] and (is_polled or not options.few) else 1


if __name__ == "__main__":
    sys.exit(main())
