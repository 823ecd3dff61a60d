#!/usr/bin/env python3
"""A server that answers each tool call a second and a half late, whether it was cancelled or not."""
import json
import sys
import time

RESULTS = {
    "initialize": {
        "protocolVersion": "2025-06-18",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "late", "version": "1"},
    },
    "tools/list": {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]},
    "tools/call": {"content": [{"type": "text", "text": "at last"}]},
}

for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    if message["method"] == "tools/call":
        time.sleep(1.5)
    answer = {"jsonrpc": "2.0", "id": message["id"], "result": RESULTS[message["method"]]}
    print(json.dumps(answer), flush=True)
