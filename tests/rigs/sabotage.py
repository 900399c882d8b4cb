#!/usr/bin/env python3
"""Plants each bug of schema/src/sabotage.rs and looks whether the suite that is named for it goes red.

Usage: sabotage.py [--states N] [--patience SECONDS]

Builds the tests once with the feature `sabotage`. First every suite runs without a bug and must be green; then every bug
with its suite, which must be red by a test that fails: a suite that runs no test, or does not end in time, proves nothing.
Names, suites and reasons are the table in the documentation of that file. It is also looked whether a release refuses the
feature, and whether an unknown name is refused.

Prints a table; the exit code is 1 when a suite is green with its bug, or anything else is not as it must be.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
LIST = os.path.join(ROOT, "schema", "src", "sabotage.rs")
UNKNOWN = "no-such-bug"


def suites():
    """Name of each bug and arguments of its suite, as the table says."""
    with open(LIST, encoding="utf-8") as file:
        rows = re.findall(r"^//! \| `([^`]+)` \| [^|]+ \| `([^`]+)` \| [^|]+ \|$", file.read(), re.MULTILINE)
    if not rows:
        sys.exit(f"no table in {LIST}")
    return dict(rows)


def build():
    """The test binaries of the daemon: that of the library and that of the black-box tests."""
    command = ["cargo", "test", "--no-run", "--features", "clone-daemon/sabotage", "--message-format=json-render-diagnostics"]
    made = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if made.returncode:
        sys.exit("the tests do not build with the feature")
    found = {}
    for line in made.stdout.splitlines():
        one = json.loads(line)
        if one.get("executable") and one["profile"]["test"] and "clone-daemon" in one["package_id"] + one["manifest_path"]:
            found[one["target"]["name"]] = one["executable"]
    return {"--lib": found["clone_daemon"], "--test": found["tests"]}


def refused_by_release():
    """Whether the feature compiles in a build for tests and does not in one without debug assertions."""
    with tempfile.TemporaryDirectory(prefix="clone-sabotage-") as room:
        command = ["rustc", "--edition", "2024", "--crate-type", "lib", "--emit", "metadata", "--out-dir", room]
        command += ["--cfg", 'feature="sabotage"', LIST]
        good, bad = (
            subprocess.run([*command, "-C", f"debug-assertions={on}"], capture_output=True, text=True, check=False)
            for on in ("yes", "no")
        )
    return good.returncode == 0 and bad.returncode != 0 and "never for a release" in bad.stderr


def run(options, binaries, suite, bug):
    """One suite with one bug, or none: (what became of it, the first assertion that failed, all it printed)."""
    parts = suite.split()
    env = {**os.environ, "STATES": str(options.states)}
    env.pop("SABOTAGE", None)
    if bug:
        env["SABOTAGE"] = bug
    process = subprocess.Popen(
        [binaries[parts[0]], parts[-1]],
        cwd=os.path.join(ROOT, "daemon"),
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        told, _ = process.communicate(timeout=options.patience)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return "time-out", "", ""
    counts = re.search(r"^test result: \w+\. (\d+) passed; (\d+) failed", told, re.MULTILINE)
    if not counts:
        return "no result", first_failure(told), told
    passed, failed = map(int, counts.groups())
    if passed + failed == 0:
        return "0 tests", "", told
    return ("red" if failed else "green"), first_failure(told), told


def first_failure(told):
    """Name and first words of the first test that failed."""
    panic = re.search(r"^thread '([^']+)'[^\n]* panicked at [^\n]+\n(.*?)(?=\n\n|\nnote:|\nstack|\Z)", told, re.MULTILINE | re.DOTALL)
    return " ".join(f"{panic.group(1)}: {panic.group(2)}".split())[:150] if panic else ""


def row(name, suite, outcome, first, good):
    print(f"| {name:29} | {suite:24} | {outcome:9} | {first}{'' if good else '  <-- WRONG'}", flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--states", type=int, default=4_000, help="crash states of one run")
    parser.add_argument("--patience", type=float, default=240, help="seconds that one suite may take")
    options = parser.parse_args()
    table = suites()
    binaries = build()
    good = row("(release)", "rustc", "refused" if refused_by_release() else "built", "", refused_by_release())
    for suite in dict.fromkeys(table.values()):
        outcome, first, _ = run(options, binaries, suite, None)
        good &= row("(none)", suite, outcome, first, outcome == "green")
    outcome, first, told = run(options, binaries, "--lib log::slow", UNKNOWN)
    known = re.search(rf"`{UNKNOWN}` is no bug of ours; there are: ([^\n]+)", told)
    good &= row(UNKNOWN, "--lib log::slow", outcome, first, bool(known) and known.group(1).split() == list(table))
    for name, suite in table.items():
        outcome, first, _ = run(options, binaries, suite, name)
        good &= row(name, suite, outcome, first, outcome == "red")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
