"""Editing the file by hand while a stream runs: the next request sees it, the stream ends whole."""

import json
import os
import subprocess
import time

from common import Checks, Torod, ask, config_head, equal, open_request, request, until

ECHO = '[[providers]]\nname = "{name}"\nprovider_type = "echo"\n'
# Tests of time allow a second where the file's directory is watched.
ALLOWED_SECONDS = 1.0


class Stream:
    """A chat stream that ticks for about three seconds."""

    def __init__(self, torod: Torod):
        body = {"model": "echo/tick-50ms-words-60", "stream": True}
        body["messages"] = [{"role": "user", "content": "count"}]
        url = f"{torod.url}/v1/chat/completions"
        self._connection, self.response = open_request("POST", url, body=body)
        self.generation = int(self.response.headers["x-torod-generation"])
        self.events = []

    def read(self, count: int | None = None) -> None:
        """Reads `count` events more, or all."""
        while count is None or count > 0:
            line = self.response.readline()
            if not line:
                return
            if line.startswith(b"data: "):
                self.events.append(line[6:].strip().decode())
                count = None if count is None else count - 1

    def text(self) -> str:
        chunks = [json.loads(it) for it in self.events if it != "[DONE]"]
        choices = [choice for chunk in chunks for choice in chunk["choices"]]
        return "".join(choice["delta"].get("content") or "" for choice in choices)


def answers(torod: Torod, name: str, after: int) -> int:
    """Waits until provider `name` answers; the generation that did."""
    begun = time.monotonic()

    def probe():
        reply = ask(torod, f"{name}/hello", "are you there")
        return reply if reply.status == 200 and reply.generation > after else None

    reply = until(f"`{name}` answers", probe, ALLOWED_SECONDS)
    equal(reply.json()["choices"][0]["message"]["content"], "are you there", "answer")
    print(f"     `{name}` answered {(time.monotonic() - begun) * 1000:.0f} ms after the edit")
    return reply.generation


def main() -> None:
    check = Checks("hot edit")
    config = config_head(default_provider="echo") + ECHO.format(name="echo")
    with Torod(config) as torod:
        stream = Stream(torod)
        generation = stream.generation
        stream.read(5)
        with check("a provider added in place answers the next request"):
            with torod.config.open("a") as file:
                file.write("\n" + ECHO.format(name="second"))
            generation = answers(torod, "second", generation)
        with check("so does one added by write and rename, as editors do"):
            fresh = torod.config.with_suffix(".tmp")
            fresh.write_text(torod.config.read_text() + "\n" + ECHO.format(name="third"))
            os.replace(fresh, torod.config)
            generation = answers(torod, "third", generation)
        with check("so does one renamed by `sed -i`"):
            subprocess.run(["sed", "-i", 's/"third"/"fourth"/', torod.config], check=True)
            generation = answers(torod, "fourth", generation)
            equal(ask(torod, "third/hello", "gone?").status, 404, "status of the old name")
        with check("the stream still runs"):
            stream.read(1)
            assert stream.events[-1] != "[DONE]", "the stream ended before the edits did"
        with check("the stream ends whole"):
            stream.read()
            equal(len(stream.text().split()), 60, "words")
            equal(stream.events[-1], "[DONE]", "last event")
            finished = json.loads(stream.events[-2])["choices"][0]["finish_reason"]
            equal(finished, "stop", "finish reason")
        check_bad_edit(check, torod, generation)
        with check("SIGTERM ends torod with 0"):
            torod.stop()
    check.finish()


def check_bad_edit(check, torod: Torod, generation: int) -> None:
    url = f"{torod.url}/admin/api/config/status"
    good = torod.config.read_text()

    def problems():
        return request("GET", url).json()["problems"]

    with check("a bad edit is named with its line, and the last good file stays live"):
        torod.config.write_text(good + "nonsense = \n")
        line = good.count("\n") + 1
        found = until("the status names the problem", problems, ALLOWED_SECONDS)
        equal([it["line"] for it in found], [line], "lines")
        reply = ask(torod, "fourth/hello", "still here")
        equal((reply.status, reply.generation), (200, generation), "reply")
    with check("mending it clears the problem"):
        torod.config.write_text(good)
        until("the problem is gone", lambda: not problems(), ALLOWED_SECONDS)


if __name__ == "__main__":
    main()
