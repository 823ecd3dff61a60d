#!/usr/bin/env python3
"""Reads the tool definitions of published MCP servers and keeps them as they were sent.

    scan.py [--list FILE] [--out FOLDER] [--work FOLDER] [--jobs N] [--again] [NAME ...]

For each line of the list the package is installed from its registry into a folder of its
own outside the repository, started as a child over stdio with made-up credentials, asked
`initialize` and `tools/list` (all pages), ended, and deleted again. What it sent goes to
FOLDER/NAME.json. A line of the list, with shell quoting:

    NAME npm|pypi PACKAGE[@VERSION] [KEY=VALUE ...] [-- ARGUMENT ...]

`bin=COMMAND` chooses among several commands of a package, `with=A,B` installs more packages
beside it (a server written for the first major version of the Python SDK gets that unasked), `python=3.12` asks for an interpreter. Other KEY=VALUE pairs are set in the
server's environment. A variable that the server says it misses is given a made-up value,
and the server is started again, a few times at most.

No tool is ever called. Nothing of the caller's environment reaches the server but PATH; as
root on Linux the server also runs as `nobody`, without a network, in a PID namespace of its
own, so that nothing it starts outlives the scan. Needs node, npm (or bun, which is
faster) and uv.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import datetime
import json
import os
import pathlib
import re
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
PROTOCOL = "2025-06-18"
INSTALL_SECONDS_MAX = 240
ANSWER_SECONDS_MAX = 60
STARTS_SECONDS_MAX = 100
RESTARTS_MAX = 5
CACHE_BYTES_MAX = 1_000_000_000
LIST_BYTES_MAX = 400_000
PAGES_MAX = 50
OUTPUT_KEPT_MAX = 20_000
# Names of this shape in a failing server's output are taken for missing variables.
VARIABLE = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
NOT_VARIABLES = re.compile(r"^(ERR|NODE|NPM|UV|ERROR|MODULE|PATH|HOME|LD|MCP_ERROR)_|^[A-Z]+_ERROR$|_NOT_FOUND$")
# How a server of PyPI fails that was written for the first major version of the SDK.
OLD_SDK = re.compile(r"mcp<2|FastMCP|from mcp|'Server' object has no attribute|module 'mcp")
PERMISSIVE_LICENCE = re.compile(
    r"mit\b|apache|bsd|isc\b|unlicense\b|0bsd|cc0|cc-by-4|blueoak|zlib|wtfpl|python software", re.IGNORECASE
)


class Failed(Exception):
    """A server whose definitions cannot be kept, with the reason."""


class Entry:
    """A line of the list."""

    def __init__(self, line: str):
        words = shlex.split(line)
        self.name, self.registry, package = words[:3]
        at = package.rfind("@")
        self.package = package[:at] if at > 0 else package
        self.version = package[at + 1 :] if at > 0 else None
        rest = words[3:]
        self.args = rest[rest.index("--") + 1 :] if "--" in rest else []
        pairs = rest[: rest.index("--")] if "--" in rest else rest
        self.env = dict(pair.split("=", 1) for pair in pairs)
        self.bin = self.env.pop("bin", None)
        self.beside = [word for word in self.env.pop("with", "").split(",") if word]
        self.python = self.env.pop("python", None)
        if not re.fullmatch(r"[a-z0-9-]+", self.name) or self.registry not in ("npm", "pypi"):
            raise SystemExit(f"not a line of a list: {line}")


class Installed:
    """What was installed: how to start it, and what the package says of itself."""

    def __init__(self, command: list[str], version: str, licence: str | None, source: str | None):
        self.command = command
        self.version = version
        self.licence = licence
        self.source = source


def run(command: list[str], cwd: pathlib.Path, env: dict[str, str] | None = None) -> str:
    """Runs an installer; its output is the error if it fails."""
    try:
        done = subprocess.run(
            command, cwd=cwd, env=env, capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX, check=False
        )
    except subprocess.TimeoutExpired as late:
        raise Failed(f"{command[0]} took more than {INSTALL_SECONDS_MAX} s") from late
    if done.returncode != 0:
        tail = " ".join((done.stderr or done.stdout).split())[-300:]
        raise Failed(f"install: {tail}")
    return done.stdout


def licence_file(home: pathlib.Path) -> str | None:
    """The name of the licence that a package carries as a file, for one that states it no other way."""
    for path in sorted(home.glob("*")):
        if path.is_file() and re.match(r"(licen[sc]e|copying)", path.name, re.IGNORECASE):
            lines = [line.strip(" #*\t") for line in path.read_text("utf-8", "replace").splitlines()]
            first = next((line for line in lines if line), "")
            return f"{first[:80]} (file {path.name})"
    for path in sorted(home.glob("README*")):
        said = re.search(r"licensed under the ([A-Z][^.\n]{2,40}?) licen[sc]e", path.read_text("utf-8", "replace"), re.I)
        if said:
            return f"{said.group(1)} (file {path.name})"
    return None


def cache(work: pathlib.Path) -> pathlib.Path:
    """A download cache of this worker's own, which it may empty."""
    return work / f"cache-{threading.current_thread().name}"


