#!/usr/bin/env python3
"""Speed and size over the socket.

Usage: speed.py PATH_TO_CLONE [N_EVENTS] [--dir DIR] [--idle SECONDS] [--json FILE]

In a throwaway home: ingests N_EVENTS synthetic events (default 100000) in batches of 1,000, waits until they are
derived, asks 500 times each for health, a prediction and a search, restarts after a clean stop and after kill -9, and
prints a table and JSON. A prediction beside the bare limit is `clone bench latency`.
"""

import json
import os
import random
import signal
import sys
import time
from datetime import datetime, timedelta, timezone

import rig

SEED = 7
BATCH = 1000
ASKED = 500
BEHIND = 100
WARM = 20
EPISODES_SECONDS = 240
SESSION_EVENTS = 60
STOP = (
    "the to of and a in is it that for on with this be as are was not you have but at if from will can all so or now"
    " by an we no do what there then when which one has only just also should would up out new after more been were"
).split()
SHORT = ["yes", "continue", "go on", "yes, commit", "run all tests", "looks good", "no, undo that", "commit and push",
         "try again", "fix it", "what next?", "explain why"]
COMMANDS = ["cargo test", "git status", "git diff", "cargo build --release", "ls -la", "make lint", "git log -5"]
APPS = ["Code", "Firefox", "Terminal", "Slack", "Obsidian"]
QUESTION = json.dumps({"agent": "Claude Code", "agent_input": "All tests pass. What next?", "k": 3}).encode()
PROJECTS = ["parser", "website", "billing", "notes", "firmware"]


class Words:
    """Seeded text with a Zipf vocabulary: the common words are English stop words, the rest is made of syllables."""

    def __init__(self, seed, size=20_000):
        self.draw = random.Random(seed)
        made, syllables = {}, [c + v for c in "bdfgklmnprstvz" for v in ("a", "e", "i", "o", "u", "ar", "en", "ol")]
        while len(made) < size:
            word = "".join(self.draw.choices(syllables, k=self.draw.choice((2, 2, 3, 3, 4))))
            if self.draw.random() < 0.04:
                word += "_" + self.draw.choice(syllables)  # identifiers
            made[word] = None
        self.words = STOP + list(made)
        total, self.sums = 0.0, []
        for rank in range(len(self.words)):
            total += 1.0 / (rank + 2.7) ** 1.05
            self.sums.append(total)

    def some(self, count):
        return self.draw.choices(self.words, cum_weights=self.sums, k=count)

    def text(self, least, most):
        """Sentences of so many characters in all."""
        length, out, size = self.draw.randint(least, most), [], 0
        while size < length:
            sentence = " ".join(self.some(self.draw.randint(6, 18))).capitalize() + "."
            out.append(sentence)
            size += len(sentence) + 1
        return " ".join(out)[:length]

    def agent(self):
        return self.text(200, 1500)

    def reply(self):
        """What a person types: often one of a few short replies, otherwise prose."""
        if self.draw.random() < 0.30:
            return self.draw.choices(SHORT, weights=[1 / (i + 1) for i in range(len(SHORT))])[0]
        return self.text(20, 300)


class Life:
    """Synthetic events of one person, a third each: an agent speaks, the person types, something else happens."""

    def __init__(self, words, count):
        self.words, self.at = words, 0
        self.clock = datetime.now(timezone.utc) - timedelta(seconds=30 * (count + 10 * BATCH) + 3600)

    def event(self):
        at, draw = self.at, self.words.draw
        session, step = divmod(at, SESSION_EVENTS)
        self.at += 1
        self.clock += timedelta(seconds=1200 if step == 0 else draw.randint(2, 20))
        event = {
            "id": f"bench:{at}",
            "session_id": f"bench:{session}",
            "occurred_at": self.clock.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "source": "agent",
            "source_detail": "bench",
        }
        agent = "Claude Code" if session % 7 else "Codex"
        cwd = f"/home/me/{PROJECTS[session % len(PROJECTS)]}"
        if step == SESSION_EVENTS - 1:
            event["type"] = "session.stopped"
        elif step % 3 == 0:
            prompt = f"bench:{at - 2}" if step else None
            event.update(type="agent.response", agent=agent, response=self.words.agent(), in_response_to=prompt)
            event["meta"] = {"cwd": cwd}
        elif step % 3 == 1:
            meta = {"origin": "typed", "cwd": cwd}
            event.update(type="agent.prompt", agent=agent, prompt=self.words.reply(), meta=meta)
        elif step % 2:
            command = draw.choice(COMMANDS) if draw.random() < 0.7 else f"grep -rn {' '.join(self.words.some(1))} src"
            event.update(type="terminal.command", command=command, cwd=cwd, exit_code=draw.choice((0, 0, 0, 1)))
            event.update(duration_ms=draw.randint(5, 90_000), source="cli")
        else:
            event.update(type="app.focused", app=draw.choice(APPS), window_title=self.words.text(10, 60))
            event["source"] = "desktop"
        return event

    def batch(self, count=BATCH):
        return [self.event() for _ in range(count)]


