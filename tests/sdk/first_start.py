"""A first start on a machine where torod never ran: a file, a key, and the first request."""

import contextlib
import os
import pathlib
import re
import socket
import stat
import subprocess
import tempfile

from common import (
    Checks,
    Output,
    Torod,
    ask,
    clean_environment,
    equal,
    port_is_free,
    torod_binary,
)

ADDRESS = ("127.0.0.1", 8080)
CONFIG = ".config/tokenrouter/torod.toml"
KEY_FILE = ".local/state/tokenrouter/first-admin-key"
KEY = r"tr_[0-9A-Za-z]{10}_[0-9A-Za-z]{32}_[0-9A-Za-z]{6}"


def mode(path: pathlib.Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


@contextlib.contextmanager
def fresh_home():
    with tempfile.TemporaryDirectory(prefix="torod-sdk-") as name:
        yield pathlib.Path(name)


@contextlib.contextmanager
def address_taken():
    """Holds the default address, or leaves it to whoever has it already."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            holder.bind(ADDRESS)
            holder.listen()
        yield


def check_taken_address(check) -> None:
    with check("a taken address is fatal, with the address in the message"):
        with fresh_home() as home, address_taken():
            ended = subprocess.run(
                [torod_binary()],
                env=clean_environment(home),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
            )
            said = ended.stdout + ended.stderr
            equal(ended.returncode, 1, f"exit code, with\n{said}\nthat is, code")
            assert "127.0.0.1:8080" in said, said


def check_without_terminal(check, home: pathlib.Path, arguments: list) -> None:
    """`arguments` is empty for bare `torod`."""
    config = home / CONFIG if not arguments else home / "elsewhere" / "torod.toml"
    name = "bare torod" if not arguments else "--config to a missing file"
    if config.exists():
        # The default address is another program's: keep the file, take a free port.
        config.write_text(config.read_text().replace("127.0.0.1:8080", "127.0.0.1:0"))
    with Torod(args=arguments, home=home) as torod:
        said = torod.output
        key_file = home / KEY_FILE
        with check(f"{name}: the path of the key is printed, the key is not"):
            said.wait_for(re.escape(str(key_file)))
            assert not re.search(KEY, said.text()), said.text()
        with check(f"{name}: the line to try is printed"):
            said.wait_for(r"curl .*|curl$")
        with check(f"{name}: file and key are for the owner alone"):
            equal((mode(config), mode(key_file)), ("0o600", "0o600"), "modes")
        with check(f"{name}: the file holds the hash, not the key"):
            key = key_file.read_text().strip()
            assert re.fullmatch(KEY, key), "not a key"
            text = config.read_text()
            assert key not in text and 'key_hash = "sha256:' in text, text
        with check(f"{name}: the key works at the echo provider"):
            reply = ask(torod, "echo/hello", "hello", key=key_file.read_text().strip())
            equal(reply.status, 200, "status")
            content = reply.json()["choices"][0]["message"]["content"]
            equal(content, "hello", "answer")
        with check(f"{name}: no key, no answer"):
            equal(ask(torod, "echo/hello", "hello", key=None).status, 401, "status")
        with check(f"{name}: SIGTERM ends it with 0"):
            torod.stop()
    if arguments:
        return
    with check("a second start keeps file and key"):
        before = (config.read_bytes(), key_file.read_bytes())
        with Torod(args=arguments, home=home) as again:
            again.stop()
        equal((config.read_bytes(), key_file.read_bytes()), before, "file and key")


def check_on_terminal(check) -> None:
    """On a terminal a wizard asks; the key is shown, once, and lies in no file."""
    with check("on a terminal the key is printed once and written nowhere"), fresh_home() as home:
        master, slave = os.openpty()
        process = subprocess.Popen(
            [torod_binary()], env=clean_environment(home), stdin=slave, stdout=slave, stderr=slave
        )
        os.close(slave)
        output = Output(os.fdopen(os.dup(master), "rb", buffering=0))
        try:
            # What it proposes is taken. A question about servers found here may or may not come.
            for question in ["Where should torod listen", "How should it be served"]:
                output.wait_for(question)
                os.write(master, b"\r")
            output.wait_for("What about them|Add a provider")
            if "What about them" in output.text():
                os.write(master, b"\r")
            output.wait_for("Add a provider")
            os.write(master, b"\r")
            output.wait_for("Write /")
            os.write(master, b"\r")
            output.wait_for(KEY)
            output.wait_for("curl")
            output.wait_for("listening on")
        finally:
            process.terminate()
            process.wait(timeout=20)
            os.close(master)
        said = output.finished()
        equal(len(set(re.findall(KEY, said))), 1, f"keys, in\n{said}\nthat is, keys")
        assert not (home / KEY_FILE).exists(), "the key is in a file, too"


def main() -> None:
    check = Checks("first start")
    check_taken_address(check)
    free = port_is_free(ADDRESS[1])
    with fresh_home() as home:
        if not free:
            print("     port 8080 is another program's: the file is made, then takes a free port")
            subprocess.run(
                [torod_binary()],
                env=clean_environment(home),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=20,
                check=False,
            )
        check_without_terminal(check, home, [])
    if free:
        with fresh_home() as home:
            elsewhere = ["--config", str(home / "elsewhere" / "torod.toml")]
            check_without_terminal(check, home, elsewhere)
        check_on_terminal(check)
    check.finish()


if __name__ == "__main__":
    main()
