"""A provider that says what its script says, in OpenAI's and in Anthropic's words.

It keeps every request as it arrived, so a test can compare bodies and headers with what was sent.
A model named `error-NNN` is answered with that status. Runs inside a test, or alone for a look by
hand: scripted.py [PORT]
"""

import base64
import http.server
import json
import struct
import sys
import threading
import urllib.parse

import scripted_anthropic

CREDENTIAL = "up-secret"
TEXT = "Hello from the script"
VECTOR = [0.5, -0.25, 1.0]
ARGUMENTS = '{"city": "Z\\u00fcrich", "days": 3}'
USAGE = {"prompt_tokens": 11, "completion_tokens": 4, "total_tokens": 15}
MODELS = ["chat", "embed", "org/chat-2"]
ERRORS = {
    400: ("invalid_request_error", None, "the script finds this request bad"),
    401: ("invalid_request_error", "invalid_api_key", "the script dislikes this credential"),
    404: ("invalid_request_error", "model_not_found", "the script has no such model"),
    429: ("rate_limit_error", "rate_limit_exceeded", "the script asks for patience"),
    500: ("server_error", None, "the script broke"),
}


class Seen:
    """One request as it arrived."""

    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body

    def json(self):
        return json.loads(self.body)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body of an answer leave as two writes; without this each waits for an ACK.
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers.get("content-length") or 0)))

    def answer(self, body: bytes):
        self.server.seen.append(Seen(self.command, self.path, self.headers, body))
        path = urllib.parse.urlsplit(self.path).path
        asked = json.loads(body) if body else {}
        if "/messages" in path or self.headers.get("anthropic-version"):
            return scripted_anthropic.answer(self, path, asked)
        if self.headers.get("authorization") != f"Bearer {CREDENTIAL}":
            return self.fail(401)
        model = asked.get("model", "")
        if model.startswith("error-"):
            return self.fail(int(model.removeprefix("error-")))
        routes = {
            "/v1/models": models,
            "/v1/chat/completions": chat,
            "/v1/embeddings": embeddings,
            "/v1/responses": responses,
        }
        if path not in routes:
            return self.fail(404)
        return routes[path](self, asked)

    def fail(self, status: int):
        kind, code, message = ERRORS[status]
        error = {"message": message, "type": kind, "param": None, "code": code}
        extra = {"retry-after": "7"} if status == 429 else {}
        self.whole({"error": error}, status, extra)

    def whole(self, value, status: int = 200, extra: dict | None = None):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        # What must stay behind: a client of torod never sees a provider's cookie.
        self.send_header("set-cookie", "provider=1")
        for name, text in (extra or {}).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def stream(self, text: str):
        """Sends events cut at places that mean nothing, as a network does."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        data = text.encode()
        for start in range(0, len(data), 97):
            piece = data[start : start + 97]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")


def events(values: list, named: bool = False) -> str:
    """Server-sent events; `named` ones carry their `type` as the event's name."""
    head = (lambda value: f"event: {value['type']}\n") if named else (lambda value: "")
    return "".join(f"{head(value)}data: {json.dumps(value)}\n\n" for value in values)


def models(handler, _asked):
    data = [{"id": it, "object": "model", "created": 1, "owned_by": "script"} for it in MODELS]
    handler.whole({"object": "list", "data": data})


def chat(handler, asked):
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "weather", "arguments": ARGUMENTS},
    }
    # A tool's result in the messages is answered with text, so a test can play both turns.
    calls_tool = bool(asked.get("tools")) and asked["messages"][-1]["role"] != "tool"
    if asked.get("stream"):
        return handler.stream(chat_events(asked, call if calls_tool else None))
    message = {"role": "assistant", "content": None if calls_tool else TEXT, "refusal": None}
    if calls_tool:
        message["tool_calls"] = [call]
    finish = "tool_calls" if calls_tool else "stop"
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": asked["model"]}
    return handler.whole({**head, "choices": [choice], "usage": USAGE})


def chat_events(asked, call) -> str:
    with_usage = (asked.get("stream_options") or {}).get("include_usage")
    deltas = [{"role": "assistant", "content": "" if call is None else None}]
    if call is None:
        words = TEXT.split(" ")
        deltas += [{"content": word if n == 0 else f" {word}"} for n, word in enumerate(words)]
    else:
        arguments = call["function"]["arguments"]
        start = {**call, "index": 0, "function": {**call["function"], "arguments": ""}}
        deltas.append({"tool_calls": [start]})
        pieces = [arguments[n : n + 5] for n in range(0, len(arguments), 5)]
        deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": it}}]} for it in pieces]
    chunks = [{"choices": [{"index": 0, "delta": it, "finish_reason": None}]} for it in deltas]
    finish = "stop" if call is None else "tool_calls"
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    if with_usage:
        chunks = [{**it, "usage": None} for it in chunks] + [{"choices": [], "usage": USAGE}]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1}
    head["model"] = asked["model"]
    return events([{**head, **it} for it in chunks]) + "data: [DONE]\n\n"


def embeddings(handler, asked):
    vector = VECTOR
    if asked.get("encoding_format") == "base64":
        vector = base64.b64encode(struct.pack(f"<{len(VECTOR)}f", *VECTOR)).decode()
    data = [{"object": "embedding", "index": 0, "embedding": vector}]
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    handler.whole({"object": "list", "data": data, "model": asked["model"], "usage": usage})


def responses(handler, asked):
    part = {"type": "output_text", "text": TEXT, "annotations": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
    done = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": asked["model"],
        "output": [{**item, "content": [part]}],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 11,
            "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
            "output_tokens": 4,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 15,
        },
    }
    if not asked.get("stream"):
        return handler.whole(done)
    begun = {**done, "status": "in_progress", "output": [], "usage": None}
    empty = {**item, "status": "in_progress", "content": []}
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    words = TEXT.split(" ")
    deltas = [word if n == 0 else f" {word}" for n, word in enumerate(words)]
    probs = {"logprobs": []}
    sent = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": empty},
        {"type": "response.content_part.added", **at, "part": {**part, "text": ""}},
        *({"type": "response.output_text.delta", **at, "delta": it, **probs} for it in deltas),
        {"type": "response.output_text.done", **at, "text": TEXT, **probs},
        {"type": "response.content_part.done", **at, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": done["output"][0]},
        {"type": "response.completed", "response": done},
    ]
    numbered = [{**it, "sequence_number": n} for n, it in enumerate(sent)]
    return handler.stream(events(numbered, named=True))


class Scripted(http.server.ThreadingHTTPServer):
    """Serves on loopback while its `with` block runs; `seen` holds what arrived."""

    daemon_threads = True

    def __init__(self, port: int = 0):
        super().__init__(("127.0.0.1", port), Handler)
        self.seen = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def last(self, path: str) -> Seen:
        """The newest request to `path`."""
        found = [it for it in self.seen if urllib.parse.urlsplit(it.path).path == path]
        assert found, f"nothing arrived at `{path}`"
        return found[-1]

    def saw(self, text: str) -> bool:
        """Whether `text` stood in the head or body of any request."""
        return any(text in str(it.headers) or text.encode() in it.body for it in self.seen)


def main() -> None:
    with Scripted(int(sys.argv[1]) if len(sys.argv) > 1 else 0) as server:
        print(f"listening on {server.url}/v1, credential `{CREDENTIAL}`", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
