"""The Anthropic SDK through torod's /v1/messages, in front of the scripted Anthropic provider."""

import anthropic

import scripted
import scripted_anthropic as script
from common import KEY, Checks, Torod, config_head, equal, request, until

MESSAGES = [{"role": "user", "content": "Weather in Z\u00fcrich?"}]
TOOL = {"name": "weather", "description": 'the "weather"'}
TOOL["input_schema"] = {"type": "object", "properties": {"model": {"type": "string"}}}
TOOLS = [TOOL]
SENT = []


def provider(name: str, kind: str, base_url: str, credential: str) -> str:
    lines = ["[[providers]]", f'name = "{name}"', f'provider_type = "{kind}"']
    lines += [f'base_url = "{base_url}"', f'api_key = "{credential}"', ""]
    return "\n".join(lines)


def connect(torod: Torod, key: str = KEY) -> anthropic.Anthropic:
    hooks = {"request": [lambda sent: SENT.append(sent.content)]}
    transport = anthropic.DefaultHttpxClient(trust_env=False, event_hooks=hooks)
    return anthropic.Anthropic(
        api_key=key, base_url=torod.url, max_retries=0, timeout=30, http_client=transport
    )


def check_messages(check, client, server, name):
    ask = {"model": f"{name}/claude-a", "max_tokens": 64, "messages": MESSAGES}

    def arrived_whole():
        sent = SENT[-1].replace(f'"{name}/claude-a"'.encode(), b'"claude-a"', 1)
        equal(server.last("/v1/messages").body, sent, "body at the provider")

    with check(f"{name}: message"):
        done = client.messages.create(**ask)
        equal(done.content[0].text, script.TEXT, "text")
        equal(done.usage.output_tokens, script.USAGE["output_tokens"], "output tokens")
        equal(done.stop_reason, "end_turn", "stop reason")
        arrived_whole()
    with check(f"{name}: stream"):
        with client.messages.stream(**ask) as stream:
            text = "".join(stream.text_stream)
            done = stream.get_final_message()
        equal(text, script.TEXT, "text")
        equal(done.stop_reason, "end_turn", "stop reason")
        equal(done.usage.output_tokens, script.USAGE["output_tokens"], "output tokens")
        arrived_whole()
    with check(f"{name}: tools"):
        done = client.messages.create(**ask, tools=TOOLS)
        equal(done.content[0].input, script.TOOL_INPUT, "input")
        arrived_whole()
    with check(f"{name}: tools in a stream"):
        with client.messages.stream(**ask, tools=TOOLS) as stream:
            done = stream.get_final_message()
        equal(done.stop_reason, "tool_use", "stop reason")
        equal(done.content[0].input, script.TOOL_INPUT, "input")
        arrived_whole()
    with check(f"{name}: count_tokens"):
        counted = client.messages.count_tokens(model=ask["model"], messages=MESSAGES)
        equal(counted.input_tokens, 12, "input tokens")


def check_errors(check, torod, client):
    def raises(kind, model, client=client, **more):
        try:
            client.messages.create(model=model, max_tokens=8, messages=MESSAGES, **more)
        except kind as error:
            assert type(error) is kind, f"{type(error).__name__}, not {kind.__name__}"
            equal(error.response.json().get("type"), "error", "type of the body")
            return error
        raise AssertionError(f"no {kind.__name__}")

    with check("AuthenticationError for a wrong key"):
        error = raises(anthropic.AuthenticationError, "claude/claude-a", connect(torod, "sk-no"))
        equal(error.response.json()["error"]["type"], "authentication_error", "type")
    with check("NotFoundError for an unknown model"):
        raises(anthropic.NotFoundError, "nowhere/nothing")
    kinds = {
        400: anthropic.BadRequestError,
        404: anthropic.NotFoundError,
        429: anthropic.RateLimitError,
        500: anthropic.InternalServerError,
        529: anthropic.OverloadedError,
    }
    for status, kind in kinds.items():
        with check(f"{kind.__name__} from the provider"):
            error = raises(kind, f"claude/error-{status}")
            equal(error.status_code, status, "status")
            assert script.ERRORS[status][1] in str(error), error
        with check(f"{kind.__name__} from the provider, where a stream was asked for"):
            raises(kind, f"claude/error-{status}", stream=True)
    with check("a provider of another protocol is a bad request that says so"):
        error = raises(anthropic.BadRequestError, "scripted/chat")
        equal(error.response.json()["error"]["type"], "invalid_request_error", "type")


def check_secrets(check, server):
    with check("the provider never sees the caller's key"):
        assert not server.saw(KEY)
    with check("the provider gets its own two headers"):
        headers = server.last("/v1/messages").headers
        equal(headers.get("x-api-key"), script.CREDENTIAL, "x-api-key")
        equal(headers.get("anthropic-version"), script.VERSIONS[-1], "the client's own version")
        equal(headers.get("authorization"), None, "authorization")


def check_models(check, torod, client):
    with check("models in Anthropic's shape"):

        def listed():
            return "claude/claude-a" in [it.id for it in client.models.list()]

        until("the provider's list is loaded", listed, 30)
    with check("the same list in OpenAI's shape without `anthropic-version`"):
        data = request("GET", f"{torod.url}/v1/models").json()["data"]
        assert {"id": "claude/claude-a", "object": "model"}.items() <= next(
            it for it in data if it["id"] == "claude/claude-a"
        ).items()


def main() -> None:
    check = Checks("anthropic sdk")
    with scripted.Scripted() as server:
        # A base with and without /v1 must reach the same place.
        config = config_head(default_provider="claude")
        config += provider("claude", "anthropic", server.url, script.CREDENTIAL)
        config += provider("claude-v1", "anthropic", f"{server.url}/v1", script.CREDENTIAL)
        url = f"{server.url}/v1"
        config += provider("scripted", "openai-compatible", url, scripted.CREDENTIAL)
        with Torod(config) as torod:
            client = connect(torod)
            check_models(check, torod, client)
            for name in ("claude", "claude-v1"):
                check_messages(check, client, server, name)
            check_errors(check, torod, client)
            check_secrets(check, server)
            with check("SIGTERM ends torod with 0"):
                torod.stop()
    check.finish()


if __name__ == "__main__":
    main()
