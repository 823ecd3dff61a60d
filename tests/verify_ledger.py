#!/usr/bin/env python3
"""Verifies an exported Callgate ledger: docs/ledger-format.md and the standard library, nothing else."""
import argparse, base64, functools, hashlib, json, re

STATUS = "ok|tool_error|protocol_error|unreachable|cancelled|unknown|input_required|accepted"
KINDS = {  # Fields, `:` required and `?` optional; types: h digest, i id, c code, t text, n int, words as they are.
    "intent": "args_digest?h call:i charges?charges grant:t issuer?t method:t policy:h rule?t server:t session?t shadow?shadow "
              "subject?t tool?t values?h",
    "outcome": "call:i duration_us?n reason?c settlement:kept|refunded status:" + STATUS,
    "denial": "args_digest?h grant:t issuer?t method:t policy?h reason:c rule?t server?t session?t shadow?shadow subject?t text?t tool?t",
    "malformed": "bytes:n grant?t peer:client|server reason:c server?t session?t",
    "auth_failure": "address?t grant?t issuer?t reason:c server?t subject?t", "late": "after_us:n call:i status:" + STATUS,
    "start": "durability:process|disk mode:run|serve policies?policies version:t", "stop": "reason:c",
    "reload": "effect:looser|tighter|same|waiting|rejected from?h reason?t server?t to?h",
    "task_end": "call:i duration_us?n status:completed|failed|cancelled|unknown",
    "suppressed": "address?t count:n grant?t of:denial|malformed|auth_failure|drop reason?c since:n",
    "drop": "bytes:n grant?t peer:client|server reason:c server:t session?t",
    "list": "digest?h grant?t policy?h reason?c server:t session?t shown:n tools:n",
    "grant": "action:create|rotate|revoke|attach|detach claim?t expires?n grant:t issuer?t label:t policy_name?t server?t value?t",
}
HEADER, CHARGE = "first:n frontier?digests kind:export open?ids origin:t size:n v:n vkey:t", "amount:amount counter:t rule:t scope:"
TYPES = {"h": '"[0-9a-f]{64}"', "i": '"[0-9a-f]{32}"', "c": '"[a-z0-9_]{1,64}"', "t": r'"(?:[^"\\]|\\.)*"', "n": "[0-9]{1,16}",
         "amount": r'"(?=[^"]{1,64}")[0-9]+(\.[0-9]+)?(e-?[0-9]+)?"'}
NEXT = {("intent", None): "open", ("outcome", "open"): "closed", ("late", "closed"): "closed",
        ("late", "task"): "task", ("task_end", "task"): "closed"}
NAME, CONTROL = r"([^\s+\x00-\x1f\x7f-\x9f]{1,256})", r"[^\x00-\x1f\x7f-\x9f]+"
def grammar(fields):
    """The regular expression of an object with these fields; that its commas are right, JSON itself says."""
    parts = ((name, TYPES.get(kind, f'"(?:{kind})"'), mark.strip(":"))
             for name, mark, kind in sorted(re.findall(r"(\w+)([:?])(\S+)", fields)))
    return r"\{%s\}" % "".join(f'(?:"{name}":(?:{kind}),?){mark}' for name, kind, mark in parts)
for name, item in {"digests": TYPES["h"], "ids": TYPES["i"], "shadow": grammar("reason:c rule:t"),
                   "policies": grammar("policy:h server:t"), "charges": grammar(CHARGE + "t scope_value:h")
                   + "|" + grammar(CHARGE + "grant|session|tool|server|global")}.items():
    TYPES[name] = rf"\[(?:(?:{item}),?)+\]"

def require(truth, message):
    if not truth:
        raise ValueError(message)
def canonical(line, fields=None):
    text, value = line.decode(), json.loads(line.decode())
    spelt = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    require(type(value) is dict and spelt == text and len(line) <= 1 << 24, "not canonical JSON")
    if not fields:
        require(value.get("v") == 1 and value.get("kind") in KINDS, "of an unknown version or kind")
        fields = f"at:n kind:{value['kind']} run:i seq:n v:n " + KINDS[value["kind"]]
        require(all(len(json.loads(t).encode()) <= 512 for t in re.findall(TYPES["t"], text)), "a text that is too long")
    require(re.fullmatch(grammar(fields), text, re.S), "fields that it cannot have")
    require(all(number < 2**53 for number in value.values() if type(number) is int), "a number that is too great")
    return value

def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()
def push(frontier, size, node):
    while size & 1:
        node, size = sha(b"\1", frontier.pop(), node), size >> 1
    frontier.append(node)
def root(frontier):
    return functools.reduce(lambda right, left: sha(b"\1", left, right), frontier[::-1]) if frontier else sha()

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493  # Ed25519, RFC 8032 section 5.1.
D = -121665 * pow(121666, -1, P) % P
def add(a, b):
    x, y, t = a[0]*b[1] + b[0]*a[1], a[1]*b[1] + a[0]*b[0], D*a[0]*b[0]*a[1]*b[1]
    return x * pow(1 + t, -1, P) % P, y * pow(1 - t, -1, P) % P
def mul(n, a):
    half = mul(n >> 1, add(a, a)) if n else (0, 1)
    return add(half, a) if n & 1 else half
