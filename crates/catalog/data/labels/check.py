#!/usr/bin/env python3
"""Checks the labels and the readings against the definitions and prints what is in each split."""

from __future__ import annotations

import collections
import hashlib
import json
import pathlib
import re
import sys

LABELS = pathlib.Path(__file__).resolve().parent
SERVERS = LABELS.parent / "servers"
CLASSES = ["Financial", "Destructive", "Execute", "Write", "Read"]
# What was read twice, and by whom the second time.
READINGS = {
    "readings.tsv": "read twice by the first reader",
    "second-reader.tsv": "read by a second reader",
    "more-readers.tsv": "read by two of the later readers",
}


def split(server: str) -> str:
    """The split of a server: a third by hash of its name is the test."""
    return "test" if hashlib.sha256(server.encode()).digest()[0] % 3 == 0 else "development"


def rows(path: pathlib.Path) -> list[list[str]]:
    """The fields of each line."""
    return [line.split("\t") for line in path.read_text().splitlines() if line]


def servers(wrong: list[str]) -> dict[str, dict]:
    """The data files, by name."""
    found = {}
    for path in sorted(SERVERS.glob("*.json")):
        server = json.loads(path.read_text())
        if server["name"] != path.stem or not re.fullmatch(r"[a-z0-9-]+", path.stem):
            wrong.append(f"{path.name}: named {server['name']}")
        found[path.stem] = server
    return found


def labels(known: dict[str, dict], wrong: list[str]) -> dict[str, dict[str, str]]:
    """The labels of each labelled server, each tool once and in the order it was sent."""
    found = {}
    for path in sorted(LABELS.glob("*.tsv")):
        if path.name in READINGS:
            continue
        lines = rows(path)
        names = [line[0] for line in lines]
        sent = [tool["name"] for tool in known.get(path.stem, {"tools": []})["tools"]]
        if names != list(dict.fromkeys(sent)):
            wrong.append(f"{path.name}: its tools are not those of the server")
        wrong += [f"{path.name}: {line}" for line in lines if len(line) not in (2, 3) or line[1] not in CLASSES]
        found[path.stem] = {line[0]: line[1] for line in lines}
    return found


def agreement(name: str, found: dict[str, dict[str, str]], wrong: list[str]) -> None:
    """How often the second reading in a file gave the class of the first, in each split."""
    pairs: dict[str, list[tuple[str, str]]] = {"development": [], "test": []}
    seen = set()
    for server, tool, first, second, settled in rows(LABELS / name)[1:]:
        pairs[split(server)].append((first, second))
        if found.get(server, {}).get(tool) != settled:
            wrong.append(f"{name}: {server} {tool} is settled as {settled}, labelled otherwise")
        if first not in CLASSES or second not in CLASSES or (server, tool) in seen:
            wrong.append(f"{name}: {server} {tool}: an unknown class, or twice")
        seen.add((server, tool))
    print(READINGS[name])
    for part in pairs:
        if pairs[part]:
            print(f"  {part:12}{alike(pairs[part])}")


def alike(pairs: list[tuple[str, str]]) -> str:
    """How many pairs are alike, and Cohen's kappa."""
    same = sum(a == b for a, b in pairs)
    by_class = [(sum(a == c for a, _ in pairs), sum(b == c for _, b in pairs)) for c in CLASSES]
    chance = sum(a * b for a, b in by_class) / len(pairs) ** 2
    observed = same / len(pairs)
    return f"{len(pairs)} tools, {same} alike ({observed:.1%}), kappa {(observed - chance) / (1 - chance):.3f}"


def main() -> int:
    """Prints the counts; 1 if something is wrong."""
    wrong: list[str] = []
    known = servers(wrong)
    found = labels(known, wrong)
    print(f"definitions: {len(known)} servers, {sum(len(s['tools']) for s in known.values())} tools")
    print(f"{'':12}{'servers':>9}{'tools':>8}" + "".join(f"{c:>13}" for c in CLASSES))
    for part in ("development", "test", "all"):
        chosen = [s for s in found if part in ("all", split(s))]
        count = collections.Counter(c for s in chosen for c in found[s].values())
        print(f"{part:12}{len(chosen):9}{sum(count.values()):8}" + "".join(f"{count[c]:13}" for c in CLASSES))
    for name in READINGS:
        agreement(name, found, wrong)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
