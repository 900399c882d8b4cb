#!/usr/bin/env python3
"""The small GitHub of the tests answers as the real one is described: every answer of it against the official OpenAPI description.

Usage: github_shapes.py ANSWERS.jsonl api.github.com.deref.json

The answers are those that `tests/support/github.rs` wrote during the tests; the description is in the npm package
`@octokit/openapi`. Each answer of 200 must fit the schema of its path; each of another status must be one that the path, or the
documented limits of the API, know. The two routes of the device flow are no part of the description: they are held against the
fields that RFC 8628 requires.
"""

import json
import re
import sys
from collections import Counter

import jsonschema

# What every path may answer, by GitHub's pages on limits, redirects and errors.
ANYWHERE = {"304", "401", "403", "404", "429", "502"}
DEVICE = {
    "/login/device/code": ({"device_code", "user_code", "verification_uri", "expires_in"},),
    "/login/oauth/access_token": ({"access_token", "token_type", "scope"}, {"error"}),
}


def plain(schema):
    """OpenAPI 3.0 as JSON Schema: `nullable` is a type of its own."""
    if isinstance(schema, list):
        return [plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: plain(value) for key, value in schema.items() if key not in ("nullable", "example", "examples", "discriminator")}
    if schema.get("nullable") is True:
        return {"anyOf": [kept, {"type": "null"}]}
    return kept


def operation(paths, path):
    """The description of a path: the one with the fewest parameters wins."""
    parts = path.strip("/").split("/")
    fits = []
    for name in paths:
        named = name.strip("/").split("/")
        if len(named) == len(parts) and all(a == b or a.startswith("{") for a, b in zip(named, parts)):
            fits.append((name.count("{"), name))
    return min(fits)[1] if fits else None


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    paths = json.load(open(sys.argv[2], encoding="utf-8"))["paths"]
    validators, seen, wrong = {}, Counter(), []
    for line in open(sys.argv[1], encoding="utf-8"):
        answer = json.loads(line)
        path = answer["path"].split("?")[0]
        if answer["method"] == "POST":
            fits = any(required <= set(answer["body"]) for required in DEVICE.get(path, ()))
            seen[f"POST {path} {answer['status']}"] += 1
            wrong += [] if fits else [f"POST {path}: {answer['body']}"]
            continue
        name = operation(paths, path)
        if name is None:
            wrong.append(f"GET {path} is in no description")
            continue
        status = str(answer["status"])
        seen[f"GET {name} {status}"] += 1
        if status != "200":
            known = ANYWHERE | set(paths[name]["get"]["responses"])
            wrong += [] if status in known else [f"GET {name} answers no {status}"]
            continue
        if name not in validators:
            content = paths[name]["get"]["responses"]["200"]["content"]["application/json"]
            validators[name] = jsonschema.Draft202012Validator(plain(content["schema"]))
        for error in validators[name].iter_errors(answer["body"]):
            at = "/".join(map(str, error.absolute_path))
            wrong.append(f"GET {name} at {at}: {error.message[:200]}")
    for what, count in sorted(seen.items()):
        print(f"{count:6}  {re.sub(' 200$', '', what)}")
    for one in wrong[:20]:
        print(f"WRONG {one}")
    answered = sum(seen.values())
    print(f"{answered} answers, {len(validators)} described paths, {len(wrong)} wrong")
    sys.exit(1 if wrong or len(validators) < 8 else 0)


if __name__ == "__main__":
    main()