def trim(folder: pathlib.Path) -> None:
    """Empties a cache that has grown large."""
    size = sum(f.lstat().st_size for f in folder.rglob("*") if f.is_file()) if folder.exists() else 0
    if size > CACHE_BYTES_MAX:
        shutil.rmtree(folder, ignore_errors=True)


def choose(names: list[str], wanted: str | None, package: str) -> str:
    """The command of a package that starts the server."""
    short = package.rsplit("/", 1)[-1]
    if wanted:
        if wanted not in names:
            raise Failed(f"no command {wanted} among {names}")
        return wanted
    if not names:
        raise Failed("the package has no command")
    for test in (lambda n: n == short, lambda n: "mcp" in n and "server" in n, lambda n: "mcp" in n):
        for name in sorted(names):
            if test(name):
                return name
    return sorted(names)[0]


def install_npm(entry: Entry, folder: pathlib.Path, work: pathlib.Path) -> Installed:
    """Installs a package of npm without running its scripts."""
    wanted = entry.package + (f"@{entry.version}" if entry.version else "")
    (folder / "package.json").write_text("{}")
    if shutil.which("bun"):
        install = ["bun", "add", "--ignore-scripts", "--no-progress", f"--cache-dir={cache(work)}"]
    else:
        install = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev", "--loglevel=error"]
        install.append(f"--cache={cache(work)}")
    run([*install, wanted, *entry.beside], folder)
    home = folder / "node_modules" / entry.package
    said = json.loads((home / "package.json").read_text())
    bins = said.get("bin") or {}
    if isinstance(bins, str):
        bins = {entry.package.rsplit("/", 1)[-1]: bins}
    script = home / bins[choose(list(bins), entry.bin, entry.package)]
    licence = said.get("license")
    if isinstance(licence, dict):
        licence = licence.get("type")
    if not licence or licence.upper().startswith("SEE LICEN"):
        licence = licence_file(home) or licence
    repository = said.get("repository")
    if isinstance(repository, dict):
        repository = repository.get("url")
    head = script.read_bytes()[:120].split(b"\n")[0]
    command = ["node", str(script)] if b"node" in head or script.suffix in (".js", ".mjs", ".cjs") else [str(script)]
    return Installed(command, said["version"], licence, repository or said.get("homepage"))


def install_pypi(entry: Entry, folder: pathlib.Path, work: pathlib.Path) -> Installed:
    """Installs a package of PyPI into a virtual environment; wheels and sources both."""
    env = os.environ | {"UV_CACHE_DIR": str(cache(work)), "UV_PYTHON_DOWNLOADS": "never"}
    venv = folder / "venv"
    run(["uv", "venv", "-q", "--clear", "--python", entry.python or "3.13", str(venv)], folder, env)
    wanted = entry.package + (f"=={entry.version}" if entry.version else "")
    python = venv / "bin" / "python"
    run(["uv", "pip", "install", "-q", "--python", str(python), wanted, *entry.beside], folder, env)
    ask = (
        "import importlib.metadata as m, json, sys\n"
        "d = m.distribution(sys.argv[1])\n"
        "print(json.dumps({'version': d.version, 'at': str(d._path),\n"
        " 'bins': [e.name for e in d.entry_points if e.group == 'console_scripts'],\n"
        " 'meta': [[k, v] for k, v in d.metadata.items()]}))"
    )
    said = json.loads(run([str(python), "-c", ask, entry.package], folder))
    fields: dict[str, list[str]] = {}
    for key, value in said["meta"]:
        fields.setdefault(key.lower(), []).append(value)
    licence = (fields.get("license-expression") or [None])[0]
    if not licence:
        stated = [c.rsplit(" :: ", 1)[-1] for c in fields.get("classifier", []) if c.startswith("License ::")]
        text = (fields.get("license") or [""])[0].strip().splitlines()
        licence = (stated or [line.strip() for line in text if line.strip()] or [None])[0]
    if not licence:
        at = pathlib.Path(said["at"])
        licence = licence_file(at / "licenses") or licence_file(at)
    links = dict(
        (label.strip().lower(), url.strip())
        for label, _, url in (line.partition(",") for line in fields.get("project-url", []))
    )
    first = ("repository", "source", "source code", "github", "homepage")
    source = next((links[k] for k in first if k in links), None)
    source = source or (fields.get("home-page") or [None])[0] or next(iter(links.values()), None)
    command = [str(venv / "bin" / choose(said["bins"], entry.bin, entry.package))]
    return Installed(command, said["version"], licence, source)


