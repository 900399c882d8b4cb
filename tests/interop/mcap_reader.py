#!/usr/bin/env python3
"""A log of the real binary as stock readers of MCAP see it: the PyPI package `mcap`, and `@mcap/core` where node is.

Usage: mcap_reader.py PATH_TO_CLONE [N_EVENTS] [--node FOLDER]

In a throwaway home: sends N_EVENTS events (default 100000) of every wire topic over the socket, lets the daemon make
events of its own beside them (a prediction, a verdict, a key), ends it, and opens every segment and an exported file.
FOLDER is where `npm install @mcap/core fzstd` was run; without it, or without node, that reader is skipped and said so.
"""

import argparse
import http.client
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import zlib
from collections import Counter
from datetime import datetime, timedelta, timezone
from importlib.metadata import version
from pathlib import Path

import jsonschema
from mcap.reader import NonSeekingReader, SeekingReader, make_reader
from mcap.stream_reader import StreamReader

SEED = 11
BATCH = 1000
VALIDATED_OF_EACH_TOPIC = 500
READY_SECONDS = 120
START = datetime(2026, 5, 5, tzinfo=timezone.utc)

passed, failed = 0, []


def check(what, holds, seen=""):
    """One assertion; the run goes on, so that one failure does not hide the next."""
    global passed
    if holds:
        passed += 1
    else:
        failed.append(what)
        print(f"  FAILED  {what}  {str(seen)[:300]}")


