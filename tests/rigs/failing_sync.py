#!/usr/bin/env python3
"""Fails the Nth sync of the log by each thread of a daemon, once and for ever, and looks what it acks.

Usage: failing_sync.py PATH_TO_CLONE [--first N] [--last N] [--ways once,forever] [--calls fdatasync,fsync]

The daemon runs under strace, which answers the call with EIO instead of making it. One client posts one event after the
other. Failed once, everything is acked and derived in the end. Failed for ever, nothing is acked any more: 503, `status`
says since when, `clone status` exits with 4. Always: a file of the log whose sync failed is never synced again, and what
was acked is there after kill -9. A daemon that meets the error while it starts may refuse to start.

Prints JSON; the exit code is 1 when a check fails. Without strace it says so and exits with 0.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

import load

EVENTS = 60
POSITIONS = 200
AFTER_REFUSAL = 5
PATIENCE = 60.0


class Run:
    """One daemon whose Nth sync fails."""

    def __init__(self, options, calls, number, way):
        self.options, self.calls, self.number, self.way = options, calls, number, way
        self.room = tempfile.mkdtemp(prefix="clone-sync-")
        self.trace, self.wrong, self.acked = f"{self.room}/trace", [], []
        self.home = f"{self.room}/home"
        self.plain = load.Daemon(options.binary, self.home)

    def check(self, good, what):
        if not good:
            self.wrong.append(f"{self.calls} {self.way} {self.number}: {what}")
            print("WRONG " + self.wrong[-1], file=sys.stderr, flush=True)

    def under_strace(self):
        """The daemon as `strace -D` runs it: its own process id, the tracer beside it."""
        when = f"{self.number}+" if self.way == "forever" else str(self.number)
        script, log = f"{self.room}/traced", f"{self.home}/log"
        # strace counts by thread, and the index makes new threads: only what the log syncs is failed.
        paths = [log] + [f"{log}/{base:020}.open.mcap" for base in range(POSITIONS)]
        with open(script, "w", encoding="utf-8") as file:
            file.write(
                f"#!/bin/sh\nexec strace -D -f --seccomp-bpf -y -qq -o {self.trace} -e trace=fdatasync,fsync,openat "
                f"-e inject={self.calls}:error=EIO:when={when} {' '.join('-P ' + path for path in paths)} {os.path.abspath(self.options.binary)} \"$@\"\n"
            )
        os.chmod(script, 0o700)
        return load.Daemon(script, self.home)

    def post(self, client, count):
        """Posts one event until it is taken; the statuses that it was answered with."""
        name, statuses = f"sync-{count}", []
        while not statuses or (statuses[-1] >= 300 and len(statuses) < AFTER_REFUSAL):
            body = json.dumps([load.event(name)]).encode()
            statuses.append(client.send("POST", "/api/recording/events/", body)[0])
            if statuses[-1] >= 300:
                time.sleep(0.02)
        if statuses[-1] < 300:
            self.acked.append(name)
        return statuses

    def load(self, daemon):
        client, refused = daemon.client(), False
        for count in range(EVENTS):
            statuses = self.post(client, count)
            self.check(all(status in (200, 201, 503) for status in statuses), f"answers {statuses}")
            if self.way == "once":
                self.check(statuses[-1] < 300, f"event {count} is not taken after one failure: {statuses}")
            refused = refused or statuses[-1] == 503
            if refused:
                self.check(statuses[-1] == 503, f"acked event {count} while no sync works")
                break
        self.says(daemon, client, refused)
        client.close()

    def says(self, daemon, client, refused):
        if refused:
            problems = client.json("GET", "/api/monitoring/status/")["problems"]
            self.check(any("not recording since" in one for one in problems), f"status says {problems}")
            told = subprocess.run([self.options.binary, "status"], env=daemon.env, capture_output=True)
            self.check(told.returncode == 4, f"`clone status` exits with {told.returncode}")
        if self.way == "once":
            began, problems = time.monotonic(), ["not asked"]
            while problems and time.monotonic() - began < PATIENCE:
                client.send("POST", "/api/memory/sync/", b"{}")
                problems = client.json("GET", "/api/monitoring/status/")["problems"]
                problems = [one for one in problems if "recovery left the file" not in one]
            self.check(not problems, f"problems stay: {problems}")

    def go(self):
        self.plain.start()
        self.plain.end()
        daemon, started = self.under_strace(), True
        try:
            daemon.start()
            self.load(daemon)
        except RuntimeError as error:
            started = False
            self.check("Input/output error" in str(error), f"it does not start: {str(error)[-200:]}")
        daemon.end(load.rig.signal.SIGKILL)
        failed, again = self.read_trace()
        self.check(not again, f"synced again after a failure: {again[:2]}")
        self.plain.start()
        client = self.plain.client()
        lost = load.missing(client, self.acked)
        self.check(lost == 0, f"{lost} acked events are lost")
        client.close()
        self.plain.end(load.rig.signal.SIGKILL)
        shutil.rmtree(self.room)
        return started, failed, lost

    def read_trace(self):
        """How many syncs of the log failed, and which files of it were synced again after that."""
        failed, bad, again = 0, set(), []
        if not os.path.exists(self.trace):
            return failed, again
        with open(self.trace, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                call = re.search(r"(fdatasync|fsync)\(\d+<([^>]*\.mcap)[^>]*>\) += (-?\d+)", line)
                made = re.search(r"openat\(.*\"([^\"]*\.mcap)\", [^)]*O_EXCL", line)
                if made:
                    bad.discard(made.group(1))
                if call and call.group(2) in bad:
                    again.append(line.strip())
                if call and call.group(3) == "-1":
                    failed += 1
                    bad.add(call.group(2))
        return failed, again


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("binary")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--last", type=int, default=50)
    parser.add_argument("--ways", default="once,forever")
    parser.add_argument("--calls", default="fdatasync,fsync")
    options = parser.parse_args()
    if shutil.which("strace") is None:
        print("SKIPPED: no strace here", file=sys.stderr)
        return
    answer = {"runs": 0, "acked": 0, "lost": 0, "failed_syncs_of_the_log": 0, "not_started": 0, "wrong": []}
    for way in options.ways.split(","):
        for number in range(options.first, options.last + 1):
            run = Run(options, options.calls, number, way)
            started, failed, lost = run.go()
            answer["runs"] += 1
            answer["acked"] += len(run.acked)
            answer["lost"] += lost
            answer["failed_syncs_of_the_log"] += failed
            answer["not_started"] += not started
            answer["wrong"] += run.wrong
    print(json.dumps(answer, indent=1))
    sys.exit(1 if answer["wrong"] else 0)


if __name__ == "__main__":
    main()