def made_up(variable: str) -> str:
    """A value of the right shape for a variable that a server asks for."""
    word = variable.upper()
    if "PORT" in word:
        return "9"
    if any(part in word for part in ("URL", "URI", "ENDPOINT", "BASE", "SERVER")):
        return "http://127.0.0.1:9"
    if "HOST" in word or "DOMAIN" in word or "INSTANCE" in word:
        return "127.0.0.1"
    if "EMAIL" in word or "USER" in word:
        return "dummy@example.com"
    if word.endswith("_ID"):
        return "00000000-0000-0000-0000-000000000000"
    if any(part in word for part in ("PATH", "DIR", "FOLDER", "FILE")):
        return "/tmp"
    return "dummy"


class Child:
    """A started server, spoken to over its standard streams."""

    def __init__(self, command: list[str], env: dict[str, str], home: pathlib.Path):
        wrap: list[str] = []
        if os.geteuid() == 0 and shutil.which("unshare") and shutil.which("setpriv"):
            inner = "ip link set lo up 2>/dev/null; exec setpriv --reuid=nobody --clear-groups --no-new-privs \"$@\""
            wrap = ["unshare", "-n", "-p", "-f", "--mount-proc", "--kill-child", "--", "sh", "-c", inner, "sh"]
        self.process = subprocess.Popen(
            ["nice", "-n", "19", *wrap, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=home,
            env=env,
            start_new_session=True,
        )
        self.output = ""
        self.pending = b""
        self.until = time.monotonic() + ANSWER_SECONDS_MAX
        self.watch = selectors.DefaultSelector()
        for stream in (self.process.stdout, self.process.stderr):
            os.set_blocking(stream.fileno(), False)
            self.watch.register(stream, selectors.EVENT_READ)

    def keep(self, text: bytes) -> None:
        """Keeps what is not a message: it may name what the server misses."""
        self.output = (self.output + text.decode("utf-8", "replace"))[-OUTPUT_KEPT_MAX:]

    def send(self, message: dict) -> None:
        """Sends one message."""
        try:
            self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
            self.process.stdin.flush()
        except OSError as gone:
            self.drain()
            raise Failed("ended before it was asked") from gone

    def drain(self) -> None:
        """Reads what is left of an ended server's output."""
        time.sleep(0.3)
        for stream in (self.process.stdout, self.process.stderr):
            try:
                self.keep(stream.read() or b"")
            except OSError:
                pass

    def ask(self, number: int, method: str, params: dict) -> dict:
        """Sends a request and waits for its result."""
        self.send({"id": number, "method": method, "params": params})
        while True:
            while b"\n" in self.pending:
                line, self.pending = self.pending.split(b"\n", 1)
                try:
                    message = json.loads(line)
                except ValueError:
                    self.keep(line + b"\n")
                    continue
                if not isinstance(message, dict):
                    continue
                if message.get("id") == number and "method" not in message:
                    if "error" in message:
                        self.keep(json.dumps(message["error"]).encode())
                        raise Failed(f"{method}: {json.dumps(message['error'])[:200]}")
                    return message["result"]
                if "method" in message and "id" in message:
                    self.refuse(message)
            left = self.until - time.monotonic()
            if left <= 0:
                raise Failed(f"no answer to {method} within {ANSWER_SECONDS_MAX} s")
            for key, _ in self.watch.select(min(left, 1.0)):
                data = key.fileobj.read(1 << 20)
                if data is None:
                    continue
                if not data:
                    self.watch.unregister(key.fileobj)
                elif key.fileobj is self.process.stdout:
                    self.pending += data
                else:
                    self.keep(data)
            if not self.watch.get_map() or self.process.poll() is not None and b"\n" not in self.pending:
                self.drain()
                raise Failed(f"ended before it answered {method}")

    def refuse(self, request: dict) -> None:
        """Answers a request of the server: a ping, or that it is not supported."""
        if request["method"] == "ping":
            self.send({"id": request["id"], "result": {}})
        else:
            self.send({"id": request["id"], "error": {"code": -32601, "message": "not supported"}})

    def end(self) -> None:
        """Ends the server and all that it started."""
        for end in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, end)
            except ProcessLookupError:
                break
            try:
                self.process.wait(2)
            except subprocess.TimeoutExpired:
                continue
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                stream.close()
            except OSError:
                pass
        self.process.wait()


