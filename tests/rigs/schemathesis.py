#!/usr/bin/env python3
"""Thousands of requests made up from `/openapi.json` against a real daemon: no 5xx, no answer outside its described shape.

Usage: schemathesis.py PATH_TO_CLONE PATH_TO_ST [CASES_PER_OPERATION] [SEED]

Starts `clone daemon` in a throwaway home with an admin key, runs `st run` (PyPI package `schemathesis`) over loopback, ends the
daemon by its own process id, and exits as `st` does. The event stream is left out, because it never ends.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile

READY_SECONDS = 60


def clone(binary, env, *arguments):
    """What a verb prints, as JSON."""
    run = subprocess.run([binary, "--json", *arguments], env=env, capture_output=True, text=True, timeout=READY_SECONDS)
    return json.loads(run.stdout) if run.stdout else {}


def ready(daemon):
    """Reads its messages until it says so."""
    for line in daemon.stderr:
        if "the HTTP door is open" in line:
            return True
    return False


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    binary, st = (os.path.abspath(path) for path in sys.argv[1:3])
    cases, seed = (sys.argv[3:] + ["200", "1"][len(sys.argv) - 3 :])[:2]
    home = tempfile.mkdtemp(prefix="clone-st-")
    env = {name: value for name, value in os.environ.items() if not name.startswith("CLONE_")}
    env.update(CLONE_HOME=home, NO_COLOR="1", CLONE_DAEMON_PORT="0", COLUMNS="160")
    daemon = subprocess.Popen([binary, "daemon"], env=env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    drain = None
    try:
        if not ready(daemon):
            sys.exit("the daemon did not start")
        drain = subprocess.Popen(["cat"], stdin=daemon.stderr, stdout=subprocess.DEVNULL)
        url = clone(binary, env, "status")["http"]
        key = clone(binary, env, "keys", "create", "--label", "schemathesis", "--scope", "admin")["key"]
        command = [st, "run", f"{url}/openapi.json", "--url", url, "-H", f"X-Clone-API-Key: {key}", "--seed", seed]
        command += ["--max-examples", cases, "--exclude-path", "/api/events/stream/", "--exclude-path", "/api/sources/github/", "--continue-on-failure", "--no-color"]
        outcome = subprocess.run(command, env=env, cwd=home).returncode
        if daemon.poll() is not None:
            sys.exit(f"the daemon ended: {daemon.returncode}")
    finally:
        if daemon.poll() is None:
            daemon.terminate()
        daemon.wait(timeout=READY_SECONDS)
        if drain:
            drain.wait(timeout=READY_SECONDS)
        shutil.rmtree(home, ignore_errors=True)
    sys.exit(outcome)


if __name__ == "__main__":
    main()
