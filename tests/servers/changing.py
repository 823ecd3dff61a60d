#!/usr/bin/env python3
"""A server whose list changes while it is being told: the first list names `gone`, those after it do not."""
import json
import sys


def tool(name):
    return {"name": name, "inputSchema": {"type": "object"}}


LISTS = [[tool("stays"), tool("gone")], [tool("stays")]]
HANDSHAKE = {
    "protocolVersion": "2025-06-18",
    "capabilities": {"tools": {"listChanged": True}},
    "serverInfo": {"name": "changing", "version": "1"},
}


def say(message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    if message["method"] == "initialize":
        result = HANDSHAKE
    elif message["method"] == "tools/list":
        result = {"tools": LISTS[0]}
        if len(LISTS) > 1:
            # What is about to be told is old already.
            LISTS.pop(0)
            say({"method": "notifications/tools/list_changed"})
    else:
        result = {"content": [{"type": "text", "text": "it ran"}]}
    say({"id": message["id"], "result": result})
