"""The checks that the OpenAI SDK must pass whatever provider stands behind torod."""

import contextlib
import dataclasses
import json

import openai

import scripted
from common import KEY, Torod, equal, request

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": 'The weather of a "city", with an odd character: \u2603',
            "parameters": {
                "type": "object",
                # A key named like the one that torod rewrites, where it must not.
                "properties": {"city": {"type": "string"}, "model": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
]


@dataclasses.dataclass
class Backend:
    """One provider behind torod: its models, and what it is known to answer."""

    chat: str
    embed: str
    question: str
    # A piece of the answer to `question`.
    answer: str
    # Models that fail, by the exception that the SDK must raise.
    errors: dict
    tool: str | None = None
    # Checks of this backend alone: functions of (check, client, backend).
    more: list = dataclasses.field(default_factory=list)
    sent: list = dataclasses.field(default_factory=list)
    server: scripted.Scripted | None = None

    def ask(self) -> list:
        brief = {"role": "system", "content": "Answer in one short sentence."}
        return [brief, {"role": "user", "content": self.question}]


def connect(torod: Torod, backend: Backend, key: str = KEY) -> openai.OpenAI:
    """A client that keeps the bodies it sent and tries everything once."""
    hooks = {"request": [lambda sent: backend.sent.append(sent.content)]}
    transport = openai.DefaultHttpxClient(trust_env=False, event_hooks=hooks)
    return openai.OpenAI(
        api_key=key, base_url=f"{torod.url}/v1", max_retries=0, timeout=60, http_client=transport
    )


def gather(stream) -> dict:
    """What a stream of chunks said, put together."""
    said = {"text": "", "tools": {}, "finish": None, "usage": None, "chunks": 0, "roles": []}
    for chunk in stream:
        said["chunks"] += 1
        if chunk.usage is not None:
            assert said["usage"] is None, "usage came twice"
            said["usage"] = chunk.usage
        for choice in chunk.choices:
            said["text"] += choice.delta.content or ""
            said["roles"] += [choice.delta.role] if choice.delta.role else []
            said["finish"] = choice.finish_reason or said["finish"]
            for call in choice.delta.tool_calls or []:
                name, arguments = said["tools"].get(call.index, ("", ""))
                name += call.function.name or ""
                said["tools"][call.index] = (name, arguments + (call.function.arguments or ""))
    return said


def check_chat(check, client, backend):
    ask = {"model": backend.chat, "messages": backend.ask(), "max_tokens": 40, "temperature": 0}
    with check("chat"):
        done = client.chat.completions.create(**ask)
        assert backend.answer in done.choices[0].message.content, done.choices[0].message.content
        assert done.usage.total_tokens > 0, done.usage
        assert done.id and done.object == "chat.completion", done
    with check("stream"):
        said = gather(client.chat.completions.create(**ask, stream=True))
        assert backend.answer in said["text"], said
        equal(said["roles"], ["assistant"], "roles")
        assert said["finish"] in ("stop", "length"), said
        assert said["chunks"] > 2, f"only {said['chunks']} chunks"
        assert said["usage"] is None, "usage came although nobody asked"
    with check("stream with usage"):
        options = {"include_usage": True}
        said = gather(client.chat.completions.create(**ask, stream=True, stream_options=options))
        assert backend.answer in said["text"], said
        assert said["usage"] and said["usage"].total_tokens > 0, said
    with check("a stream that is left early harms nobody"):
        stream = client.chat.completions.create(**ask, stream=True)
        next(iter(stream))
        stream.close()
        client.chat.completions.create(**ask)


def check_tools(check, client, backend):
    ask = {"messages": [{"role": "user", "content": "Weather in Z\u00fcrich?"}], "tools": TOOLS}
    ask |= {"model": backend.tool or backend.chat, "max_tokens": 40}
    with check("tools"):
        choice = client.chat.completions.create(**ask).choices[0]
        if backend.tool:
            equal(choice.finish_reason, "tool_calls", "finish reason")
            call = choice.message.tool_calls[0]
            equal(call.function.name, "weather", "tool")
            assert isinstance(json.loads(call.function.arguments), dict)
    with check("tools in a stream"):
        said = gather(client.chat.completions.create(**ask, stream=True))
        if backend.tool:
            equal(said["finish"], "tool_calls", "finish reason")
            equal(said["tools"][0][0], "weather", "tool")
            assert isinstance(json.loads(said["tools"][0][1]), dict)


def check_responses(check, client, backend):
    ask = {"model": backend.chat, "input": backend.question, "max_output_tokens": 40}
    ask |= {"instructions": "Answer in one short sentence.", "temperature": 0}
    with check("responses"):
        done = client.responses.create(**ask)
        assert backend.answer in done.output_text, done.output_text
        equal(done.status, "completed", "status")
        assert done.usage.total_tokens > 0, done.usage
    with check("responses in a stream"):
        text, last = "", None
        for event in client.responses.create(**ask, stream=True):
            last = event
            if event.type == "response.output_text.delta":
                text += event.delta
        assert backend.answer in text, text
        equal(last.type, "response.completed", "last event")
        assert last.response.usage.total_tokens > 0, last.response.usage


def check_embeddings(check, client, backend):
    with check("embeddings, base64 as the SDK asks by default"):
        done = client.embeddings.create(model=backend.embed, input="hello")
        assert b'"encoding_format":"base64"' in backend.sent[-1].replace(b" ", b"")
        packed = done.data[0].embedding
        assert isinstance(packed, list) and len(packed) > 2, packed
        plain = client.embeddings.create(
            model=backend.embed, input="hello", encoding_format="float"
        )
        pairs = list(zip(plain.data[0].embedding, packed, strict=True))
        assert all(abs(one - other) < 1e-3 for one, other in pairs), pairs


def check_models(check, client, backend):
    with check("models list"):
        ids = [it.id for it in client.models.list()]
        assert len(ids) == len(set(ids)), f"an id is listed twice: {ids}"
        assert any("/" in it for it in ids), ids
    with check("models retrieve, with slashes in the id"):
        slashed = [it.id for it in client.models.list() if "/" in it.id]
        longest = max(slashed, key=lambda it: it.count("/"))
        # The SDK escapes the slashes; the plain form is what people type.
        equal(client.models.retrieve(longest).id, longest, "id")
        plain = request("GET", f"{client.base_url}models/{longest}")
        equal((plain.status, plain.json()["id"]), (200, longest), "plain path")


def check_errors(check, torod, client, backend):
    def raises(kind, client=client, **changed):
        ask = {"model": backend.chat, "messages": backend.ask(), "max_tokens": 8} | changed
        try:
            client.chat.completions.create(**ask)
        except kind as error:
            assert type(error) is kind, f"{type(error).__name__}, not {kind.__name__}"
            body = error.response.json()
            # A provider's own error passes as it wrote it; llama.cpp leaves `param` out.
            assert {"message", "type", "code"} <= set(body["error"]), body
            assert error.response.headers.get("x-request-id"), "no x-request-id"
            return error
        raise AssertionError(f"no {kind.__name__}")

    with check("AuthenticationError for a wrong key"):
        error = raises(openai.AuthenticationError, connect(torod, backend, "sk-not-known"))
        equal(error.code, "invalid_api_key", "code")
    with check("NotFoundError for an unknown model"):
        equal(raises(openai.NotFoundError, model="nowhere/nothing").code, "model_not_found", "code")
    for kind, changed in backend.errors.items():
        with check(f"{kind.__name__} from the provider"):
            raises(kind, **changed)
        with check(f"{kind.__name__} from the provider, where a stream was asked for"):
            raises(kind, **changed, stream=True)
    if openai.RateLimitError in backend.errors:
        with check("retries are the SDK's own decision"):
            before = len(backend.sent)
            twice = client.with_options(max_retries=1)
            with contextlib.suppress(openai.RateLimitError):
                changed = backend.errors[openai.RateLimitError]
                twice.chat.completions.create(messages=backend.ask(), **changed)
            equal(len(backend.sent) - before, 2, "requests")


def check_meter(check, torod):
    with check("the meter counted"):
        status = request("GET", f"{torod.url}/v1/status").json()
        assert status["total_tokens"] > 0, status
        equal(status["outcomes"]["panicked"], 0, "panics")


def run(check, torod, backend):
    client = connect(torod, backend)
    check_chat(check, client, backend)
    check_tools(check, client, backend)
    check_responses(check, client, backend)
    check_embeddings(check, client, backend)
    check_models(check, client, backend)
    check_errors(check, torod, client, backend)
    for more in backend.more:
        more(check, client, backend)
    check_meter(check, torod)
    with check("SIGTERM ends torod with 0"):
        torod.stop()