def ingest(client, life, count):
    """Sends the events; the seconds spent waiting for replies, the agent texts and the bytes sent."""
    texts, took, sent = [], [], 0
    while life.at < count:
        events = life.batch(min(BATCH, count - life.at))
        texts += [event["response"] for event in events if "response" in event]
        body = json.dumps(events).encode()
        sent += len(body)
        began = time.perf_counter()
        status, reply = client.send("POST", "/api/recording/events/", body)
        took.append(time.perf_counter() - began)
        known = json.loads(reply)
        if status >= 300 or known["accepted"] != len(events):
            raise RuntimeError(f"ingest: {status} {reply[:300]!r}")
    return took, texts, sent


def settled(client):
    """Waits until everything is derived; a wait that the daemon finds too long is asked again."""
    while True:
        status, reply = client.send("POST", "/api/memory/sync/", b"{}")
        if status < 300:
            return json.loads(reply)
        if status != 503:
            raise RuntimeError(f"sync: {status} {reply[:300]!r}")


def told(client, sessions, episodes):
    """Waits until the ended sessions are told as episodes, which happens now and then; (how many, after seconds)."""
    began = time.perf_counter()
    while episodes < sessions and time.perf_counter() - began < EPISODES_SECONDS:
        time.sleep(1)
        episodes = settled(client)["episodes"]
    return {"count": episodes, "sessions": sessions, "seconds": time.perf_counter() - began}


def asked(client, method, path, bodies, times=ASKED):
    """The seconds of each question, after a few that warm up."""
    def ask(i):
        status, reply = client.send(method, path, bodies[i % len(bodies)])
        if status >= 300:
            raise RuntimeError(f"{path}: {status} {reply[:300]!r}")
    rig.timed(ask, WARM)
    return rig.timed(ask, times)


def answering(daemon, name, out):
    """Starts the daemon; the seconds from there to the door, to an acked event and to a prediction."""
    began = time.perf_counter()
    out[f"{name}_s"] = daemon.start()
    client = daemon.client()
    client.json("GET", "/health/")
    out[f"{name}_health_s"] = time.perf_counter() - began
    event = {"id": f"bench:{name}", "session_id": f"bench:{name}", "occurred_at": "2026-01-01T00:00:00Z", "source": "cli",
             "type": "terminal.command", "command": "ls", "cwd": "/", "exit_code": 0, "duration_ms": 1}
    client.json("POST", "/api/recording/events/", [event])
    out[f"{name}_acked_s"] = time.perf_counter() - began
    while client.send("POST", "/api/predictions/predict/", QUESTION)[0] == 503:
        pass  # it waited for long already, and asks to be asked again
    out[f"{name}_predicted_s"] = time.perf_counter() - began
    out[f"{name}_cpu_s"] = daemon.spent()[0]
    return client


def restarts(daemon, life):
    """Start times after a clean stop and after kill -9 in the middle of deriving; acked events must be there."""
    out = {"stop_s": daemon.end()}
    client = answering(daemon, "clean", out)
    out["rss_after_start_mb"] = daemon.memory()[0]
    events = life.batch()
    reply = client.json("POST", "/api/recording/events/", events)
    daemon.end(signal.SIGKILL)
    client = answering(daemon, "killed", out)
    for event in (events[0], events[-1]):
        client.json("GET", f"/api/recording/events/{event['id']}/")
    out["acked_before_kill"] = reply["accepted"]
    return out


