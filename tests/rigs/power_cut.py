#!/usr/bin/env python3
"""Cuts the power under a daemon that ingests, again and again, and looks whether anything acked is gone.

Usage: POWER_CUT=1 power_cut.py PATH_TO_CLONE [--cuts N] [--fs ext4|xfs] [--seed S] [--state FILE] [--dir DIR] [--sabotage NAME] [--preload LIB]

As root, in a mount namespace of its own, never part of the tests. A file system in a loop file lies on an XFS in another
loop file. At a random instant the loop file is copied with `cp --reflink=always`, which is what the disk would hold had the
power gone then: what was written and never flushed is in the memory of the machine, not in the copy. The ledger of acked
events is read *before* the copy is made. The copy is mounted, which replays its journal, a daemon is started in it, and
every acked event is sent again: it must be known. A fresh file that nobody synced must be gone in most cuts: it proves that
they were cuts. At most 1 GiB of disk, one rig at a time, and `losetup -a` says the same before and after.

With `--state` the counts are kept and the next run goes on from there. Prints JSON; the exit code is 1 when anything is
lost, 2 when the cuts proved nothing. `--sabotage skip-fdatasync` needs a build that has it and must lose; so must
any build with `--preload libeatmydata.so` (package libeatmydata1), under which no sync reaches the disk.
"""

import argparse
import fcntl
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

import load

HOST_BYTES = 768 << 20
FILE_SYSTEMS = {  # bytes, how it is made, how a copy of a mounted one is mounted
    "ext4": (160 << 20, ["mkfs.ext4", "-q", "-F"], "loop"),
    "xfs": (320 << 20, ["mkfs.xfs", "-q", "-f"], "loop,nouuid"),
}
CUTS_PER_DISK = 25
CONTROL_BYTES = 20_000
SAMPLE = 30
CONTROL_SHARE = 0.95
LOCK = "/tmp/clone-power-cut.lock"


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def loops():
    return subprocess.run(["losetup", "-a"], check=True, capture_output=True, text=True).stdout


def unmount(place):
    for _ in range(50):
        if subprocess.run(["umount", place], stderr=subprocess.DEVNULL).returncode == 0:
            return
        time.sleep(0.1)
    raise RuntimeError(f"{place} cannot be unmounted")


