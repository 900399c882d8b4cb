#!/usr/bin/env python3
"""How fast a home of some size starts: from exec to the door, to an acked event and to a prediction.

Usage: start.py PATH_TO_CLONE HOME [N_EVENTS] [--pairs N] [--rounds N]

Fills HOME, which is kept and used again (a later run with more events goes on from there), with N_EVENTS synthetic events
(default 1000000), of which `--pairs` (default one in fifty) are typed replies to an agent; the rest are agent responses,
terminal commands and focus changes. Then starts it after clean stops and after kill -9 while it derives.
"""

import argparse
import json
import os
import signal
import sys
import time
from datetime import datetime, timedelta, timezone

import rig
import speed

SESSION_EVENTS = 200
RESPONSES = 4  # agent responses for each that is replied to


class Life:
    """Sessions of 200 events; the events of a session depend on its number alone, so a home can be filled in parts."""

    def __init__(self, events, pairs):
        self.words, self.every = speed.Words(speed.SEED), max(3, events // max(1, pairs))
        self.begin = datetime.now(timezone.utc) - timedelta(days=700)

    def session(self, number):
        self.words.draw.seed(f"{speed.SEED}/{number}")
        clock = self.begin + timedelta(minutes=70 * number)
        return [self.event(number, step, clock + timedelta(seconds=9 * step)) for step in range(SESSION_EVENTS)]

    def event(self, number, step, clock):
        at, draw = number * SESSION_EVENTS + step, self.words.draw
        event = {"id": f"start:{at}", "session_id": f"start:{number}", "source": "agent", "source_detail": "bench",
                 "occurred_at": clock.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
        agent, cwd = "Claude Code", f"/home/me/{speed.PROJECTS[number % len(speed.PROJECTS)]}"
        turn = at % self.every
        if step == SESSION_EVENTS - 1:
            event["type"] = "session.stopped"
        elif turn == 1:
            event.update(type="agent.prompt", agent=agent, prompt=self.words.reply(), meta={"origin": "typed", "cwd": cwd})
        elif turn == 0 or turn % max(2, self.every // RESPONSES) == 0:
            event.update(type="agent.response", agent=agent, response=self.words.agent(), in_response_to=None)
        elif turn % 2:
            event.update(type="terminal.command", command=draw.choice(speed.COMMANDS), cwd=cwd, exit_code=0, duration_ms=9)
            event["source"] = "cli"
        else:
            event.update(type="app.focused", app=draw.choice(speed.APPS), window_title=self.words.text(10, 60))
            event["source"] = "desktop"
        return event


def fill(daemon, life, events):
    """Sends what is missing, as many sessions as make up a batch at a time."""
    client, sessions = daemon.client(), events // SESSION_EVENTS
    known = client.json("GET", "/api/monitoring/status/")["log"]["events"]
    began, first = time.perf_counter(), 0
    mark = os.path.join(daemon.home, "filled")
    if os.path.exists(mark):
        with open(mark, encoding="ascii") as file:
            first = int(file.read())
    step = speed.BATCH // SESSION_EVENTS
    for at in range(first, sessions, step):
        batch = [event for number in range(at, min(at + step, sessions)) for event in life.session(number)]
        client.json("POST", "/api/recording/events/", batch)
        with open(mark, "w", encoding="ascii") as file:
            file.write(str(at + step))
    sent = time.perf_counter() - began
    speed.settled(client)
    status = client.json("GET", "/api/monitoring/status/")
    print(f"  {known} events before, {status['log']['events']} now: sent in {sent:.0f} s, derived after "
          f"{time.perf_counter() - began:.0f} s; {status['counts']}", flush=True)
    client.close()


def rounds(daemon, life, count, last):
    """Starts after clean stops and after kill -9, in turn; the kill comes while a batch is being derived."""
    out, last = [], last + int(time.time()) % 1_000_000  # sessions that no earlier run has sent
    for number in range(count):
        found = {"stop_s": daemon.end()}
        client = speed.answering(daemon, "clean", found)
        found["rss_mb"] = daemon.memory()
        client.json("POST", "/api/recording/events/", life.session(last + number))
        client.close()
        daemon.end(signal.SIGKILL)
        client = speed.answering(daemon, "killed", found)
        client.json("POST", "/api/memory/sync/", {})  # answers once all that was sent is derived and written
        client.close()
        found["rss_later_mb"] = daemon.memory()
        out.append(found)
    return out


def show(found):
    ms = lambda name: " ".join(f"{1000 * one[name]:.0f}" for one in found) + " ms"
    for name, what in (("clean", "clean start"), ("killed", "start after kill -9")):
        for upto in ("health", "acked", "predicted"):
            rig.row(f"{what} to {upto}", ms(f"{name}_{upto}_s"))
        rig.row(f"{what}, processor time until then", ms(f"{name}_cpu_s"))
    rig.row("clean stop", ms("stop_s"))
    for name in ("rss_mb", "rss_later_mb"):
        rig.row(f"{name}: resident, peak, anonymous", *(" ".join(f"{part:.0f}" for part in one[name]) for one in found))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("home", help="an absolute, short path; kept")
    parser.add_argument("events", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--pairs", type=int, help="how many of them are typed replies")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.makedirs(options.home, mode=0o700, exist_ok=True)
    daemon = rig.Daemon(options.binary, home=options.home)
    life = Life(options.events, options.pairs or options.events // 50)
    try:
        print(f"{options.events} events; {rig.load()}; first start {daemon.start():.2f} s", flush=True)
        fill(daemon, life, options.events)
        found = rounds(daemon, life, options.rounds, options.events // SESSION_EVENTS)
        print(f"  {rig.load()}; on disk", json.dumps(daemon.sizes()))
    finally:
        daemon.end()
    show(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
