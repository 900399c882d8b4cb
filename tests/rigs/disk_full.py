#!/usr/bin/env python3
"""Fills the disk under a daemon that ingests, frees it, again and again.

Usage: disk_full.py PATH_TO_CLONE [--cycles N] [--ways mark,zero,inodes] [--seed S] [--hold SECONDS]

As root, in a mount namespace of its own, on a tmpfs of 64 MiB (512 where names run out). Three ways to be full: below the
low-water mark (`mark`), at zero with the mark turned off (`zero`), and no file can be made any more (`inodes`). Three clients
post all the while, and the ledger of acked events is in this process. In every cycle, while the disk is full: `status` says so within a second of
the first refusal, `clone status` exits with 4, an event is read, a search and a prediction are answered, now and then the
daemon is killed and must start again; once there is room, events are acked within 5 seconds. At the end nothing acked is
lost, before and after kill -9, no note is cut short, nothing was set aside and `status` has no problem left.

Prints JSON; the exit code is 1 when a check fails. Where nothing can be mounted it says so and exits with 0: what is left
then is the test with `prlimit` in `tests/full.rs`.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import load

DISK = 64 << 20
# Without a file to make, the log goes on in the one that it has: here the bytes must not run out before the names do.
ROOMY_DISK = 512 << 20
INODES = 1_000
LEFT = 2 << 20  # below the mark, which is a twentieth of the disk
SAID_SECONDS = 1.0
RESUMED_SECONDS = 5.0
PATIENCE = 30.0
RESTART_EVERY = 5


class Filler:
    """Takes what is free, and again what becomes free meanwhile, until it is told to let go."""

    def __init__(self, disk, way):
        self.folder, self.way, self.count = os.path.join(disk, "filler"), way, 0
        self.over = threading.Event()
        os.mkdir(self.folder)
        self.take()
        self.thread = threading.Thread(target=self.keep, daemon=True)
        self.thread.start()

    def take(self):
        if self.way == "inodes":
            return self.take_names()
        leave = LEFT if self.way == "mark" else 0
        try:
            with open(os.path.join(self.folder, "bytes"), "ab", buffering=0) as file:
                while (room := self.free() - leave) > 0:
                    file.write(bytes(min(room, 1 << 20)))
        except OSError:
            pass

    def take_names(self):
        try:
            while True:
                os.close(os.open(os.path.join(self.folder, str(self.count)), os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                self.count += 1
        except OSError:
            pass

    def free(self):
        stat = os.statvfs(self.folder)
        return stat.f_bavail * stat.f_frsize

    def keep(self):
        while not self.over.wait(0.02):
            self.take()

    def let_go(self):
        self.over.set()
        self.thread.join()
        shutil.rmtree(self.folder, ignore_errors=True)


class Rig:
    """One way of being full."""

    def __init__(self, options, disk, way):
        self.options, self.disk, self.way = options, disk, way
        self.draw = random.Random(f"{options.seed}/{way}")
        self.wrong = []
        self.figures = {"said": [], "resumed": [], "restarts": 0}
        self.ledger = load.Ledger()
        self.daemon = load.Daemon(options.binary, f"{disk}/home")
        if way == "zero":
            with open(f"{disk}/home/config.toml", "w", encoding="utf-8") as file:
                file.write("[log]\nlow_water_mb = 0\n")

    def check(self, good, what):
        if not good:
            self.wrong.append(what)
            print(f"WRONG {self.way}: {what}", file=sys.stderr, flush=True)

    def problems(self):
        client = self.daemon.client()
        try:
            return client.json("GET", "/api/monitoring/status/")["problems"]
        finally:
            client.close()

    def wait(self, until):
        """The seconds until it is so; none when patience ends."""
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE:
            if until():
                return time.monotonic() - began
            time.sleep(0.02)
        return None

    def is_said(self):
        found = self.problems()
        return bool(found) if self.way == "inodes" else any("not recording since" in one for one in found)

    def cycle(self, number):
        self.wait(lambda: self.ledger.last_ack > 0)
        time.sleep(self.options.hold * self.draw.random())
        refused = self.ledger.refused
        filler = Filler(self.disk, self.way)
        try:
            if self.way != "inodes":
                self.check(self.wait(lambda: self.ledger.refused > refused) is not None, f"cycle {number}: nothing is refused")
            said = self.wait(self.is_said)
            self.check(said is not None, f"cycle {number}: status does not say it")
            if self.way == "inodes":
                # The log needs no new file and goes on; what is derived says it with its next commit.
                said = 0.0 if said else said
            self.figures["said"].append(PATIENCE if said is None else said)
            self.look(number)
            time.sleep(self.options.hold * self.draw.random())
            if number % RESTART_EVERY == RESTART_EVERY - 1:
                self.restart(number, filler)
        finally:
            filler.let_go()
        began = time.monotonic()
        resumed = self.wait(lambda: self.ledger.last_ack > began)
        self.check(resumed is not None, f"cycle {number}: nothing is acked after there is room")
        self.figures["resumed"].append(resumed or PATIENCE)
        self.check(self.wait(lambda: not any("not recording" in one for one in self.problems())) is not None,
                   f"cycle {number}: status still says it")

    def look(self, number):
        """Reads go on, and whoever asks is told."""
        env = dict(self.daemon.env)
        for verb in ("status", "doctor"):
            told = subprocess.run([self.options.binary, verb], env=env, capture_output=True, text=True)
            self.check(told.returncode == 4, f"cycle {number}: `clone {verb}` exits with {told.returncode}: {told.stdout}{told.stderr}")
        client = self.daemon.client()
        try:
            acked = self.ledger.read()
            asked = [
                ("GET", f"/api/recording/events/{self.draw.choice(acked)}/", None),
                ("POST", "/api/memory/search/", {"query": "rig", "limit": 3}),
                ("POST", "/api/predictions/predict/", {"agent": "Rig", "agent_input": "Shall I go on?"}),
            ]
            for method, path, body in asked:
                status, reply = client.send(method, path, json.dumps(body).encode() if body else b"")
                self.check(status in (200, 201), f"cycle {number}: {path} answers {status} {reply[:200]!r}")
        finally:
            client.close()

    def restart(self, number, filler):
        """Killed on a full disk, it starts again and answers."""
        self.daemon.end(load.rig.signal.SIGKILL)
        try:
            self.daemon.start()
            self.figures["restarts"] += 1
            self.look(number)
        except RuntimeError as error:
            self.check(False, f"cycle {number}: it does not start on a full disk: {str(error)[-300:]}")
            filler.let_go()
            self.daemon.start()

    def last(self):
        """Nothing is lost, before a crash and after it, and all that is derived has caught up."""
        for crash in (False, True):
            if crash:
                self.daemon.end(load.rig.signal.SIGKILL)
                self.daemon.start()
            client = self.daemon.client()
            acked = self.ledger.read()
            altered = load.altered(client, self.draw.sample(acked, min(200, len(acked))))
            self.figures["lost"] = self.figures.get("lost", 0) + load.missing(client, acked)
            client.json("POST", "/api/memory/sync/", {})
            client.close()
            self.check(not altered, f"altered: {altered[:3]}")
        self.check(self.figures["lost"] == 0, f"{self.figures['lost']} acked events are lost")
        left = self.wait(lambda: not self.problems())
        self.check(left is not None, f"problems stay: {self.problems()}")
        self.files()

    def files(self):
        for folder, _, names in os.walk(self.daemon.home):
            for name in names:
                path = os.path.join(folder, name)
                self.check("broken" not in path, f"{path} was set aside")
                if name.endswith(".md"):
                    self.check(os.path.getsize(path) > 0, f"{path} was cut short")

    def go(self):
        self.daemon.start()
        clients = load.Load(self.daemon.socket, self.ledger, self.way, rest=0.02)
        try:
            for number in range(self.options.cycles):
                self.cycle(number)
        finally:
            clients.end()
        self.last()
        self.check(max(self.figures["said"]) <= SAID_SECONDS, "status says it too late")
        self.check(max(self.figures["resumed"]) <= RESUMED_SECONDS, "it resumes too late")
        figures = {name: round(max(each), 3) if isinstance(each, list) else each for name, each in self.figures.items()}
        statuses = {str(status): count for status, count in self.ledger.statuses.items()}
        return {"cycles": self.options.cycles, "acked": len(self.ledger.acked), "refused": self.ledger.refused, **figures,
                "replies": statuses, "wrong": self.wrong}


def inside(options):
    answer = {"seed": options.seed}
    for way in options.ways.split(","):
        disk = tempfile.mkdtemp(prefix="clone-full-")
        size = f"size={ROOMY_DISK},nr_inodes={INODES},mode=700" if way == "inodes" else f"size={DISK},mode=700"
        if subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", disk]).returncode != 0:
            os.rmdir(disk)
            print("SKIPPED: no tmpfs can be mounted here; `cargo test full` has the rest", file=sys.stderr)
            return False
        rig = Rig(options, disk, way)
        try:
            answer[way] = rig.go()
        finally:
            rig.daemon.end(load.rig.signal.SIGKILL)
            subprocess.run(["umount", disk], check=False)
            os.rmdir(disk)
    print(json.dumps(answer, indent=1))
    return any(answer[way]["wrong"] for way in options.ways.split(","))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("binary")
    parser.add_argument("--cycles", type=int, default=20)
    parser.add_argument("--ways", default="mark,zero,inodes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hold", type=float, default=1.5)
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("SKIPPED: not root, so nothing can be mounted; `cargo test full` has the rest", file=sys.stderr)
        return
    if os.environ.get("DISK_FULL_INSIDE") != "1":
        os.environ["DISK_FULL_INSIDE"] = "1"
        os.execvp("unshare", ["unshare", "-m", "--propagation", "private", sys.executable, *sys.argv])
    sys.exit(1 if inside(options) else 0)


if __name__ == "__main__":
    main()