def listed(child: Child) -> tuple[dict, list]:
    """Opens a session and reads the whole list."""
    client = {"name": "catalogue", "version": "1"}
    hello = child.ask(1, "initialize", {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": client})
    child.send({"method": "notifications/initialized"})
    tools: list = []
    cursor = None
    for page in range(PAGES_MAX):
        answer = child.ask(2 + page, "tools/list", {"cursor": cursor} if cursor else {})
        tools += answer["tools"]
        cursor = answer.get("nextCursor")
        if not cursor:
            return hello, tools
    raise Failed(f"more than {PAGES_MAX} pages")


def start_and_list(entry: Entry, installed: Installed, folder: pathlib.Path) -> tuple[dict, list]:
    """Starts the server until it answers, with a made-up value for each variable it misses."""
    env: dict[str, str] = {}
    until = time.monotonic() + STARTS_SECONDS_MAX
    for restart in range(RESTARTS_MAX + 1):
        home = pathlib.Path(tempfile.mkdtemp(prefix="home-", dir=folder))
        home.chmod(0o777)
        # PATH must not lead to the caller's own commands: only node, python and the system's.
        base = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), "LANG": "C.UTF-8", "TERM": "dumb"}
        child = Child([*installed.command, *entry.args], base | env | entry.env, home)
        try:
            return listed(child)
        except Failed as failed:
            named = {n for n in VARIABLE.findall(child.output) if not NOT_VARIABLES.search(n)}
            missing = named - env.keys() - entry.env.keys()
            if not missing or restart == RESTARTS_MAX or time.monotonic() > until:
                tail = " ".join(child.output.split())[-300:]
                raise Failed(f"{failed}; it said: {tail}") from failed
            env |= {name: made_up(name) for name in missing}
        finally:
            child.end()
    raise Failed("not reached")


def written(server: dict) -> str:
    """The text of a data file: a field a line, a tool a line."""
    fields = [f" {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in server.items() if k != "tools"]
    tools = ",\n".join("  " + json.dumps(tool, ensure_ascii=False) for tool in server["tools"])
    return "{\n" + ",\n".join(fields) + ',\n "tools": [\n' + tools + "\n ]\n}\n"


def scan(entry: Entry, out: pathlib.Path, work: pathlib.Path) -> str:
    """Scans one server; a line that says how it went."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{entry.name}-", dir=work))
    folder.chmod(0o755)
    try:
        install = install_npm if entry.registry == "npm" else install_pypi
        installed = install(entry, folder, work)
        if not installed.licence or not PERMISSIVE_LICENCE.search(installed.licence):
            raise Failed(f"its package states no permissive licence: {installed.licence}")
        try:
            hello, tools = start_and_list(entry, installed, folder)
        except Failed as failed:
            if entry.registry != "pypi" or "mcp<2" in entry.beside or not OLD_SDK.search(str(failed)):
                raise
            entry.beside.append("mcp<2")
            installed = install(entry, folder, work)
            hello, tools = start_and_list(entry, installed, folder)
        if not tools:
            raise Failed("an empty list")
        text = json.dumps(tools, ensure_ascii=False)
        if len(text.encode("utf-8", "replace")) > LIST_BYTES_MAX:
            raise Failed(f"a list of {len(text)} bytes")
        local = re.search(re.escape(str(work)) + r"[^\"]*|/nonexistent", text)
        if local:
            raise Failed(f"its definitions name a path of this machine: {local.group()[:120]}")
        kept = {
            "name": entry.name,
            "package": {"registry": entry.registry, "name": entry.package, "version": installed.version},
            "licence": installed.licence,
            "source": installed.source,
            "date": datetime.date.today().isoformat(),
            "obtained": {
                "how": "tools/list over stdio",
                "protocolVersion": hello.get("protocolVersion"),
                "serverInfo": hello.get("serverInfo"),
            },
            "tools": tools,
        }
        if entry.args:
            kept["obtained"]["args"] = entry.args
        (out / f"{entry.name}.json").write_text(written(kept))
        return f"ok\t{entry.name}\t{len(tools)} tools\t{len(text)} bytes"
    except Failed as failed:
        return f"failed\t{entry.name}\t{failed}"
    except Exception as odd:  # one odd server must not end the scan of the others
        return f"failed\t{entry.name}\t{type(odd).__name__}: {odd}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        trim(cache(work))


def main() -> None:
    """Scans what the list names and is not there yet."""
    parser = argparse.ArgumentParser(description="keep the tool definitions of published MCP servers")
    parser.add_argument("--list", type=pathlib.Path, default=HERE / "servers.list")
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "servers")
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path(tempfile.gettempdir()) / "catalogue-scan")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--again", action="store_true", help="scan also what is there")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    options.work.chmod(0o755)
    lines = options.list.read_text().splitlines()
    entries = [Entry(line) for line in lines if line.strip() and not line.startswith("#")]
    wanted = [
        e
        for e in entries
        if (not options.names or e.name in options.names)
        and (options.again or options.names or not (options.out / f"{e.name}.json").exists())
    ]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for done in concurrent.futures.as_completed(pool.submit(scan, e, options.out, options.work) for e in wanted):
            print(done.result(), flush=True)
    shutil.rmtree(options.work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
