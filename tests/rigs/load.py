"""What the rigs share: a daemon in a home that the rig chose, clients that load it, and a ledger of what was acked."""

import json
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
import rig  # noqa: E402  (the daemon and the client of the benches)

RESEND = 1000
FULL = 507


class Daemon(rig.Daemon):
    """A daemon whose home the rig made, on the disk that the rig breaks."""

    def __init__(self, binary, home, env=None):
        self.binary, self.home = os.path.abspath(binary), home
        os.makedirs(home, mode=0o700, exist_ok=True)
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("CLONE_")}
        self.env.update(CLONE_HOME=home, NO_COLOR="1", **(env or {}))
        self.child, self.socket, self.vault = None, f"{home}/clone.sock", f"{home}/vault"


def event(name):
    """A prompt whose text follows from its id, so that a reader knows what it must hold."""
    words = random.Random(name)
    text = " ".join(f"{words.getrandbits(32):08x}" for _ in range(words.randint(4, 60)))
    return {"id": name, "session_id": "rig-" + name.split("-")[0], "occurred_at": "2026-01-01T00:00:00Z", "source": "agent",
            "source_detail": "rig", "type": "agent.prompt", "agent": "Rig", "prompt": text, "meta": {"origin": "typed"}}


class Ledger:
    """Who sent what and what was acked; in this process, which no fault of the rig touches."""

    def __init__(self):
        self.lock, self.sent, self.acked, self.refused, self.statuses, self.last_ack = threading.Lock(), 0, [], 0, {}, 0.0

    def note(self, ids, status):
        with self.lock:
            self.sent += len(ids)
            self.statuses[status] = self.statuses.get(status, 0) + 1
            if status in (200, 201):
                self.acked.extend(ids)
                self.last_ack = time.monotonic()
            else:
                self.refused += len(ids)

    def read(self):
        """What is acked by now."""
        with self.lock:
            return list(self.acked)


class Load:
    """Clients that post small batches until they are ended. `pause` holds them between two batches."""

    def __init__(self, socket, ledger, name, clients=3, rest=0.003, batch=5):
        self.socket, self.ledger, self.name, self.rest, self.batch = socket, ledger, name, rest, batch
        self.over, self.going = threading.Event(), threading.Event()
        self.going.set()
        self.threads = [threading.Thread(target=self.run, args=(number,), daemon=True) for number in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        draw, client, count = random.Random(f"{self.name}-{number}"), None, 0
        while not self.over.is_set():
            self.going.wait()
            ids = [f"{self.name}-{number}-{count}-{i}" for i in range(draw.randint(1, self.batch))]
            count += 1
            try:
                client = client or rig.Client(self.socket)
                status, _ = client.send("POST", "/api/recording/events/", json.dumps([event(one) for one in ids]).encode())
                self.ledger.note(ids, status)
                time.sleep(self.rest * draw.random() if status < 300 else 0.05)
            except (OSError, ConnectionError, ValueError):
                self.ledger.note(ids, "no answer")
                client = None
                time.sleep(0.02)

    def end(self):
        self.over.set()
        self.going.set()
        for thread in self.threads:
            thread.join(30)


def missing(client, acked):
    """How many of these events the daemon does not have: it takes them as new when they are sent again."""
    lost = 0
    for start in range(0, len(acked), RESEND):
        ids = acked[start : start + RESEND]
        answer = client.json("POST", "/api/recording/events/", [event(one) for one in ids])
        lost += len(ids) - answer["duplicates"]
    return lost


def altered(client, ids):
    """Which of these events are not what was sent."""
    wrong = []
    for one in ids:
        status, body = client.send("GET", f"/api/recording/events/{one}/")
        if status == 200 and json.loads(body).get("prompt") != event(one)["prompt"]:
            wrong.append(one)
    return wrong
