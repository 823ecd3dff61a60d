#!/usr/bin/env python3
"""A server that answers the handshake and one list of tools, and then reads nothing more."""
import json
import sys
import time

ANSWERS = {
    "initialize": {
        "protocolVersion": "2025-06-18",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "deaf", "version": "1"},
    },
    "tools/list": {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]},
}

# Byte by byte: nothing may be read ahead, or the pipe would never be full.
line = b""
while True:
    byte = sys.stdin.buffer.raw.read(1)
    if not byte:
        sys.exit(0)
    line += byte
    if byte != b"\n":
        continue
    message, line = json.loads(line), b""
    if message.get("method") in ANSWERS and "id" in message:
        answer = {"jsonrpc": "2.0", "id": message["id"], "result": ANSWERS[message["method"]]}
        print(json.dumps(answer), flush=True)
        if message["method"] == "tools/list":
            break
time.sleep(120)