class Rig:
    """The disks, the daemon under load, and what was counted."""

    def __init__(self, options, room):
        self.options, self.room = options, room
        self.host, self.live, self.after = (os.path.join(room, name) for name in ("host", "live", "after"))
        self.disk, self.copy = f"{self.host}/disk.img", f"{self.host}/copy.img"
        self.counts = {"cuts": 0, "acked": 0, "lost": 0, "altered": 0, "damaged": 0, "control_lost": 0}
        self.counts.update(seed=options.seed, fs=options.fs, sabotage=options.sabotage, preload=options.preload, seconds=0, worst=[])
        self.daemon = self.clients = self.ledger = None
        self.mounted = []
        for place in (self.host, self.live, self.after):
            os.mkdir(place)

    def mount(self, image, place, how="loop"):
        run("mount", "-o", how, image, place)
        self.mounted.append(place)

    def leave(self, place):
        unmount(place)
        self.mounted.remove(place)

    def prepare(self):
        image = os.path.join(self.room, "host.img")
        with open(image, "wb") as file:
            file.truncate(HOST_BYTES)
        run("mkfs.xfs", "-q", "-f", "-m", "reflink=1", image)
        self.mount(image, self.host)

    def begin(self, name):
        """A new disk with a new home on it, and clients that load it."""
        size, make, _ = FILE_SYSTEMS[self.options.fs]
        with open(self.disk, "wb") as file:
            file.truncate(size)
        run(*make, self.disk)
        self.mount(self.disk, self.live)
        planted = {"CLONE_SABOTAGE": self.options.sabotage, "LD_PRELOAD": self.options.preload}
        env = {name: value for name, value in planted.items() if value}
        self.daemon = load.Daemon(self.options.binary, f"{self.live}/home", env)
        self.daemon.start()
        self.ledger = load.Ledger()
        self.clients = load.Load(self.daemon.socket, self.ledger, name)

    def end(self):
        """Ends the daemon; its disk is thrown away."""
        if self.clients:
            self.clients.end()
            self.clients = None
        if self.daemon:
            self.daemon.end(load.rig.signal.SIGKILL)
            self.daemon = None
        for place in (self.after, self.live):
            if place in self.mounted:
                self.leave(place)
        for image in (self.copy, self.disk):
            if os.path.exists(image):
                os.remove(image)

    def cut(self, number):
        draw = random.Random(f"{self.options.seed}/{number}")
        time.sleep(0.02 + 0.3 * draw.random())
        control = f"control-{number}"
        with open(f"{self.live}/{control}", "wb") as file:
            file.write(bytes([number % 251 + 1]) * CONTROL_BYTES)
        acked = self.ledger.read()
        run("cp", "--reflink=always", self.disk, self.copy)
        self.clients.going.clear()
        try:
            self.look(number, control, acked, draw)
        finally:
            self.clients.going.set()
        os.remove(self.copy)

    def look(self, number, control, acked, draw):
        """What is left after the cut."""
        self.mount(self.copy, self.after, FILE_SYSTEMS[self.options.fs][2])
        try:
            kept = os.path.exists(f"{self.after}/{control}") and os.path.getsize(f"{self.after}/{control}") == CONTROL_BYTES
            if kept:
                with open(f"{self.after}/{control}", "rb") as file:
                    kept = file.read() == bytes([number % 251 + 1]) * CONTROL_BYTES
            lost, altered, damaged = self.ask(acked, draw)
        finally:
            self.leave(self.after)
        self.count(number, kept, len(acked), lost, altered, damaged)

    def ask(self, acked, draw):
        """Starts a daemon after the cut: how many events are lost, which are not what was sent, what it calls damaged."""
        daemon = load.Daemon(self.options.binary, f"{self.after}/home")
        try:
            daemon.start()
        except RuntimeError as error:
            daemon.end(load.rig.signal.SIGKILL)
            return len(acked), [], [f"it does not start: {str(error)[-200:]}"]
        client = daemon.client()
        try:
            damaged = [one for one in client.json("GET", "/api/monitoring/status/")["problems"] if "damaged" in one]
            altered = load.altered(client, draw.sample(acked, min(SAMPLE, len(acked))))
            return load.missing(client, acked), altered, damaged
        finally:
            client.close()
            daemon.end(load.rig.signal.SIGKILL)

    def count(self, number, kept, acked, lost, altered, damaged):
        counts = self.counts
        counts["cuts"] += 1
        counts["acked"] += acked
        counts["lost"] += lost
        counts["altered"] += len(altered)
        counts["damaged"] += len(damaged)
        counts["control_lost"] += not kept
        if lost or altered or damaged:
            counts["worst"] = (counts["worst"] + [[number, lost, altered[:3], damaged[:3]]])[:10]

    def go(self):
        """All cuts that are asked for."""
        began = time.monotonic()
        before = self.counts["seconds"]
        while self.counts["cuts"] < self.options.cuts:
            number = self.counts["cuts"]
            if self.daemon is None or number % CUTS_PER_DISK == 0:
                self.end()
                self.begin(f"p{number}")
            self.cut(number)
            self.counts["seconds"] = round(before + time.monotonic() - began, 1)
            if self.options.state:
                with open(self.options.state + ".new", "w", encoding="utf-8") as file:
                    json.dump(self.counts, file)
                os.replace(self.options.state + ".new", self.options.state)
            if (number + 1) % CUTS_PER_DISK == 0:
                print(json.dumps(self.counts), file=sys.stderr, flush=True)

    def close(self):
        try:
            self.end()
        finally:
            for place in reversed(list(self.mounted)):
                self.leave(place)


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("binary")
    parser.add_argument("--cuts", type=int, default=50)
    parser.add_argument("--fs", choices=sorted(FILE_SYSTEMS), default="ext4")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--state")
    parser.add_argument("--dir", default=tempfile.gettempdir())
    parser.add_argument("--sabotage", default="")
    parser.add_argument("--preload", default="")
    return parser.parse_args()


def inside(options):
    """In the namespace: takes the lock, runs, and leaves no loop device behind."""
    with open(LOCK, "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        before, room = loops(), tempfile.mkdtemp(prefix="clone-power-", dir=options.dir)
        rig = Rig(options, room)
        try:
            if options.state and os.path.exists(options.state):
                with open(options.state, encoding="utf-8") as file:
                    rig.counts = json.load(file)
                for name in ("seed", "fs", "sabotage", "preload"):
                    if rig.counts[name] != getattr(options, name):
                        sys.exit(f"{options.state} was counted with another {name}")
            rig.prepare()
            rig.go()
        finally:
            rig.close()
            shutil.rmtree(room)
        if loops() != before:
            sys.exit("losetup -a differs: a loop device was left behind")
    return rig.counts


def main():
    options = parsed()
    if os.environ.get("POWER_CUT") != "1":
        sys.exit("SKIPPED: set POWER_CUT=1 to mount loop devices as root")
    if os.geteuid() != 0:
        sys.exit("SKIPPED: not root, so nothing can be mounted")
    if os.environ.get("POWER_CUT_INSIDE") != "1":
        os.environ["POWER_CUT_INSIDE"] = "1"
        os.execvp("unshare", ["unshare", "-m", "--propagation", "private", sys.executable, *sys.argv])
    counts = inside(options)
    print(json.dumps(counts))
    if counts["lost"] or counts["altered"] or counts["damaged"]:
        sys.exit(1)
    if counts["control_lost"] < CONTROL_SHARE * counts["cuts"]:
        print("too many files that nobody synced are there: these were no power cuts", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
