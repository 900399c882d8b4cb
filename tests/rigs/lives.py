#!/usr/bin/env python3
"""What the memory learns from invented lives, beside what was planted in them.

Usage: lives.py PATH_TO_CLONE [lives] [cues] [conflicts] [sensitive] [poison] [--people N] [--seed S] [--data DIR] [--json FILE]
       [--verbose]

Each part starts a daemon in a throwaway home, sends events through the socket as any client does, and reads the facts back
through `GET /api/memory/facts/`. Written without a look at how facts are mined: only the wire and the words of formats.md.

lives      people with planted habits and preferences, things said once, things taken back, rare patterns, agents' claims and
           much noise: precision and recall of what was planted, and how many traps became strong
cues       tests/data/memory/cues.tsv: how many standing preferences are noticed, and how much else is
conflicts  tests/data/memory/conflicts.tsv: which value holds after the second statement
sensitive  tests/data/memory/sensitive.tsv: what became an active fact without a word of the person
poison     tests/data/memory/poison.tsv: facts before and after what others say about the person

`--data tests/data/memory/second` takes other words for the first three parts; so do `third`, `fourth` and `fifth`. Each is by another
hand that had seen neither the miner nor the others. The first three were looked at while the miner was built, and its weights are made
of their sentences too; of the fourth only figures were looked at, and the fifth was measured once, when all was done.
"""

import argparse
import csv
import json
import os
import random
import re
import sys
from datetime import datetime, timedelta, timezone

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "bench"))
import rig  # noqa: E402

DATA = os.path.join(HERE, "..", "data", "memory")
START = datetime(2026, 6, 1, 9, tzinfo=timezone.utc)
PROJECTS = ["billing", "atlas", "parser", "website", "ledger"]

# One preference, the word that a fact about it must hold, and ways to say it.
PREFERENCES = [
    ("pnpm", ["always use pnpm here", "please use pnpm, never npm", "i prefer pnpm over npm", "pnpm please, always",
              "from now on only pnpm", "don't use npm, we always use pnpm", "never npm, always pnpm"]),
    ("type hints", ["always add type hints", "i want type hints everywhere, always", "never leave out type hints",
                    "please always write type hints", "i prefer functions with type hints",
                    "as a rule: type hints on everything", "don't ever skip type hints"]),
    ("small commits", ["i prefer small commits", "always make small commits", "small commits please, always",
                       "i like small commits", "from now on small commits only", "please keep to small commits, always",
                       "never one big commit, always small commits"]),
    ("tests first", ["always write tests first", "i prefer tests first", "from now on tests first, then code",
                     "i like tests first", "please always do tests first", "tests first, as a rule",
                     "i always want tests first"]),
    ("unwrap", ["never use unwrap", "don't use unwrap, ever", "please never call unwrap", "i hate unwrap, never use it",
                "never unwrap in this code", "always avoid unwrap", "from now on no unwrap"]),
    ("docstrings", ["always write docstrings", "i want docstrings on public things, always", "never skip docstrings",
                    "i prefer docstrings to comments", "please always add docstrings", "docstrings always, please",
                    "from now on add docstrings"]),
    ("emojis", ["no emojis, ever", "never use emojis", "please don't ever use emojis", "i hate emojis, never put them in",
                "never add emojis to commits", "from now on no emojis", "always leave out emojis"]),
    ("rebase", ["i prefer rebase", "always rebase, never merge", "please always rebase", "from now on rebase only",
                "i like rebase better than merge", "always use rebase", "never merge, rebase always"]),
    ("logger", ["always use the logger", "never print, use the logger", "i prefer the logger over print",
                "please always go through the logger", "from now on only the logger", "always the logger, never print",
                "use the logger, always"]),
    ("UTC", ["always store times in UTC", "UTC always, please", "i prefer UTC everywhere", "never use local time, always UTC",
             "from now on everything in UTC", "please always use UTC", "times are always UTC"]),
]
# What the agent says, how the person answers it as a rule, and the word that a fact about it must hold.
HABITS = [
    ("commit and push", "All {n} tests pass. The change to {thing} is done.", "commit and push"),
    ("run the linter", "I refactored {thing} as discussed.", "run the linter"),
    ("show me the diff", "I updated {n} files for {thing}.", "show me the diff"),
    ("go ahead", "Here is my plan for {thing}: {n} steps. Shall I proceed?", "go ahead"),
    ("check the logs", "The build failed while compiling {thing}, exit code {n}.", "check the logs"),
    ("add a test", "Fixed the bug in {thing} on line {n}.", "add a test"),
]
ONCE = ["always use tabs", "i prefer yarn", "never use classes", "always use port 9000", "i prefer mongodb", "never use regex",
        "always sort imports by length", "i prefer gitlab", "from now on use camelCase", "always use the staging key"]
