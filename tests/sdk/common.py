"""What the scripts share: a running torod, HTTP without an SDK, and checks that are counted."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
KEY = "sk-test-tester-key"
# How long one script may take; the slowest takes a tenth of it.
LIMIT_SECONDS = 300
# Colour codes, which a log may carry when it goes to a terminal.
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def torod_binary() -> str:
    """The binary under test: `TOROD_BIN`, else what `cargo build` made."""
    default = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "torod"
    path = os.environ.get("TOROD_BIN", str(default))
    if not os.access(path, os.X_OK):
        sys.exit(f"no torod at `{path}`: run `cargo build` or set TOROD_BIN")
    return path


def clean_environment(home: pathlib.Path) -> dict:
    """An environment in which torod finds no file and no credential of the person who runs this."""
    return {"HOME": str(home), "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "NO_COLOR": "1"}


def config_head(**keys) -> str:
    """The first lines of a config: a free port, one admin key, and `keys` at the top level."""
    lines = ['listen_addr = "127.0.0.1:0"', "shutdown_seconds = 5"]
    # A JSON string, number or boolean is a TOML one, too.
    lines += [f"{name} = {json.dumps(value)}" for name, value in keys.items()]
    lines += ["", "[[incoming_tokens]]", 'id = "tester"', 'name = "Tester"', 'role = "admin"']
    lines += [f'key = "{KEY}"', ""]
    return "\n".join(lines) + "\n"


class Output:
    """Reads a program's output, so that its pipe never fills and its lines can be awaited."""

    def __init__(self, stream):
        self.lines = []
        self._ended = False
        self._changed = threading.Condition()
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream):
        # A closed pseudo-terminal ends with an error where a pipe ends with an empty read.
        with contextlib.suppress(OSError, ValueError):
            for raw in stream:
                with self._changed:
                    line = COLOUR.sub("", raw.decode("utf-8", "replace")).rstrip("\r\n")
                    self.lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def text(self) -> str:
        with self._changed:
            return "\n".join(self.lines)

    def wait_for(self, pattern: str, seconds: float = 20) -> re.Match:
        """The first match of `pattern` in any line, or an AssertionError with all that was said."""
        found = []

        def look():
            found[:] = [hit for hit in (re.search(pattern, line) for line in self.lines) if hit]
            return bool(found) or self._ended

        with self._changed:
            self._changed.wait_for(look, seconds)
        if not found:
            raise AssertionError(f"`{pattern}` was never printed; printed was:\n{self.text()}")
        return found[0]

    def finished(self, seconds: float = 10) -> str:
        """All of the output, once the program has closed it."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended, seconds)
        return self.text()


class Torod:
    """A torod of its own: own home, own config, own port. Ends with the `with` block."""

    def __init__(self, config: str | None = None, args: list | None = None, home=None):
        self.home = pathlib.Path(home or tempfile.mkdtemp(prefix="torod-sdk-"))
        self._own_home = home is None
        self.config = self.home / "torod.toml"
        if config is not None:
            self.config.write_text(config)
            args = ["--config", str(self.config)]
        self._command = [torod_binary(), *(args or [])]

    def __enter__(self):
        self.process = subprocess.Popen(
            self._command,
            env=clean_environment(self.home),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.output = Output(self.process.stdout)
        try:
            self.url = self.output.wait_for(r"listening on (http://[^\s\"]+)").group(1).rstrip("/")
        except AssertionError:
            self._clean()
            raise
        return self

    def stop(self) -> None:
        """SIGTERM must end it with 0, and in time."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=20)
        assert code == 0, f"exit code {code} after SIGTERM; the log:\n{self.output.finished()}"

    def __exit__(self, *error):
        self._clean()

    def _clean(self):
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=10)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self._own_home:
            shutil.rmtree(self.home, ignore_errors=True)


class Reply:
    """A whole HTTP answer."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    @property
    def generation(self) -> int:
        return int(self.headers["x-torod-generation"])


def open_request(method, url, key=KEY, body=None, headers=None, timeout=30):
    """Sends a request and returns `(connection, response)` with the body unread, for streams."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    headers = dict(headers or {})
    if key:
        headers["authorization"] = f"Bearer {key}"
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    if body is not None:
        headers.setdefault("content-type", "application/json")
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    connection.request(method, path, body=body, headers=headers)
    return connection, connection.getresponse()


def request(method, url, **options) -> Reply:
    connection, response = open_request(method, url, **options)
    with contextlib.closing(connection):
        return Reply(response.status, response.headers, response.read())


def ask(torod: Torod, model: str, text: str, key: str = KEY) -> Reply:
    """One chat request, whole."""
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    return request("POST", f"{torod.url}/v1/chat/completions", key=key, body=body)


def until(what: str, probe, seconds: float):
    """The first true answer of `probe`, asked again and again, for what only an answer can show."""
    end = time.monotonic() + seconds
    last = None
    while time.monotonic() < end:
        last = probe()
        if last:
            return last
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}; last answer: {last!r}")


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def equal(got, want, what: str = "value") -> None:
    assert got == want, f"{what} is {got!r}, not {want!r}"


class Checks:
    """Prints a line a check: `ok NAME` or `FAIL NAME: why`."""

    def __init__(self, group: str):
        self.group = group
        self.failed = 0
        # Ended from outside or by the clock, a script still stops the servers that it started.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        signal.signal(signal.SIGALRM, lambda *_: sys.exit(f"{group}: over {LIMIT_SECONDS} s"))
        signal.alarm(LIMIT_SECONDS)

    @contextlib.contextmanager
    def __call__(self, name: str):
        try:
            yield
        except Exception as error:  # noqa: BLE001 - every failure of a check is a line
            self.failed += 1
            why = " ".join(f"{type(error).__name__}: {error}".split())
            print(f"FAIL {self.group}: {name}: {why[:2000]}", flush=True)
            if os.environ.get("TOROD_TEST_TRACE"):
                traceback.print_exc()
        else:
            print(f"ok {self.group}: {name}", flush=True)

    def finish(self) -> None:
        sys.exit(1 if self.failed else 0)
