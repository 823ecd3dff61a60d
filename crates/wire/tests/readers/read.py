"""Reads documents, one in hexadecimal a line, and prints what each means in one canonical form a line."""
import json
import struct
import sys


def shown(value):
    if value is None:
        return "n"
    if value is True:
        return "t"
    if value is False:
        return "f"
    if isinstance(value, (int, float)):
        return "d" + struct.pack(">d", float(value) + 0.0).hex()
    if isinstance(value, str):
        return "s" + value.encode().hex()
    if isinstance(value, list):
        return "[" + ",".join(map(shown, value)) + "]"
    return "{" + ",".join(sorted(key.encode().hex() + ":" + shown(member) for key, member in value.items())) + "}"


for line in sys.stdin:
    try:
        print(shown(json.loads(bytes.fromhex(line))))
    except ValueError as error:
        print("refused:", repr(error))