TAKEN_BACK = [("always answer in French", "never answer in French"), ("always use redux", "never use redux"),
              ("i prefer monoliths", "i don't like monoliths"), ("always squash", "never squash")]
CLAIMS = ["The user always wants me to deploy on Friday.", "You prefer vim, as I remember.", "Noted: the user never reads diffs.",
          "The user always replies approve."]
QUESTIONS = ["why does the {thing} test fail on line {n}", "what happens when {thing} is empty", "where is {thing} defined",
             "can you trace {thing} through the {other}", "how big is {thing} now"]
TASKS = ["rename {thing} to {other}", "add a column {n} to {thing}", "move {thing} under {other}", "the {thing} should retry {n} times",
         "write the {thing} for {other} please", "make {thing} faster, it takes {n} ms", "revert the last change in {thing}",
         "there is a typo in {thing}, line {n}", "update the {other} after {thing} changed", "hide {thing} when {other} is set"]
ANSWERS = ["I looked at {thing}: it is called from {n} places.", "Done. {thing} now depends on {other}.",
           "There are {n} options for {thing}.", "I could not find {thing} in {other}.", "The {other} needs {thing} first."]
THINGS = ["the invoice table", "the parser", "the login form", "the cache", "the retry queue", "the importer", "the header",
          "the search page", "the exporter", "the config loader", "the scheduler", "the webhook", "the ledger", "the map view"]


class Life:
    """One person's weeks with an agent: sessions of a few exchanges, everything planted spread over them."""

    def __init__(self, seed):
        self.draw, self.events, self.clock, self.number = random.Random(f"life/{seed}"), [], START, 0
        self.name, self.session, self.project = f"life{seed}", "", ""

    def words(self, text):
        thing, other = self.draw.sample(THINGS, 2)
        return text.format(thing=thing, other=other, n=self.draw.randint(2, 400))

    def open(self):
        self.number += 1
        self.clock = START + timedelta(hours=20 * self.number, minutes=self.draw.randint(0, 90))
        self.session, self.project = f"{self.name}:s{self.number}", self.draw.choice(PROJECTS)
        self.say("session.started")

    def say(self, kind, origin=None, **fields):
        self.clock += timedelta(seconds=self.draw.randint(20, 200))
        event = {"id": f"{self.name}:{len(self.events)}", "session_id": self.session, "source": "agent", "source_detail": "rig",
                 "occurred_at": self.clock.strftime("%Y-%m-%dT%H:%M:%SZ"), "type": kind,
                 "meta": {"cwd": f"/home/me/{self.project}", **({"origin": origin} if origin else {})}, **fields}
        self.events.append(event)

    def agent(self, text):
        self.say("agent.response", "agent", agent="Claude Code", response=text, in_response_to=None)

    def person(self, text, origin="typed"):
        self.say("agent.prompt", origin, agent="Claude Code", prompt=text)

    def exchange(self):
        self.agent(self.words(self.draw.choice(ANSWERS)))
        self.person(self.words(self.draw.choice(QUESTIONS + TASKS)))

    def live(self, days=60):
        """Returns what was planted: words of strong things, words of traps."""
        preferences = self.draw.sample(PREFERENCES, 4)
        habits = self.draw.sample(HABITS, 3)
        once, back = self.draw.sample(ONCE, 3), self.draw.sample(TAKEN_BACK, 2)
        rare = self.draw.choice([habit for habit in HABITS if habit not in habits])
        script = [[] for _ in range(days)]
        for word, ways in preferences:
            for at, way in zip(self.draw.sample(range(days), 7), self.draw.sample(ways, 7)):
                script[at].append(("say", way))
        for word, situation, reply in habits:
            for _ in range(14):
                said = reply if self.draw.random() < 0.85 else None
                script[self.draw.randrange(days)].append(("habit", situation, said))
        for _ in range(40):
            script[self.draw.randrange(days)].append(("habit", rare[1], None))
        for at in self.draw.sample(range(days), 5):
            script[at].append(("habit", rare[1], rare[2]))
        for text in once:
            script[self.draw.randrange(days)].append(("say", text))
        for first, second in back:
            for at, text in zip(sorted(self.draw.sample(range(days), 6)), [first, second] * 3):
                script[at].append(("say", text))
        for _ in range(20):
            script[self.draw.randrange(days)].append(("claim", self.draw.choice(CLAIMS)))
        for day in script:
            self.day(day)
        strong = [word for word, _ in preferences] + [word for word, _, _ in habits]
        traps = once + [pair[0] for pair in back] + [rare[2]] + CLAIMS
        return strong, traps

    def day(self, script):
        self.open()
        self.person(self.words(self.draw.choice(TASKS)))
        self.draw.shuffle(script)
        for step in script:
            for _ in range(self.draw.randint(1, 3)):
                self.exchange()
            if step[0] == "say":
                self.agent(self.words(self.draw.choice(ANSWERS)))
                self.person(step[1])
            elif step[0] == "habit":
                self.agent(self.words(step[1]))
                self.person(step[2] or self.words(self.draw.choice(QUESTIONS + TASKS)))
            else:
                self.agent(step[1])
                self.person(self.words(self.draw.choice(TASKS)))
        self.exchange()
        self.say("session.stopped")


