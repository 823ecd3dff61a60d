#!/usr/bin/env python3
"""A stand-in for the Mistral Workflows API: what mistral-mcp calls of it, and faults on demand.

    mistral.py PORT          (0 picks one; the first line of stdout is the URL)

Workflows: echo ends at once; slow runs for input.seconds; approval waits for the signal `approve` and knows the
query `status` and the update `set_priority`; boom fails.
Faults, by keys in a workflow's input: http_status=N answers so input.times times (default 1), with start_anyway
it starts the run all the same, fault_key counts apart; bad answers 422; t408 and fail500 choose the status of a
wait that ran out and of a run that failed.

Environment: STANDIN_LOG names a file to which each request is appended as a line of JSON; STANDIN_KEY is the only
key that is let in.
"""

import datetime
import json
import os
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

LOG = os.environ.get("STANDIN_LOG")
KEY = os.environ.get("STANDIN_KEY")
ABOUT = {
    "echo": "returns its input",
    "slow": "runs input.seconds",
    "approval": "waits for a human",
    "boom": "fails",
}
WORKFLOWS = [
    {
        "id": f"wf_{name}",
        "name": name,
        "display_name": name.title(),
        "description": about,
        "metadata": {},
        "archived": False,
    }
    for name, about in ABOUT.items()
]

lock = threading.Lock()
executions = {}
faults = {}


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def written(moment):
    return moment.isoformat().replace("+00:00", "Z") if moment else None


class Execution:
    def __init__(self, workflow, asked):
        self.id = asked.get("execution_id") or uuid.uuid4().hex
        self.workflow = workflow
        self.input = asked.get("input") or {}
        self.deployment = asked.get("deployment_name")
        self.start, self.end = now(), None
        self.status, self.result = "RUNNING", None
        self.state = {}

    def settle(self):
        """Ends it if its time has come."""
        if self.status != "RUNNING":
            return self
        seconds = float(self.input.get("seconds", 1))
        if self.workflow == "echo":
            self.finish("COMPLETED", {"echo": self.input})
        elif self.workflow == "boom":
            self.finish("FAILED", None)
        elif self.workflow == "slow" and (now() - self.start).total_seconds() >= seconds:
            self.finish("COMPLETED", {"slept": seconds})
        elif self.workflow == "approval" and "approved" in self.state:
            self.finish("COMPLETED", {"approved": self.state["approved"], "priority": self.state.get("priority")})
        return self

    def finish(self, status, result):
        self.status, self.result, self.end = status, result, now()

    def view(self):
        lasted = int((self.end - self.start).total_seconds() * 1000) if self.end else None
        return {
            "workflow_name": self.workflow,
            "execution_id": self.id,
            "parent_execution_id": None,
            "root_execution_id": self.id,
            "status": self.status,
            "start_time": written(self.start),
            "end_time": written(self.end),
            "total_duration_ms": lasted,
            "result": self.result,
            "deployment_name": self.deployment,
        }


def start(workflow, asked):
    execution = Execution(workflow["name"], asked)
    with lock:
        executions[execution.id] = execution
    return execution


def detail(text):
    return {"detail": text}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def handle_any(self):
        length = int(self.headers.get("content-length") or 0)
        raw = self.rfile.read(length) if length else b""
        asked = json.loads(raw) if raw else None
        path = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        status, answer = self.answer(path, asked)
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        # Written before the answer goes out, so that who has the answer finds the line.
        self.record(asked, status)
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = handle_any

    def record(self, asked, status):
        if not LOG:
            return
        line = {
            "t": round(time.time(), 3),
            "method": self.command,
            "path": self.path,
            "has_auth": bool(self.headers.get("authorization")),
            "body": asked,
            "status": status,
        }
        with lock, open(LOG, "a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

    def answer(self, path, asked):
        if KEY and self.headers.get("authorization") != f"Bearer {KEY}":
            return 401, detail("Unauthorized")
        if path[:2] != ["v1", "workflows"]:
            return 404, detail("Not Found")
        path = path[2:]
        if self.command == "GET" and not path:
            return 200, {"workflows": WORKFLOWS, "next_cursor": None}
        if self.command == "POST" and len(path) == 2 and path[1] == "execute":
            return execute(path[0], asked or {})
        if path[:1] == ["executions"] and len(path) >= 2:
            execution = executions.get(path[1])
            if not execution:
                return 404, detail("Workflow execution not found")
            execution.settle()
            if self.command == "GET" and len(path) == 2:
                return 200, execution.view()
            if self.command == "POST" and len(path) == 3:
                return interact(execution, path[2], asked or {})
        return 404, detail("Not Found")


def execute(name, asked):
    workflow = next((each for each in WORKFLOWS if name in (each["id"], each["name"])), None)
    if not workflow:
        return 404, detail(f"Workflow '{name}' not found")
    given = asked.get("input") or {}
    if given.get("http_status"):
        key = given.get("fault_key", "")
        with lock:
            faults[key] = faults.get(key, 0) + 1
            count = faults[key]
        if count <= given.get("times", 1):
            if given.get("start_anyway"):
                start(workflow, asked)
            return given["http_status"], detail(f"injected fault {count}")
    running = executions.get(asked.get("execution_id"))
    if running and running.status == "RUNNING":
        return 409, detail("Workflow execution already started")
    if given.get("bad"):
        field = {"loc": ["body", "input", "bad"], "msg": "extra fields not permitted", "type": "value_error.extra"}
        return 422, detail([field])
    execution = start(workflow, asked)
    if asked.get("wait_for_result"):
        return wait(execution, asked, given)
    return 200, execution.view()


def wait(execution, asked, given):
    end = time.time() + (asked.get("timeout_seconds") or 30)
    while time.time() < end and execution.settle().status == "RUNNING":
        time.sleep(0.05)
    if execution.status == "COMPLETED":
        done = {"workflow_name": execution.workflow, "execution_id": execution.id, "result": execution.result}
        return 200, done
    if execution.status == "FAILED":
        why = {"loc": ["workflow"], "msg": "workflow failed: boom", "type": "workflow_failed"}
        return (500 if given.get("fail500") else 422), detail([why])
    return (408, detail("Timed out waiting for result")) if given.get("t408") else (200, execution.view())


def interact(execution, kind, asked):
    given, name = asked.get("input") or {}, asked.get("name")
    if execution.status != "RUNNING":
        return 409, detail("workflow execution already completed")
    if kind == "signals":
        if execution.workflow == "approval" and name == "approve":
            execution.state["approved"] = given.get("ok", True)
        return 202, {"message": "Signal accepted"}
    if kind == "queries":
        if name != "status":
            return 400, detail(f"unknown query {name}")
        return 200, {"query_name": name, "result": {"waiting_for": "approve", "state": execution.state}}
    if kind == "updates":
        if name != "set_priority":
            return 400, detail(f"unknown update {name}")
        execution.state["priority"] = given.get("priority")
        return 200, {"update_name": name, "result": {"priority": given.get("priority")}}
    if kind in ("cancel", "terminate"):
        execution.finish("CANCELED", None)
        return 200, execution.view()
    return 404, detail("Not Found")


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()
