"""Runs a command at a terminal of its own, types there what it reads, and prints what the terminal shows.

Each line is typed once something asks for it: what is shown ends with a colon and a space.
"""

import os
import pty
import select
import signal
import sys
import time

lines = sys.stdin.read().splitlines(keepends=True)
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[1], sys.argv[1:])
shown = b""
asked = 0
end = time.monotonic() + 60
while time.monotonic() < end:
    ready, _, _ = select.select([terminal], [], [], 0.1)
    if not ready:
        continue
    try:
        some = os.read(terminal, 65536)
    except OSError:
        break
    if not some:
        break
    shown += some
    if lines and shown[asked:].endswith(b": "):
        asked = len(shown)
        os.write(terminal, lines.pop(0).encode())
sys.stdout.buffer.write(shown)
sys.stdout.flush()
# One that still waits for an answer has asked more than it should.
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
