"""The scripted provider's half that speaks Anthropic's messages.

It insists on what Anthropic insists on: its own two headers, and no other kind of credential.
"""

import json

CREDENTIAL = "up-anthropic"
# Both are in use: the SDK sends the later one, torod's own requests the earlier.
VERSIONS = ("2023-06-01", "2026-10-21")
TEXT = "Hello from the other script"
TOOL_INPUT = {"city": "Zürich"}
USAGE = {
    "input_tokens": 12,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 5,
    "output_tokens": 6,
}
MODELS = ["claude-a", "claude-b"]
ERRORS = {
    400: ("invalid_request_error", "the script finds this request bad"),
    401: ("authentication_error", "the script dislikes this credential"),
    404: ("not_found_error", "the script has no such model"),
    429: ("rate_limit_error", "the script asks for patience"),
    500: ("api_error", "the script broke"),
    529: ("overloaded_error", "the script is overloaded"),
}


def answer(handler, path: str, asked: dict):
    headers = handler.headers
    if headers.get("x-api-key") != CREDENTIAL or headers.get("authorization"):
        return fail(handler, 401)
    if headers.get("anthropic-version") not in VERSIONS:
        return fail(handler, 400)
    model = asked.get("model", "")
    if model.startswith("error-"):
        return fail(handler, int(model.removeprefix("error-")))
    routes = {
        "/v1/models": models,
        "/v1/messages": messages,
        "/v1/messages/count_tokens": count_tokens,
    }
    if path not in routes:
        return fail(handler, 404)
    return routes[path](handler, asked)


def fail(handler, status: int):
    kind, message = ERRORS[status]
    error = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
    handler.whole(error, status, {"retry-after": "7"} if status == 429 else {})


def models(handler, _asked):
    data = [
        {"type": "model", "id": it, "display_name": it, "created_at": "2026-01-01T00:00:00Z"}
        for it in MODELS
    ]
    page = {"has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]}
    handler.whole({"data": data, **page})


def count_tokens(handler, _asked):
    handler.whole({"input_tokens": 12})


def message(asked, blocks, stop_reason) -> dict:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": asked["model"],
        "content": blocks,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": USAGE,
    }


def messages(handler, asked):
    tool = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": TOOL_INPUT}
    block = tool if asked.get("tools") else {"type": "text", "text": TEXT}
    stop_reason = "tool_use" if asked.get("tools") else "end_turn"
    if not asked.get("stream"):
        return handler.whole(message(asked, [block], stop_reason))
    begun = message(asked, [], None)
    begun["usage"] = {**USAGE, "output_tokens": 1}
    if asked.get("tools"):
        start, text, kind = {**tool, "input": {}}, json.dumps(TOOL_INPUT), "input_json"
    else:
        start, text, kind = {"type": "text", "text": ""}, TEXT, "text"
    field = {"text": "text", "input_json": "partial_json"}[kind]
    deltas = [{"type": f"{kind}_delta", field: text[at : at + 4]} for at in range(0, len(text), 4)]
    end = {"stop_reason": stop_reason, "stop_sequence": None}
    sent = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": start},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": it} for it in deltas),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": USAGE["output_tokens"]}},
        {"type": "message_stop"},
    ]
    text = "".join(f"event: {it['type']}\ndata: {json.dumps(it)}\n\n" for it in sent)
    return handler.stream(text)