def measure(options, daemon):
    found = {"n_events": options.events, "before": rig.load()}
    words = Words(SEED)
    life = Life(words, options.events)
    found["first_start_s"] = daemon.start()
    found["fresh"] = daemon.idle(options.idle or 1)
    client = daemon.client()
    found["health_fresh"] = rig.quantiles(asked(client, "GET", "/health/", [b""]))
    began = time.perf_counter()
    took, texts, sent = ingest(client, life, options.events)
    acked, acked_cpu = sum(took), daemon.spent()[0]
    ask = Words(SEED)
    ask.draw = random.Random(SEED + 1)  # the same vocabulary, other draws
    questions = [ask.agent() for _ in range(ASKED)]
    searches = [" ".join(ask.some(ask.draw.randint(2, 6))) for _ in range(ASKED)]
    to_body = lambda **fields: json.dumps(fields).encode()
    predict = [to_body(agent="Claude Code", agent_input=question, k=3) for question in questions]
    search = [to_body(query=words) for words in searches]
    # Everything is acked and nearly nothing is derived yet: who asks now must not wait for that.
    found["predict_behind"] = rig.quantiles(asked(client, "POST", "/api/predictions/predict/", predict, BEHIND))
    synced = settled(client)
    behind = time.perf_counter() - began
    began_sync = time.perf_counter()
    client.json("POST", "/api/memory/sync/", {})
    found["ingest"] = {"events_per_s": options.events / acked, "mb_per_s": sent / acked / 1e6, "seconds": acked,
                       "bytes_per_event": sent / options.events, **rig.quantiles(took)}
    found["derive"] = {"seconds_until_synced": behind, "events_per_s": options.events / behind,
                       "cpu_s": daemon.spent()[0] - acked_cpu, "second_sync_ms": 1000 * (time.perf_counter() - began_sync)}
    found["episodes"] = told(client, options.events // SESSION_EVENTS, synced["episodes"])
    found["after_ingest_mb"] = dict(zip(("rss", "peak", "anonymous"), daemon.memory()))
    found["counts"] = client.json("GET", "/api/monitoring/status/").get("counts")
    found["sizes"] = daemon.sizes()
    found["health"] = rig.quantiles(asked(client, "GET", "/health/", [b""]))
    began_cpu = daemon.spent()[0]
    found["predict"] = rig.quantiles(asked(client, "POST", "/api/predictions/predict/", predict))
    found["predict"]["cpu_ms"] = 1000 * (daemon.spent()[0] - began_cpu) / (ASKED + WARM)
    found["search"] = rig.quantiles(asked(client, "POST", "/api/memory/search/", search))
    found["connections"] = client.connections
    found["after_queries_mb"] = dict(zip(("rss", "peak", "anonymous"), daemon.memory()))
    if options.idle:
        found["idle_loaded"] = daemon.idle(options.idle)
    client.close()
    found["restart"] = restarts(daemon, life)
    found["after"] = rig.load()
    return found


def show(found):
    mb = lambda size: f"{size:.1f} MB"
    print(f"{found['n_events']} events; {found['before']} before, {found['after']} after")
    rig.row("", "p50", "p99", "worst")
    for name, what in (("health_fresh", "GET /health/, fresh home"), ("health", "GET /health/, loaded"),
                       ("predict_behind", "POST predict, while it derives"),
                       ("predict", "POST predict, k=3"), ("search", "POST search"), ("ingest", "POST 1,000 events")):
        rig.latency_row(what, found[name])
    ingested, derived, restart = found["ingest"], found["derive"], found["restart"]
    rig.row("ingest, acked", f"{ingested['events_per_s']:.0f}/s", f"{ingested['mb_per_s']:.1f} MB/s")
    rig.row("ingest until derived and searchable", f"{derived['events_per_s']:.0f}/s",
            f"{derived['seconds_until_synced']:.1f} s", f"{derived['cpu_s']:.1f} s CPU")
    told = found["episodes"]
    rig.row("sessions told as episodes after", f"{told['count']}/{told['sessions']}", f"{told['seconds']:.0f} s")
    rig.row("start of a new home", f"{1000 * found['first_start_s']:.0f} ms")
    rig.row("from a start to", "health", "acked event", "prediction")
    for name, what in (("clean", "after a clean stop"), ("killed", "after kill -9")):
        rig.row(what, *(f"{1000 * restart[f'{name}_{what}_s']:.0f} ms" for what in ("health", "acked", "predicted")))
    rig.row("processor time of these starts", f"{1000 * restart['clean_cpu_s']:.0f} ms",
            f"{1000 * restart['killed_cpu_s']:.0f} ms")
    rig.row("processor time of a prediction", f"{found['predict']['cpu_ms']:.2f} ms")
    rig.row("clean stop", f"{1000 * restart['stop_s']:.0f} ms")
    rig.row("RSS: fresh, after ingest, after queries", mb(found["fresh"]["rss_mb"]), mb(found["after_ingest_mb"]["rss"]),
            mb(found["after_queries_mb"]["rss"]))
    rig.row("RSS: peak, after a restart", mb(found["after_queries_mb"]["peak"]), mb(restart["rss_after_start_mb"]))
    for name in ("fresh", "idle_loaded"):
        if found.get(name, {}).get("seconds", 0) > 1:
            idle = found[name]
            rig.row(f"{idle['seconds']} idle seconds, {name}", f"{idle['cpu_percent']:.2f} % CPU",
                    f"{idle['written_bytes']} B", f"{idle['writes']} writes")
    rig.row("on disk", *(f"{part} {size / 1e6:.1f}M" for part, size in found["sizes"].items()))


def main():
    parser = rig.parser(__doc__, "events", 100_000)
    parser.add_argument("--idle", type=int, default=0, help="also watch so many idle seconds, twice")
    options = parser.parse_args()
    daemon = rig.Daemon(options.binary, options.dir)
    try:
        found = measure(options, daemon)
    finally:
        daemon.remove()
    show(found)
    is_kept = rig.keep(options, found)
    print(f"  JSON in {os.path.basename(options.json)}" if is_kept else json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
