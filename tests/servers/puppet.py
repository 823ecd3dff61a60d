#!/usr/bin/env python3
"""A server on stdio that does what its tools are told, so that a test can have it keep, swap and invent answers.

`puppet.py LOG [modern]`: each received line is appended to LOG before it is acted on. `park` keeps its request under a
name; `emit` writes lines in which `{id:NAME}` and `{token:NAME}` stand for what a parked request is known by."""
import json
import os
import re
import sys

MODERN = "2026-07-28"
IS_MODERN = "modern" in sys.argv
log = os.open(sys.argv[1], os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
parked = {}
levels = []
tasks = 0
asked = {}
TOOLS = ["echo", "park", "release", "tell", "emit", "touch", "state", "task", "ask", "change", "log", "exit"]
META = "io.modelcontextprotocol/"


def note(text):
    os.write(log, (text + "\n").encode())


def write(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def say(message):
    write(json.dumps({"jsonrpc": "2.0", **message}))


def answer(request, result):
    if IS_MODERN:
        result = {"resultType": "complete", **result}
    say({"id": request["id"], "result": result})


def text(words):
    return {"content": [{"type": "text", "text": words}]}


def filled(line):
    def known(found):
        request = parked[found.group(2)]
        if found.group(1) == "id":
            return json.dumps(request["id"])
        return json.dumps(request["params"]["_meta"]["progressToken"])

    return re.sub(r"\{(id|token):(\w+)\}", known, line)


def progress(name, words):
    token = parked[name]["params"]["_meta"]["progressToken"]
    say({"method": "notifications/progress", "params": {"progressToken": token, "progress": 1, "message": words}})


def call(request):
    global tasks
    name, given = request["params"]["name"], request["params"].get("arguments", {})
    result = text("done")
    if name == "echo":
        result = text(given["text"])
    elif name == "park":
        parked[given["name"]] = request
        if "tell" in given:
            progress(given["name"], given["tell"])
        return
    elif name == "release":
        answer(parked.pop(given["name"]), text(given["text"]))
    elif name == "tell":
        progress(given["name"], given["text"])
    elif name == "emit":
        for line in given["lines"]:
            write(filled(line))
    elif name == "touch":
        say({"method": "notifications/resources/updated", "params": {"uri": given["uri"]}})
    elif name == "state":
        result = text(json.dumps({"pid": os.getpid(), "levels": levels, "parked": sorted(parked)}))
    elif name == "task":
        tasks += 1
        task = {"taskId": given.get("id", f"task-{tasks}"), "status": "working"}
        result = {"task": task} if not IS_MODERN else {"resultType": "task", **task}
    elif name == "ask":
        asked[given["id"]] = request
        say({"id": given["id"], "method": given["method"], "params": given.get("params", {})})
        return
    elif name == "change":
        say({"method": f"notifications/{given['list']}/list_changed"})
    elif name == "log":
        say({"method": "notifications/message", "params": {"level": given["level"], "data": given["text"]}})
    elif name == "exit":
        os._exit(3)
    answer(request, result)


def listen(request):
    wanted = request["params"].get("notifications", {})
    parked[wanted.get("resourceSubscriptions", ["listen"])[0]] = request
    say({"method": "notifications/subscriptions/acknowledged",
         "params": {"_meta": {META + "subscriptionId": request["id"]}, "notifications": wanted}})


def serve(request):
    method, params = request["method"], request.get("params", {})
    capabilities = {"tools": {"listChanged": True}, "resources": {"subscribe": True, "listChanged": True}}
    if not IS_MODERN:
        capabilities["logging"] = {}
    info = {"name": "puppet", "version": "1", "vendor": {"kept": 1.0}}
    if method == "initialize" and not IS_MODERN:
        answer(request, {"protocolVersion": "2025-11-25", "capabilities": capabilities, "serverInfo": info})
    elif method == "server/discover" and IS_MODERN:
        answer(request, {"supportedVersions": [MODERN], "capabilities": capabilities, "ttlMs": 0,
                         "cacheScope": "private", "_meta": {META + "serverInfo": info}})
    elif method == "tools/list":
        cached = {"ttlMs": 0, "cacheScope": "private"} if IS_MODERN else {}
        answer(request, {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in TOOLS], **cached})
    elif method == "tools/call":
        call(request)
    elif method == "subscriptions/listen" and IS_MODERN:
        listen(request)
    elif method == "logging/setLevel" and not IS_MODERN:
        levels.append(params["level"])
        answer(request, {})
    elif method in ("resources/subscribe", "resources/unsubscribe") and not IS_MODERN:
        if params["uri"] == "test://forbidden":
            say({"id": request["id"], "error": {"code": -32002, "message": "no such resource"}})
        else:
            answer(request, {})
    elif method == "tasks/get":
        answer(request, {"taskId": params["taskId"], "status": "working", "secret": "of " + params["taskId"]})
    elif method == "ping" and not IS_MODERN:
        answer(request, {})
    else:
        say({"id": request["id"], "error": {"code": -32601, "message": "no such method"}})


note(f"# pid {os.getpid()}")
for line in sys.stdin:
    line = line.rstrip("\n")
    note(line)
    message = json.loads(line)
    if "method" in message and "id" in message:
        serve(message)
    elif "id" in message and message["id"] in asked:
        answer(asked.pop(message["id"]), text("the client said " + line))
