#!/usr/bin/env python3
"""A server that gives up its tool `gone`: when `retire` is called or, with `early`, while it first tells its list.
The first list comes at once, each one after it late."""
import json
import sys
import time

has_gone = True
times_listed = 0


def say(message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def retire():
    global has_gone
    has_gone = False
    say({"method": "notifications/tools/list_changed"})


def handshake(_params):
    return {
        "protocolVersion": "2025-06-18",
        "capabilities": {"tools": {"listChanged": True}},
        "serverInfo": {"name": "changing", "version": "1"},
    }


def told(_params):
    global times_listed
    times_listed += 1
    names = ["stays", "retire"] + (["gone"] if has_gone else [])
    if times_listed > 1:
        time.sleep(1)
    elif "early" in sys.argv:
        # What is about to be told is old already.
        retire()
    return {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in names]}


def called(params):
    if params["name"] == "retire":
        retire()
    return {"content": [{"type": "text", "text": "it ran"}]}


METHODS = {"initialize": handshake, "tools/list": told, "tools/call": called}

for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        say({"id": message["id"], "result": METHODS[message["method"]](message["params"])})
