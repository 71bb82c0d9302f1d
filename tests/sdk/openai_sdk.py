"""The OpenAI SDK through torod: openai_sdk.py echo|scripted|llama

The same list of checks runs in front of the built-in echo provider, of a scripted provider, and of
a real llama.cpp server that torod has to find by itself. What differs is data in `Backend`.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys

import openai

import scripted
from common import (
    KEY,
    ROOT,
    Checks,
    Output,
    Torod,
    config_head,
    equal,
    port_is_free,
    request,
    until,
)
from openai_checks import TOOLS, Backend, gather, run

# The ports at which torod looks for a llama.cpp server. 8080 is left to a first start of torod.
LLAMA_PORTS = [8081, 8082, 8083, 8000, 1337, 7050]


def in_front_of_echo(check):
    failing = {openai.RateLimitError: 429, openai.BadRequestError: 400}
    failing |= {openai.InternalServerError: 500}
    backend = Backend(
        chat="echo/hello",
        embed="echo/embed",
        tool="echo/tool-call",
        question="What is the capital of France?",
        answer="What is the capital of France?",
        errors={kind: {"model": f"echo/error-{status}"} for kind, status in failing.items()},
    )
    provider = '[[providers]]\nname = "echo"\nprovider_type = "echo"\n'
    with Torod(config_head(default_provider="echo") + provider) as torod:
        run(check, torod, backend)


def scripted_provider(url: str) -> str:
    return "\n".join(
        [
            "[[providers]]",
            'name = "scripted"',
            'provider_type = "openai-compatible"',
            f'base_url = "{url}/v1"',
            f'api_key = "{scripted.CREDENTIAL}"',
            "include_usage = true",
            "",
        ]
    )


def check_passage(check, client, backend):
    """What reaches the provider, against the bytes that the SDK sent."""
    server = backend.server
    ask = {"messages": backend.ask(), "tools": TOOLS, "tool_choice": "auto", "seed": 7}
    ask |= {"model": "scripted/org/chat-2", "extra_body": {"unknown": {"model": "scripted/x"}}}

    def passed() -> tuple:
        sent = backend.sent[-1].replace(b'"scripted/org/chat-2"', b'"org/chat-2"', 1)
        return server.last("/v1/chat/completions").body, sent

    with check("the body arrives as it was sent, but for the model"):
        client.chat.completions.create(**ask)
        equal(*passed(), "body at the provider")
    with check("a stream whose client asked for usage arrives as it was sent, too"):
        options = {"include_usage": True}
        gather(client.chat.completions.create(**ask, stream=True, stream_options=options))
        equal(*passed(), "body at the provider")
    with check("the wish for usage is added where the client had none"):
        said = gather(client.chat.completions.create(**ask, stream=True))
        arrived, sent = (json.loads(it) for it in passed())
        equal(arrived.pop("stream_options"), {"include_usage": True}, "stream_options")
        equal(arrived, sent, "the rest of the body")
        assert said["usage"] is None, said
    with check("a tool's result goes back and is answered"):
        first = client.chat.completions.create(**ask).choices[0].message
        call = first.tool_calls[0]
        equal(call.function.arguments, scripted.ARGUMENTS, "arguments")
        result = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
        turns = [*backend.ask(), first.model_dump(exclude_none=True), result]
        again = client.chat.completions.create(**{**ask, "messages": turns})
        equal(again.choices[0].message.content, scripted.TEXT, "text")
        equal(*passed(), "body at the provider")
    with check("a rate limit keeps its retry-after"):
        try:
            client.chat.completions.create(model="scripted/error-429", messages=backend.ask())
        except openai.RateLimitError as error:
            equal(error.response.headers.get("retry-after"), "7", "retry-after")
            assert scripted.ERRORS[429][2] in str(error), error
    with check("a credential that the provider refuses is not the caller's fault"):
        try:
            client.chat.completions.create(model="scripted/error-401", messages=backend.ask())
        except openai.InternalServerError as error:
            equal(error.status_code, 502, "status")
            equal(error.code, "upstream_credentials", "code")
            equal(error.response.headers.get("x-should-retry"), "false", "x-should-retry")
        else:
            raise AssertionError("no error")
    with check("the provider never sees the caller's key"):
        assert not server.saw(KEY)
        assert server.saw(scripted.CREDENTIAL)
    with check("the client never sees the provider's cookie"):
        raw = client.chat.completions.with_raw_response.create(
            model="scripted/chat", messages=backend.ask()
        )
        equal(raw.headers.get("set-cookie"), None, "set-cookie")


def wait_for_model(torod: Torod, known, seconds: float = 30) -> str:
    """The first listed id for which `known` is true."""

    def look():
        listed = request("GET", f"{torod.url}/v1/models").json()
        return next((it["id"] for it in listed["data"] if known(it["id"])), None)

    return until("the model is listed", look, seconds)


def in_front_of_scripted(check):
    failing = {openai.RateLimitError: 429, openai.BadRequestError: 400}
    failing |= {openai.InternalServerError: 500, openai.NotFoundError: 404}
    with scripted.Scripted() as server:
        backend = Backend(
            chat="scripted/chat",
            embed="scripted/embed",
            tool="scripted/chat",
            question="Hello?",
            answer=scripted.TEXT,
            errors={kind: {"model": f"scripted/error-{code}"} for kind, code in failing.items()},
            more=[check_passage],
            server=server,
        )
        config = config_head(default_provider="scripted") + scripted_provider(server.url)
        with Torod(config) as torod:
            with check("the provider's list is loaded"):
                wait_for_model(torod, lambda it: it == "scripted/org/chat-2")
            run(check, torod, backend)


@contextlib.contextmanager
def llama_server():
    """A llama.cpp server on a port where torod looks for one."""
    target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
    home = pathlib.Path(os.environ.get("TOROD_LLAMA_DIR", f"{target}/test-env/llama"))
    port = next((it for it in LLAMA_PORTS if port_is_free(it)), None)
    assert port, f"none of the ports {LLAMA_PORTS} is free"
    serve = ROOT / "tests" / "sdk" / "llama" / "serve.py"
    command = [home / "venv" / "bin" / "python", serve]
    command += ["--model", home / "model.gguf", "--port", str(port)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        # A cold disk and a busy machine make it slow to load; none of that is torod's.
        Output(process.stdout).wait_for(r"^serving on ", 300)
        yield port
    finally:
        # It ends with its standard input.
        process.stdin.close()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def check_structure(check, client, backend):
    """The server can only obey this if the whole of the unusual field arrives."""
    city = {"type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}}}
    city |= {"required": ["city"], "additionalProperties": False}
    shape = {"type": "json_schema", "json_schema": {"name": "city", "schema": city}}
    with check("structured output"):
        done = client.chat.completions.create(
            model=backend.chat, messages=backend.ask(), response_format=shape, max_tokens=60
        )
        assert json.loads(done.choices[0].message.content)["city"] in ("Paris", "Rome")


def in_front_of_llama(check):
    with llama_server() as port, Torod(config_head(auto_detect_local_servers=True)) as torod:
        with check("torod finds the llama.cpp server by itself"):
            model = wait_for_model(torod, lambda it: it.startswith(f"llama-cpp-local-{port}/"))
        if check.failed:
            return
        backend = Backend(
            chat=model,
            embed=model,
            question="What is the capital of France?",
            answer="Paris",
            errors={openai.BadRequestError: {"extra_body": {"messages": "not a list"}}},
            more=[check_structure],
        )
        run(check, torod, backend)


def main() -> None:
    backends = {
        "echo": in_front_of_echo,
        "scripted": in_front_of_scripted,
        "llama": in_front_of_llama,
    }
    if len(sys.argv) != 2 or sys.argv[1] not in backends:
        sys.exit(f"usage: openai_sdk.py {'|'.join(backends)}")
    check = Checks(f"openai sdk, {sys.argv[1]}")
    backends[sys.argv[1]](check)
    check.finish()


if __name__ == "__main__":
    main()
