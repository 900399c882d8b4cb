"""What the benches share: a throwaway home with a daemon in it, a keep-alive client of its socket, and numbers.

Plain Python 3, no packages: the measure must not depend on what it measures, so this is not Clone's own client.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

READY_SECONDS = 600
REPLY_SECONDS = 600
STEP_ANSWERS = 4000  # a few tenths of a second
IDLE_SECONDS = 5
TICKS = os.sysconf("SC_CLK_TCK")


class Client:
    """HTTP/1.1 over a Unix socket on one connection."""

    def __init__(self, path):
        self.path, self.connections = path, 0
        self.connect()

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(REPLY_SECONDS)
        self.sock.connect(self.path)
        self.connections += 1
        self.used = time.monotonic()

    def send(self, method, path, body=b""):
        """(status, body as bytes); `body` is bytes too, so that making it costs the clock nothing."""
        if time.monotonic() - self.used > IDLE_SECONDS:  # the daemon hangs up on who says nothing for long
            self.close()
            self.connect()
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        head += "Content-Type: application/json\r\n\r\n" if body else "\r\n"
        self.sock.sendall(head.encode() + body)
        got = b""
        while b"\r\n\r\n" not in got:
            got += self.more()
        head, _, rest = got.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        parts, missing = [rest], int(headers.get("content-length", 0)) - len(rest)
        while missing > 0:
            parts.append(self.more())
            missing -= len(parts[-1])
        if headers.get("connection", "").lower() == "close":
            self.close()
            self.connect()
        self.used = time.monotonic()
        return int(lines[0].split()[1]), b"".join(parts)

    def more(self):
        part = self.sock.recv(1 << 18)
        if not part:
            raise ConnectionError("the daemon hung up")
        return part

    def json(self, method, path, body=None):
        """The reply as JSON; anything but a success is an error here."""
        status, reply = self.send(method, path, json.dumps(body).encode() if body is not None else b"")
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {reply[:300]!r}")
        return json.loads(reply)

    def close(self):
        self.sock.close()


class Feed:
    """The log as it grows, as server-sent events: reading waits until something is recorded."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(path)
        self.sock.sendall(b"GET /api/events/stream/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.rest = b""
        if b" 200 " not in (self.line(time.monotonic() + READY_SECONDS) or b""):
            raise RuntimeError("there is no stream of events")

    def line(self, until):
        """The next line; None when it is not whole by then, and what came of it stays for the next call."""
        # Not `makefile`: a file made of a socket reads nothing more once it has timed out.
        while b"\n" not in self.rest:
            left = until - time.monotonic()
            if left <= 0:
                return None
            self.sock.settimeout(left)
            try:
                more = self.sock.recv(65536)
            except TimeoutError:
                return None
            if not more:
                raise ConnectionError("the daemon hung up")
            self.rest += more
        line, _, self.rest = self.rest.partition(b"\n")
        return line

    def waits_for(self, word, seconds):
        """Whether an event that holds this word is recorded within so many seconds."""
        word, until = word.encode(), time.monotonic() + seconds
        while (line := self.line(until)) is not None:
            if word in line:
                return True
        return False


class Daemon:
    """`clone daemon` in a home of its own; every signal goes to its own process id."""

    def __init__(self, binary, under=None, home=None):
        self.binary = os.path.abspath(binary)
        self.home = home or tempfile.mkdtemp(prefix="clone-bench-", dir=under)  # 0700
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("CLONE_")}
        self.env.update(CLONE_HOME=self.home, NO_COLOR="1")
        self.child, self.socket, self.vault = None, f"{self.home}/clone.sock", f"{self.home}/vault"

    def start(self):
        """Starts it; the seconds until it says that it is ready."""
        began, is_ready, told = time.perf_counter(), threading.Event(), []
        self.child = subprocess.Popen(
            [self.binary, "daemon"], env=self.env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        at = []

        def read(lines):
            for line in lines:
                told.append(line)
                if line.rstrip().endswith("ready") and not is_ready.is_set():
                    at.append(time.perf_counter())
                    is_ready.set()
            is_ready.set()  # it ended

        threading.Thread(target=read, args=(self.child.stderr,), daemon=True).start()
        is_ready.wait(READY_SECONDS)
        if not at:
            raise RuntimeError("the daemon did not start:\n" + "".join(told))
        return at[0] - began

    def client(self):
        return Client(self.socket)

    def feed(self):
        return Feed(self.socket)

    def end(self, how=signal.SIGTERM):
        """Ends it; the seconds that took."""
        began = time.perf_counter()
        if self.child is not None and self.child.poll() is None:
            self.child.send_signal(how)
            self.child.wait(timeout=READY_SECONDS)
        return time.perf_counter() - began

    def remove(self):
        self.end()
        shutil.rmtree(self.home, ignore_errors=True)

    def memory(self):
        """(resident, most ever resident, of these anonymous) in MB."""
        fields = {}
        with open(f"/proc/{self.child.pid}/status", encoding="ascii") as file:
            for line in file:
                name, _, value = line.partition(":")
                fields[name] = value
        return tuple(int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM", "RssAnon"))

    def spent(self):
        """(seconds of processor, bytes sent to disk, write calls) since it started."""
        with open(f"/proc/{self.child.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        with open(f"/proc/{self.child.pid}/io", encoding="ascii") as file:
            io = {name: int(value) for name, _, value in (line.partition(":") for line in file)}
        return (int(fields[11]) + int(fields[12])) / TICKS, io["write_bytes"], io["syscw"]

    def idle(self, seconds):
        """What it spends while nobody asks for anything."""
        before = self.spent()
        time.sleep(seconds)
        cpu, written, writes = (after - b for after, b in zip(self.spent(), before))
        return {"seconds": seconds, "cpu_percent": 100 * cpu / seconds, "written_bytes": written, "writes": writes,
                "rss_mb": self.memory()[0]}

    def sizes(self):
        """Bytes on disk of each part of the home."""
        sizes = {}
        for folder, _, files in os.walk(self.home):
            part = os.path.relpath(folder, self.home).split(os.sep)[0]
            for name in files:
                path = os.path.join(folder, name)
                key = name if part == "." else part
                try:
                    sizes[key] = sizes.get(key, 0) + os.lstat(path).st_size
                except FileNotFoundError:
                    pass  # a temporary file that was renamed meanwhile
        return {key: size for key, size in sorted(sizes.items()) if size}


def out_of_step(client, draw):
    """Waits for the daemon to be at rest and then for a random number of answers, so that nothing begins in step with it."""
    client.json("POST", "/api/memory/sync/", {})
    for _ in range(draw.randrange(STEP_ANSWERS)):
        client.send("GET", "/health/")


def is_found(client, word, **filters):
    return bool(client.json("POST", "/api/memory/search/", {"query": word, **filters}))


def found_within(client, feed, word, seconds, **filters):
    """Whether a word that was just written somewhere is found by search within so many seconds.

    It waits for the event that holds the word, which costs the daemon nothing, and only then asks the search.
    """
    until = time.monotonic() + seconds
    if not feed.waits_for(word, seconds):
        return False
    while not is_found(client, word, **filters):
        if time.monotonic() > until:
            return False
    return True


def quantiles(seconds):
    """p50, p99 and the worst, in milliseconds; none of them of nothing, as where everything was lost."""
    ordered = sorted(seconds)
    at = lambda share: 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None
    return {"n": len(ordered), "p50_ms": at(0.50), "p99_ms": at(0.99), "max_ms": at(1.0)}


def timed(call, times):
    """The seconds of each of so many calls, `call(i)`."""
    took = []
    for i in range(times):
        began = time.perf_counter()
        call(i)
        took.append(time.perf_counter() - began)
    return took


def parser(doc, count, otherwise):
    """What every bench takes: the binary, how many, where the throwaway home goes and where the figures are kept."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("binary")
    made.add_argument(count, nargs="?", type=int, default=otherwise)
    made.add_argument("--dir", help="where the throwaway home goes; a short path on a real disk")
    made.add_argument("--json", help="also write the JSON here")
    return made


def keep(options, found):
    """Writes the figures where they are wanted; whether they are."""
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            file.write(json.dumps(found, indent=1) + "\n")
    return bool(options.json)


def load():
    """How busy the machine is: without it no figure means anything."""
    return {"cores": os.cpu_count(), "load_1m": round(os.getloadavg()[0], 2)}


def row(what, *figures):
    print(f"  {what:<44}" + "".join(f"{figure:>13}" for figure in figures), flush=True)


def latencies(figures, digits=2):
    """p50, p99 and the worst as they are shown."""
    shown = (figures[name] for name in ("p50_ms", "p99_ms", "max_ms"))
    return ["-" if figure is None else f"{figure:.{digits}f} ms" for figure in shown]


def latency_row(what, figures):
    row(what, *latencies(figures))