class OverSocket(http.client.HTTPConnection):
    """HTTP over the daemon's Unix socket."""

    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Daemon:
    """`clone daemon` in a home; ended by its own process id."""

    def __init__(self, binary, home):
        self.home = home
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("CLONE_")}
        self.env.update(CLONE_HOME=home, NO_COLOR="1")
        self.child = subprocess.Popen(
            [binary, "daemon"], env=self.env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        ready = threading.Event()

        def read():
            for line in self.child.stderr:
                if line.rstrip().endswith("ready"):
                    ready.set()
            ready.set()  # it ended

        threading.Thread(target=read, daemon=True).start()
        if not ready.wait(READY_SECONDS) or self.child.poll() is not None:
            sys.exit("the daemon did not start")

    def call(self, method, path, body=None):
        connection = OverSocket(os.path.join(self.home, "clone.sock"))
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        read = json.loads(answer.read() or "null")
        connection.close()
        if answer.status >= 300:
            sys.exit(f"{method} {path}: {answer.status} {read}")
        return read

    def end(self):
        self.child.terminate()
        check("the daemon ends well", self.child.wait(timeout=600) == 0)


def events(count):
    """Events of every wire topic, the same in every run; JSON that is odd to read is among them."""
    draw = random.Random(SEED)
    modifiers = {"shift": False, "ctrl": True, "alt": False, "meta": False}
    odd = ['quote " and \\ and \u2028', "日本語 ñ 🎉", "\x1b[31mred\x07", "line\nline\ttab", "x" * 3000]
    kinds = {
        "app.focused": lambda words: {"app": "Code", "window_title": words},
        "capture.frame": lambda _: {"uri": "chunk.mkv#1", "content_hash": None, "width": 1920, "height": 1080},
        "input.keystroke": lambda _: {"event_type": "press", "modifiers": modifiers},
        "input.click": lambda _: {"x": -3, "y": 4, "button": 1, "modifiers": modifiers},
        "input.scroll": lambda _: {"x": 1, "y": 2, "delta_x": 0, "delta_y": -5, "modifiers": modifiers},
        "agent.prompt": lambda words: {"agent": "Test Agent", "prompt": words},
        "agent.response": lambda words: {"agent": "Test Agent", "response": words, "in_response_to": None},
        "terminal.command": lambda words: {"command": "ls " + words, "cwd": None, "exit_code": 0, "duration_ms": 12},
        "browser.visited": lambda words: {"url": "http://localhost/", "title": words},
        "agent.choice": lambda words: {
            "agent": "Test Agent", "kind": "question", "question": words, "options": ["a", "b"], "choice": "a",
            "outcome": "chosen", "in_response_to": None,
        },
        "session.started": lambda _: {},
        "session.stopped": lambda _: {},
    }
    names = list(kinds)
    for number in range(count):
        kind = names[number % len(names)]
        words = odd[number // 7 % len(odd)] if number % 7 == 0 else f"word {draw.randrange(10**6)} for {number}"
        at = START + timedelta(milliseconds=37 * number)
        yield {
            "id": f"event-{number}", "type": kind, "session_id": f"s-{number // 600}", "source": "agent",
            "source_detail": "test", "occurred_at": at.isoformat().replace("+00:00", "Z"), **kinds[kind](words),
        }


def fill(binary, home, count):
    """Sends everything; the ids and topics that were sent."""
    daemon, sent, batch = Daemon(binary, home), Counter(), []
    for event in events(count):
        sent[event["type"]] += 1
        batch.append(event)
        if len(batch) == BATCH:
            flush(daemon, batch)
    flush(daemon, batch)
    made = daemon.call("POST", "/api/predictions/predict/", {"agent": "Test Agent", "agent_input": "Go on?"})
    daemon.call("POST", f"/api/predictions/{made['id']}/feedback/", {"status": "rejected"})
    daemon.call("POST", "/api/auth/keys/", {"label": "interop"})
    daemon.end()
    return sent


def flush(daemon, batch):
    if batch:
        answer = daemon.call("POST", "/api/recording/events/", batch)
        check("a batch is taken whole", answer["accepted"] == len(batch), answer)
        batch.clear()


class Counting:
    """A stream that counts the bytes that are read off it."""

    def __init__(self, stream):
        self.stream, self.count = stream, 0

    def read(self, size=-1):
        read = self.stream.read(size)
        self.count += len(read)
        return read

    def __getattr__(self, name):
        return getattr(self.stream, name)


class File:
    """One MCAP file through the stock reader, every checksum validated."""

    def __init__(self, path):
        self.path = path
        self.counts, self.times, self.rows, self.validated = Counter(), [], [], Counter()

    def read(self):
        self.linear()
        with open(self.path, "rb") as stream:
            reader = make_reader(stream, validate_crcs=True)
            check("a stock reader seeks in it", isinstance(reader, SeekingReader), type(reader))
            self.summary = reader.get_summary()
            self.messages(reader)
            self.statistics()
            self.metadata(reader)
            self.seek(reader)
        return self

    def linear(self):
        """Record by record, without the summary."""
        counted = Counter()
        with open(self.path, "rb") as stream:
            for _, channel, message in NonSeekingReader(stream, validate_crcs=True).iter_messages(log_time_order=False):
                counted[channel.topic] += 1
        self.linear_counts = counted
        with open(self.path, "rb") as stream:
            for record in StreamReader(stream, emit_chunks=True, validate_crcs=True).records:
                if type(record).__name__ == "DataEnd":
                    self.data_end = record

    def messages(self, reader):
        validators = {}
        for schema, channel, message in reader.iter_messages(log_time_order=False):
            event = json.loads(message.data)
            check("an event is an object of its topic", event["type"] == channel.topic, channel.topic)
            self.counts[channel.topic] += 1
            self.times.append(message.log_time)
            base = int(channel.metadata["first"])
            self.rows.append((base + message.sequence, event["id"], zlib.crc32(message.data)))
            if self.validated[channel.topic] < VALIDATED_OF_EACH_TOPIC:
                if schema.id not in validators:
                    check("a schema is named and is JSON Schema",
                          (schema.name, schema.encoding) == (f"clone/{channel.topic}/1", "jsonschema"), schema.name)
                    text = json.loads(schema.data)
                    kind = jsonschema.Draft202012Validator
                    kind.check_schema(text)
                    validators[schema.id] = kind(text, format_checker=kind.FORMAT_CHECKER)
                problems = [error.message for error in validators[schema.id].iter_errors(event)]
                check(f"an event of {channel.topic} fits its embedded schema", not problems, problems)
                self.validated[channel.topic] += 1

    def statistics(self):
        told, times = self.summary.statistics, self.times
        by_topic = {self.summary.channels[id].topic: n for id, n in told.channel_message_counts.items()}
        check("both ways of reading count alike", self.linear_counts == self.counts)
        check("statistics: messages", told.message_count == sum(self.counts.values()), told)
        check("statistics: messages per channel", by_topic == dict(self.counts), by_topic)
        check("statistics: times", (told.message_start_time, told.message_end_time) == (min(times), max(times)), told)
        check("statistics: chunks", told.chunk_count == len(self.summary.chunk_indexes), told.chunk_count)
        check("statistics: schemas and channels",
              (told.schema_count, told.channel_count) == (len(self.counts),) * 2, told)
        check("the data has a checksum", self.data_end.data_section_crc != 0)

    def metadata(self, reader):
        found = list(reader.iter_metadata())
        if not found:  # a reader that goes by the index alone; the record is read record by record
            with open(self.path, "rb") as stream:
                found = list(NonSeekingReader(stream).iter_metadata())
        told = [(one.name, one.metadata.get("format"), one.metadata.get("encryption")) for one in found]
        check("the metadata record is there", told == [("clone", "1", "none")], told)
        header = reader.get_header()
        check("the profile is ours", header.profile == "clone", header)

    def seek(self, reader):
        """Windows of log time: what comes back is what the times say, and it comes from the index."""
        times = sorted(self.times)
        draw, asked = random.Random(SEED), 0
        for _ in range(20):
            low, high = sorted((draw.choice(times), draw.choice(times)))
            expected = sum(low <= time < high for time in times)
            got = sum(1 for _ in reader.iter_messages(starting_at=low, ending_before=high))
            check("a window of log time holds what it must", got == expected, (got, expected))
            asked += 1
        self.windows = asked
        self.narrow()

    def narrow(self):
        """One chunk's times: nothing else is read but the summary and the chunks that the index names."""
        indexes = self.summary.chunk_indexes
        middle = indexes[len(indexes) // 2]
        low, high = middle.message_start_time, middle.message_end_time
        named = [one for one in indexes if one.message_start_time <= high and one.message_end_time >= low]
        with open(self.path, "rb") as stream:
            counting = Counting(stream)
            reader = make_reader(counting, validate_crcs=True)
            reader.get_summary()
            before = counting.count
            got = sum(1 for _ in reader.iter_messages(starting_at=low, ending_at=high))
        expected = sum(low <= time <= high for time in self.times)
        self.read_for_one = (counting.count - before, os.path.getsize(self.path))
        check("a narrow window holds what it must", got == expected > 0, (got, expected))
        allowed = 2 * sum(one.chunk_length for one in named) + 65_536
        check("a narrow window is read through the chunk index", self.read_for_one[0] <= allowed, self.read_for_one)


def node(folder, paths):
    """The same counts by `@mcap/core`."""
    program = Path(__file__).with_name("mcap_reader.mjs")
    if folder is None or shutil.which("node") is None:
        print("SKIPPED: @mcap/core (no --node FOLDER, or no node)")
        return
    ran = subprocess.run(["node", str(program), folder, *map(str, paths)], capture_output=True, text=True, check=False)
    check("@mcap/core reads every file", ran.returncode == 0, ran.stderr)
    return json.loads(ran.stdout) if ran.returncode == 0 else None


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("clone")
    arguments.add_argument("events", nargs="?", type=int, default=100_000)
    arguments.add_argument("--node", default=None)
    asked = arguments.parse_args()
    home = tempfile.mkdtemp(prefix="clone-mcap-")  # 0700, and short: a socket path has room for 107 bytes
    try:
        sent = fill(asked.clone, home, asked.events)
        paths = sorted(Path(home, "log").glob("*.mcap"))
        check("every segment is sealed", paths and not any(".open." in path.name for path in paths), paths)
        files = [File(path).read() for path in paths]
        counts = sum((file.counts for file in files), Counter())
        for topic, number in sent.items():
            check(f"as many {topic} as were sent", counts[topic] == number, (counts[topic], number))
        rows = [row for file in files for row in file.rows]
        check("positions ascend over the files", all(a[0] < b[0] for a, b in zip(rows, rows[1:])))
        check("no id twice", len({row[1] for row in rows}) == len(rows))
        out = os.path.join(home, "export.mcap")
        env = {**os.environ, "CLONE_HOME": home}
        subprocess.run([asked.clone, "log", "export", "--format", "mcap", "--out", out], env=env, check=True)
        exported = File(Path(out)).read()
        check("an export holds every event at its position, byte for byte", exported.rows == rows)
        core = node(asked.node, [*paths, out])
        if core:
            check("@mcap/core counts alike", core[0]["counts"] == dict(counts), core[0])
            check("@mcap/core counts the export alike", core[-1]["counts"] == dict(counts), core[-1])
        validated = sum((file.validated for file in files), Counter())
        print(f"mcap {version('mcap')}, jsonschema {version('jsonschema')}: {len(files)} segments,"
              f" {sum(counts.values())} events of {len(counts)} topics, {sum(validated.values())} validated,"
              f" {sum(len(file.summary.chunk_indexes) for file in files)} chunks,"
              f" {sum(file.windows for file in files)} windows of log time")
        print("  bytes read for one chunk's times: "
              + ", ".join(f"{read} of {size}" for read, size in (file.read_for_one for file in files)))
        print("  per topic: " + ", ".join(f"{topic} {number}" for topic, number in sorted(counts.items())))
        if core:
            print(f"@mcap/core {core[0]['version']}: {sum(core[0]['counts'].values())} events, checksums validated")
    finally:
        shutil.rmtree(home, ignore_errors=True)
    print(f"{passed} checks passed, {len(failed)} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
