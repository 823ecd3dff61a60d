"""The server with notes that the documents speak of: `list_notes`, `send_note`, `delete_notes`, over stdio.

With `--hold` it answers calls only when it is told that the client's roots have changed: so a test says which
records of the ledger come before the outcomes. With `--twice` it lists `send_note` twice, with two meanings.
"""

import json
import sys

TOOLS = {"list_notes": ["folder"], "send_note": ["to", "text"], "delete_notes": ["folder"]}


def listed(name):
    properties = {argument: {"type": "string"} for argument in TOOLS[name]}
    return {"name": name, "inputSchema": {"type": "object", "properties": properties}}


def result(method, params):
    if method == "initialize":
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "notes", "version": "1.0.0"},
        }
    if method == "tools/list":
        again = [{**listed("send_note"), "inputSchema": {"type": "object"}}] if "--twice" in sys.argv[1:] else []
        return {"tools": [listed(name) for name in TOOLS] + again}
    if method == "tools/call":
        return {"content": [{"type": "text", "text": f"{params['name']} is done"}]}
    return {}


def main():
    holds = "--hold" in sys.argv[1:]
    held = []
    for line in sys.stdin:
        message = json.loads(line)
        method = message.get("method")
        if method == "notifications/roots/list_changed":
            holds = False
        elif "id" in message and method:
            held.append(message)
        kept = []
        for request in held:
            if holds and request["method"] == "tools/call":
                kept.append(request)
                continue
            answer = result(request["method"], request.get("params") or {})
            print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": answer}), flush=True)
        held = kept


main()