def point(data):
    y, sign = int.from_bytes(data, "little") % 2**255, data[31] >> 7
    xx = (y*y - 1) * pow(D*y*y + 1, -1, P) % P
    x = pow(xx, (P + 3) // 8, P)
    x = x if x*x % P == xx else x * pow(2, (P - 1) // 4, P) % P
    x = x if x & 1 == sign else P - x
    require(y < P and x*x % P == xx and mul(8, (x, y)) != (0, 1), "not a usable point of the curve")
    return x, y
def signed(public, text, signature):
    s, base = int.from_bytes(signature[32:], "little"), point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + text).digest(), "little") % L
    return len(signature) == 64 and s < L and mul(s, base) == add(point(signature[:32]), mul(k, point(public)))
def debase(text):
    data = base64.b64decode(text, validate=True)
    require(base64.b64encode(data).decode() == text, "not base64")
    return data
def read_key(vkey):
    name, digits, data = (parts := vkey.split("+", 2))[0], parts[1], debase(parts[2])
    require(re.fullmatch(NAME, name) and data[:1] == b"\1" and len(data) == 33 and point(data[1:]), "not a verifier key")
    require(digits == sha(name.encode(), b"\n", data)[:4].hex(), "the key's hash does not fit it")
    return name, bytes.fromhex(digits), data[1:]

def open_checkpoint(note, key, origin):
    text, _, signatures = note.rpartition("\n\n")
    lines = signatures.split("\n")
    require(len(note.encode()) <= 65536 and lines.pop() == "" and len(lines) <= 64, "not a note")
    found = [re.fullmatch(f"\u2014 {NAME} (\\S+)", line) for line in lines]
    require(all(line and len(debase(line[2])) > 4 for line in found), "a malformed signature line")
    ours = [debase(line[2])[4:] for line in found if (line[1], debase(line[2])[:4]) == key[:2]]
    require(len(ours) == 1 and signed(key[2], (text + "\n").encode(), ours[0]), "not signed rightly, once, by the key")
    parts = re.fullmatch(f"({CONTROL})\n(0|[1-9][0-9]{{0,15}})\n([0-9A-Za-z+/]{{43}}=)", text)
    require(parts and int(parts[2]) < 2**53 and parts[1] == origin, "not a checkpoint, or one of another log")
    return int(parts[2]), debase(parts[3])

def verify(lines, kept, vkey):
    at, last, checkpoints = 0, 0, 0
    try:
        head = canonical(lines[0], HEADER)
        frontier, first = [bytes.fromhex(node) for node in head.get("frontier", [])], head["first"]
        require(head["v"] == 1 and len(frontier) == first.bit_count() and first <= head["size"], "not a whole header")
        at, due, agreed, calls, end = first, first, first, dict.fromkeys(head.get("open", []), "open"), lines.pop()
        key = [read_key(text) for text in (head["vkey"], vkey or head["vkey"])][1]
        notes, outside = re.findall("(?s).+?\n\n(?:\u2014 [^\n]*\n)+", kept), {}
        for size, top in [open_checkpoint(note, key, head["origin"]) for note in notes]:
            outside.setdefault(size, set()).add(top)
        require("".join(notes) == kept and first <= max(outside, default=first), "the outside checkpoints do not fit")
        for line in lines[1:] + [None]:
            at = first
            require(due not in outside or outside[due] == {root(frontier)}, "or a later one: not what is signed outside")
            at = due
            if line is None:
                break
            if line.startswith(b'{"kind":"checkpoint",'):
                size, top = open_checkpoint(canonical(line, "kind:checkpoint note:t")["note"], key, head["origin"])
                require(size == due, f"a checkpoint of {size} records stands here")
                at = agreed
                require(top == root(frontier), f"or a later one up to {size}: not what the checkpoint signed")
                agreed, checkpoints = due, checkpoints + 1
                continue
            value = canonical(line)
            require(value["seq"] == due and value["at"] >= last, "the number or the time is not the next")
            step = value["kind"], calls.get(value.get("call"))
            if "call" in value and not (first and step in (("late", None), ("task_end", None))):
                require(step in NEXT, f"a record {step[0]} of a call that is {step[1] or 'unknown'}")
                calls[value["call"]] = "task" if step[0] == "outcome" and value["status"] == "accepted" else NEXT[step]
            push(frontier, due, sha(b"\0", line))
            due, last = due + 1, value["at"]
        require(due == head["size"] and max(outside, default=0) <= due and not end, "the file is shorter or longer than it should be")
    except (ValueError, RecursionError, IndexError) as error:
        raise SystemExit(f"record {at}: {error}")
    print(f"{head['origin']}: records {first} to {due} (exclusive) are whole, in order and consistent")
    print(f"{checkpoints} checkpoints are good, signed by {key[0]}+{key[1].hex()}; {due - agreed} records are unsigned")
    print(f"{list(calls.values()).count('open')} calls are open; root {root(frontier).hex()}")
    print(f"nothing before {max(outside)} differs from {len(notes)} outside checkpoints" if notes else "no outside checkpoint was given")

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ("export", "--checkpoint", "--key"):
        parser.add_argument(option)
    args = parser.parse_args()
    verify(open(args.export, "rb").read().split(b"\n"), open(args.checkpoint, "rb").read().decode() if args.checkpoint else "", args.key)