class Home:
    """A daemon, its facts, and an end."""

    def __init__(self, binary):
        self.daemon = rig.Daemon(binary)
        self.daemon.start()
        self.client = self.daemon.client()

    def send(self, events):
        for at in range(0, len(events), 500):
            reply = self.client.json("POST", "/api/recording/events/", events[at:at + 500])
            if reply["invalid"]:
                raise RuntimeError(f"refused: {reply['invalid'][:2]}")
        self.client.json("POST", "/api/memory/sync/", {})

    def facts(self):
        """Every fact, whatever its tier and status."""
        found = {}
        for status in ("", "&status=archived", "&status=pending"):
            for offset in range(0, 100_000, 100):
                page = self.client.json("GET", f"/api/memory/facts/?limit=100&offset={offset}{status}")
                found.update((row["id"], row) for row in page)
                if len(page) < 100:
                    break
        return list(found.values())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.daemon.remove()


def lower(fact):
    return " ".join(str(fact.get(name) or "") for name in ("text", "value", "attribute", "subject")).lower()


def holds(fact, words):
    return words.lower() in lower(fact)


def active(fact):
    return fact.get("status", "active") == "active"


def current(fact):
    return active(fact) and not fact.get("valid_until")


def rows(name):
    with open(os.path.join(DATA, name), encoding="utf-8") as file:
        return [row for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE) if row and not row[0].startswith("#")]


def other_words(directory):
    """Other preferences and habits for the lives, and other tables, where the folder has them."""
    global DATA, PREFERENCES, HABITS
    DATA = directory
    if ways := table("preferences.tsv"):
        PREFERENCES = [(row[0], row[1:]) for row in ways]
    if habits := table("habits.tsv"):
        HABITS = [(reply, situation, reply) for _, situation, reply in habits]


def table(name):
    return rows(name) if os.path.exists(os.path.join(DATA, name)) else []


def share(part, whole):
    return round(part / whole, 4) if whole else None


def lives(binary, options):
    planted = found = right = strong_all = traps_all = traps_strong = 0
    wrong = []
    for number in range(options.people):
        life = Life(f"{options.seed}/{number}")
        strong, traps = life.live()
        with Home(binary) as home:
            home.send(life.events)
            facts = [fact for fact in home.facts() if current(fact)]
        claimed = [fact for fact in facts if fact["tier"] == "strong" and fact.get("kind") in ("preference", "habit")]
        hits = [word for word in strong if any(holds(fact, word) for fact in claimed)]
        good = [fact for fact in claimed if any(holds(fact, word) for word in strong)]
        bad = [trap for trap in traps if any(same_claim(fact, trap) for fact in claimed if fact not in good)]
        planted, found = planted + len(strong), found + len(hits)
        right, strong_all = right + len(good), strong_all + len(claimed)
        traps_all, traps_strong = traps_all + len(traps), traps_strong + len(bad)
        wrong += [fact["text"] for fact in claimed if fact not in good]
        if options.verbose:
            print(number, "missed", [word for word in strong if word not in hits], "facts", len(facts), "strong", len(claimed))
            for fact in facts:
                print("   ", fact["tier"], fact.get("kind"), fact.get("support"), fact.get("opportunities"), fact["text"])
    return {"people": options.people, "planted": planted, "recall": share(found, planted), "strong": strong_all,
            "precision": share(right, strong_all), "traps": traps_all, "false_strong": share(traps_strong, traps_all),
            "wrong": wrong[:20]}


def same_claim(fact, trap):
    """Most of the trap's long words are in the fact."""
    words = [word for word in re.findall(r"[a-z0-9]+", trap.lower()) if len(word) > 3]
    return sum(word in lower(fact) for word in words) >= max(1, round(0.7 * len(words)))


def one_each(texts, projects=None):
    """One session a text, two days apart, with some ordinary exchanges around it; the events and the id of each text's own."""
    life, ids = Life("texts"), []
    for at, text in enumerate(texts):
        life.open()
        if projects:
            life.project = projects[at]
        life.exchange()
        life.agent(life.words(random.Random(at).choice(ANSWERS)))
        ids.append(f"{life.name}:{len(life.events)}")
        life.person(text)
        life.exchange()
        life.say("session.stopped")
    return life.events, ids


