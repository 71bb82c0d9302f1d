"""`torod check` on a file with five mistakes prints five problems with their lines."""

import json
import pathlib
import re
import subprocess
import tempfile

from common import Checks, clean_environment, equal, torod_binary

SECRET = "sk-very-secret-value"
# The mistakes carry a mark, which is cut off before the file is written.
FILE = f"""\
listen_addr = "127.0.0.1:0"
default_provider = "opnai" #!

[[incoming_tokens]]
id = "tester"
name = "Tester"
role = "amdin" #!
key = "sk-long-enough-0123456789"

[[providers]]
name = "one/two" #!
provider_type = "echo"

[[providers]]
name = "three"
provider_type = "openai-compatible"
base_url = "nowhere" #!

[[providers]]
name = "openai"
provider_type = "openai"
api_kee = "{SECRET}" #!
"""


def run(directory: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [torod_binary(), "check", *arguments],
        env=clean_environment(directory),
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def main() -> None:
    check = Checks("five mistakes")
    wrong = [n for n, line in enumerate(FILE.splitlines(), 1) if line.endswith("#!")]
    with tempfile.TemporaryDirectory(prefix="torod-sdk-") as name:
        directory = pathlib.Path(name)
        config = directory / "torod.toml"
        config.write_text(FILE.replace(" #!", ""))
        text = run(directory, "--config", str(config))
        said = text.stdout + text.stderr
        with check("the exit code is 3"):
            equal(text.returncode, 3, "exit code")
        with check("five problems with their lines"):
            found = re.findall(r"torod\.toml:(\d+):\d+", said)
            equal(sorted(int(it) for it in found), wrong, f"lines, in\n{said}\nthat is, lines")
        with check("a near miss is named"):
            for near in ("openai", "admin", "api_key"):
                assert f"`{near}`" in said, f"no `{near}` in:\n{said}"
        with check("the secret is not printed"):
            assert SECRET not in said, said
        as_json = run(directory, "--config", str(config), "--format", "json")
        with check("the same five as JSON"):
            equal(as_json.returncode, 3, "exit code")
            problems = json.loads(as_json.stdout)["problems"]
            equal(sorted(it["line"] for it in problems), wrong, "lines")
            equal({it["severity"] for it in problems}, {"error"}, "severities")
            assert SECRET not in as_json.stdout + as_json.stderr
        config.write_text('listen_addr = "127.0.0.1:0"\n')
        with check("a good file is 0"):
            equal(run(directory, "--config", str(config)).returncode, 0, "exit code")
    check.finish()


if __name__ == "__main__":
    main()
