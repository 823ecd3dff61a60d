#!/usr/bin/env python3
"""A stand-in for the Conductor MCP server, with its published tools and its publisher's habits.

    conductor.py PORT        (0 picks one; the first line of stdout is the URL)

Habits: stateless JSON answers to POST, no session id, failures as text without `isError`, a notification answered
by 200 and a JSON-RPC error. What the workflows answer is invented.

Environment: PAID=1 answers tool calls with HTTP 402; RATE=N answers HTML with status 429 after N tool calls;
STANDIN_LOG names a file to which each request is appended as a line of JSON.
"""

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

EVENTS = (
    "cve|law_change|cloud_incident|breach|sanctions_hit|audit_notice|supply_chain_disruption|nis2_incident"
    "|contract_issue|tax_deadline|medical_device_alert|employee_issue"
)


def tool(name, description, *parameters, **described):
    def schema(parameter):
        about = described.get(parameter)
        return {"type": "string", "description": about} if about else {"type": "string"}

    return {
        "name": name,
        "description": description,
        "inputSchema": {
            "type": "object",
            "properties": {parameter: schema(parameter) for parameter in parameters},
            "additionalProperties": False,
        },
    }


TOOLS = [
    tool("full_assessment", "Run complete DORA assessment across ALL 16 oracles. Returns aggregated risk score, critical issues, and per-oracle details.", "entity_id"),
    tool("readiness_dashboard", "Health status of all 23 oracles + total tool count. System-wide monitoring.", "entity_id", entity_id="Optional"),
    tool(
        "run_workflow",
        "Execute a predefined multi-step workflow across oracles.",
        "workflow",
        "entity_id",
        "query",
        workflow="Workflow ID from workflow_library",
        query="Optional query for law_change_response workflow",
    ),
    tool("plan_remediation", "Given current gaps, generate prioritized remediation plan with actions, oracles, urgency, deadlines.", "entity_id"),
    tool(
        "react_to_event",
        f"React to compliance event: {EVENTS.replace('|', ', ')}. Auto-dispatches to relevant oracles.",
        "event_type",
        "entity_id",
        "detail",
        event_type=EVENTS,
        detail="Event details (CVE ID, provider name, regulation name, etc.)",
    ),
    tool("sync_all", "Trigger all sync_to_ampel across TestOracle + CloudOracle. Updates AmpelOracle with latest data.", "entity_id"),
    tool("gap_analysis", "Cross-oracle gap analysis: compliance, testing, policies, training.", "entity_id"),
    tool("board_briefing", "Executive briefing: readiness score, cloud status, test coverage, deadlines, key risks.", "entity_id"),
    tool("nca_readiness", "BaFin/NCA audit readiness checklist: score, red articles, testing, RoI, training.", "entity_id"),
    tool("onboard_entity", "Full entity onboarding workflow across all oracles.", "entity_id"),
    tool("daily_check", "Daily compliance health check: cloud, tests, findings, regulatory changes, CVEs.", "entity_id"),
    tool("workflow_library", "List all available predefined workflows with descriptions and step counts."),
    tool("oracle_status", "Health status of all 16 DORA OS oracles."),
    tool("obligation_overview", "All obligation_ids from all oracles in one call."),
    tool("health_check", "Conductor health + oracle availability."),
    tool("ping", "Connectivity test."),
]
NAMES = {each["name"] for each in TOOLS}
WORKFLOWS = {"law_change_response": ["law", "policy", "gap"], "daily": ["cloud", "test", "dora"]}
LOG = os.environ.get("STANDIN_LOG")
PAID = os.environ.get("PAID")
RATE = int(os.environ.get("RATE", "0"))
NEEDS_PAYMENT = {
    "x402Version": 2,
    "accepts": [],
    "status": "payment_required",
    "denial": {"product": "conductor", "reason": "no_payment", "required_cents": 2, "current_balance_cents": 0},
    "payment": {},
}
TOO_MANY = (
    b"<html><head><title>429 Too Many Requests</title></head><body>"
    b"<center><h1>429 Too Many Requests</h1></center></body></html>"
)
calls = 0


def run(name, arguments):
    if name == "workflow_library":
        return {"workflows": [{"id": key, "steps": len(steps)} for key, steps in WORKFLOWS.items()]}
    if name == "run_workflow":
        workflow = arguments.get("workflow")
        if workflow not in WORKFLOWS:
            return {"error": f"Unknown workflow: {workflow}", "available": list(WORKFLOWS)}
        steps = [{"oracle": oracle, "status": "ok"} for oracle in WORKFLOWS[workflow]]
        return {"workflow": workflow, "entity_id": arguments.get("entity_id"), "steps": steps, "status": "completed"}
    return {"tool": name, "arguments": arguments}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def send(self, status, body, content_type="application/json", **headers):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/health":
            self.send(200, {"status": "healthy", "tools": len(TOOLS)})
        else:
            self.send(405, b"405: Method Not Allowed", "text/plain")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path.rstrip("/") not in ("/mcp", "/conductor/mcp"):
            return self.send(404, b"<html><head><title>404 Not Found</title></head></html>", "text/html")
        try:
            message = json.loads(body)
        except ValueError:
            return self.send(400, {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "Parse error"}})
        self.record(message)
        method, id = message.get("method", ""), message.get("id", 1)
        if method == "initialize":
            result = {
                "protocolVersion": "2025-03-26",
                "serverInfo": {"name": "Conductor", "version": "stand-in"},
                "capabilities": {"tools": {"listChanged": False}},
            }
        elif method == "tools/list":
            result = {"tools": TOOLS}
        elif method == "tools/call":
            return self.call(id, message.get("params", {}))
        else:
            return self.fail(id, -32601, f"Method not found: {method}")
        return self.send(200, {"jsonrpc": "2.0", "id": id, "result": result})

    def call(self, id, params):
        global calls
        calls += 1
        name = params.get("name", "")
        if RATE and calls > RATE:
            return self.send(429, TOO_MANY, "text/html")
        if PAID:
            return self.send(402, NEEDS_PAYMENT, x_payment_required="true", x_denial_reason="no_payment")
        if name not in NAMES:
            return self.fail(id, -32602, f"Unknown tool: {name}")
        text = json.dumps(run(name, params.get("arguments") or {}), indent=2)
        self.send(200, {"jsonrpc": "2.0", "id": id, "result": {"content": [{"type": "text", "text": text}]}})

    def fail(self, id, code, message):
        self.send(200, {"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})

    def record(self, message):
        if LOG:
            line = {
                "t": round(time.time(), 3),
                "method": message.get("method"),
                "params": message.get("params"),
                "id": message.get("id"),
                "headers": sorted(name.lower() for name in self.headers),
            }
            with open(LOG, "a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}/mcp", flush=True)
    server.serve_forever()