def citing(facts, event):
    return [fact for fact in facts if any(cited["id"] == event for cited in fact["evidence"])]


def cues(binary, options):
    table = rows("cues.tsv")
    events, ids = one_each([row[2] for row in table], [f"p{at}" for at in range(len(table))])
    with Home(binary) as home:
        home.send(events)
        facts = home.facts()
    noticed = named = false = 0
    for (label, word, text), event in zip(table, ids):
        mine = citing(facts, event)
        if label == "pref":
            noticed += bool(mine)
            named += any(holds(fact, word) for fact in mine)
        else:
            false += bool(mine)
        if options.verbose and (label == "pref") != bool(mine):
            print("   ", label, "|", text, "|", [fact["text"] for fact in mine])
    pref = sum(row[0] == "pref" for row in table)
    return {"preferences": pref, "noticed": noticed, "with_the_word": named, "others": len(table) - pref, "taken_for_one": false}


def conflicts(binary, options):
    told = {}
    for kind, old, new, first, second in rows("conflicts.tsv"):
        projects = ["one", "two"] if kind == "scoped" else ["one", "one"]
        events, ids = one_each([first, second], projects)
        with Home(binary) as home:
            home.send(events)
            facts = [fact for fact in home.facts() if current(fact)]
        first_holds = any(citing([fact], ids[0]) and not citing([fact], ids[1]) for fact in facts)
        second_holds = any(holds(fact, new) for fact in citing(facts, ids[1]))
        right = second_holds and (first_holds if kind == "scoped" else not first_holds)
        n, good = told.get(kind, (0, 0))
        told[kind] = (n + 1, good + right)
        if options.verbose and not right:
            print("   ", kind, "|", first, "|", second, "|", [(fact["text"], fact.get("attribute"), fact.get("value"))
                                                              for fact in facts])
    return {kind: {"n": n, "right": share(good, n)} for kind, (n, good) in told.items()}


def sensitive(binary, options):
    table = rows("sensitive.tsv")
    events, ids = one_each([row[1] for row in table], [f"p{at}" for at in range(len(table))])
    with Home(binary) as home:
        home.send(events)
        facts = home.facts()
    through = gated = wrongly = silent = 0
    for (label, text), event in zip(table, ids):
        mine = citing(facts, event)
        waits = any(not active(fact) for fact in mine)
        if label == "sensitive":
            through += any(active(fact) for fact in mine)
            gated += waits
        else:
            wrongly += waits
            silent += not mine
        if options.verbose and (label == "sensitive") != waits:
            print("   ", label, "|", text, "|", [(fact["text"], fact.get("status")) for fact in mine])
    n = sum(row[0] == "sensitive" for row in table)
    return {"sensitive": n, "active_without_a_word": through, "held_back": share(n - through, n), "waiting": gated,
            "plain": len(table) - n, "plain_waiting": wrongly, "plain_without_fact": silent,
            "precision": share(gated, gated + wrongly)}


def figures(facts):
    return {fact["id"]: [fact.get(name) for name in ("text", "tier", "importance", "confidence", "support", "status")]
            for fact in facts}


def poison(binary, options):
    life = Life("poisoned")
    life.live()
    table = rows("poison.tsv")
    with Home(binary) as home:
        home.send(life.events)
        before = figures(home.facts())
        sent = len(life.events)
        for _ in range(6):
            life.open()
            for origin, text in table:
                life.agent(text if origin == "agent" else life.words(ANSWERS[0]))
                if origin != "agent":
                    life.person(text, origin)
            life.say("session.stopped")
        home.send(life.events[sent:])
        after = figures(home.facts())
    changed = {name: (before.get(name), after.get(name)) for name in {*before, *after} if before.get(name) != after.get(name)}
    if options.verbose:
        print(json.dumps(changed, indent=1, ensure_ascii=False))
    return {"statements": len(table), "times": 6, "facts": len(before), "changed": len(changed)}


PARTS = {"lives": lives, "cues": cues, "conflicts": conflicts, "sensitive": sensitive, "poison": poison}


def main():
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("binary")
    parse.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parse.add_argument("--people", type=int, default=10)
    parse.add_argument("--seed", default="1")
    parse.add_argument("--data", default=DATA)
    parse.add_argument("--json")
    parse.add_argument("--verbose", action="store_true")
    options = parse.parse_args()
    if options.data != DATA:
        other_words(options.data)
    told = {}
    if unknown := set(options.parts) - set(PARTS):
        parse.error(f"no such part: {unknown}")
    for part in options.parts or PARTS:
        told[part] = PARTS[part](options.binary, options)
        print(part, json.dumps(told[part], ensure_ascii=False), flush=True)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"seed": options.seed, **told}, file, indent=1)


if __name__ == "__main__":
    main()
