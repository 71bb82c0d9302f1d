//! Replies that are no answer, and the statuses that may come of them.

use std::time::Duration;

use crate::{
    samples::{CHAT, DONE, STOP, USAGE, delta},
    scripted::Script,
};

fn json(head: &str, body: &str) -> Script {
    let kind = "content-type: application/json\r\n";
    Script::new().bytes(format!("HTTP/1.1 200 OK\r\n{kind}{head}\r\n{body}"))
}

/// Its name, what the provider does, and what the client may see of it.
pub type Case = (&'static str, Script, &'static [u16]);

/// Replies that are not what was asked for.
pub fn pages() -> Vec<Case> {
    let kind = |it| Script::whole(200, &[("content-type", it)], CHAT);
    let fetch = ("content-type", "application/json");
    vec![
        ("html-200", Script::html(200, "hello"), &[502]),
        ("html-404", Script::html(404, "none"), &[404]),
        ("html-500", Script::html(500, "oops"), &[500]),
        ("html-as-json-500", Script::json(500, "<html>oops</html>"), &[500]),
        ("html-as-json-200", Script::json(200, "<html>hello</html>"), &[502]),
        ("empty", Script::json(200, ""), &[502]),
        ("empty-500", Script::json(500, ""), &[500]),
        ("blank", Script::json(200, " \n"), &[502]),
        ("empty-head", Script::new().head(200, &[]).cut(), &[502]),
        ("no-type", Script::whole(200, &[], CHAT), &[200]),
        ("plain-text", kind("text/plain"), &[200, 502]),
        ("odd-type", kind("image/png"), &[502]),
        ("broken-type", kind("\u{e9}\u{1}"), &[502]),
        ("text", Script::json(200, "hello"), &[502]),
        ("half", Script::json(200, r#"{"choices":[{"index":0"#), &[502]),
        ("no-utf8", Script::json(200, b"{\"a\":\"\xff\xfe\"}"), &[502]),
        ("utf16", Script::json(200, b"\xff\xfe{\0}\0"), &[502]),
        ("nul", Script::json(200, [0; 99]), &[502]),
        ("204", Script::new().head(204, &[]), &[204, 502]),
        ("205", Script::whole(205, &[], ""), &[502]),
        ("304", Script::new().head(304, &[]), &[502]),
        ("999", Script::json(999, "{}"), &[502]),
        ("600", Script::json(600, "{}"), &[502]),
        ("101", Script::new().head(101, &[("upgrade", "x"), ("connection", "upgrade")]), &[502]),
        ("number-500", Script::json(500, "500"), &[500]),
        ("list-500", Script::json(500, "[]"), &[500]),
        ("null-500", Script::json(500, "null"), &[500]),
        ("no-message-500", Script::json(500, "{}"), &[500]),
        ("half-500", Script::json(500, r#"{"error":"#), &[500]),
        ("cut-500", Script::new().head(500, &[fetch, ("content-length", "9")]).cut(), &[500, 502]),
        ("no-utf8-500", Script::json(500, b"\xff\xfe"), &[500]),
        ("huge-500", Script::json(500, "x".repeat(4 << 20)), &[500]),
    ]
}

/// Replies whose framing is wrong.
pub fn framings() -> Vec<Case> {
    let lengths = |first: &str, second: &str| {
        json(&format!("content-length: {first}\r\ncontent-length: {second}\r\n"), CHAT).cut()
    };
    let chunked = |body: String| json("transfer-encoding: chunked\r\n", &body).cut();
    let size = CHAT.len();
    let heads: String = (0..100).map(|_| "HTTP/1.1 100 Continue\r\n\r\n").collect();
    let flood = |count: usize| json(&"x-y: z\r\n".repeat(count), CHAT).cut();
    vec![
        ("long", json(&format!("content-length: {}\r\n", size + 1), CHAT).cut(), &[502]),
        ("short", json("content-length: 20\r\n", CHAT), &[502]),
        ("negative", json("content-length: -1\r\n", CHAT).cut(), &[502]),
        ("no-length", json("content-length: x\r\n", CHAT).cut(), &[502]),
        ("two-lengths", lengths("20", &size.to_string()), &[502]),
        ("huge-length", json("content-length: 99999999999999999999\r\n", CHAT).cut(), &[502]),
        ("until-close", json("", CHAT).cut(), &[200]),
        ("reset", json(&format!("content-length: {}\r\n", size + 1), CHAT).reset(), &[502]),
        ("bad-size", chunked(format!("zz\r\n{CHAT}\r\n0\r\n\r\n")), &[502]),
        ("huge-size", chunked(format!("ffffffffffffffffff\r\n{CHAT}")), &[502]),
        ("no-size", chunked(format!("\r\n{CHAT}\r\n0\r\n\r\n")), &[502]),
        ("small-size", chunked(format!("9\r\n{CHAT}\r\n0\r\n\r\n")), &[502]),
        ("no-last-chunk", chunked(format!("{size:x}\r\n{CHAT}\r\n")), &[502]),
        ("half-last-chunk", chunked(format!("{size:x}\r\n{CHAT}\r\n0\r\n")), &[200, 502]),
        ("no-line-end", chunked(format!("{size:x}\r\n{CHAT}0\r\n\r\n")), &[502]),
        (
            "both",
            json(&format!("content-length: {size}\r\ntransfer-encoding: chunked\r\n"), CHAT).cut(),
            &[502],
        ),
        ("te", json("transfer-encoding: gzip\r\n", CHAT).cut(), &[200, 502]),
        ("nothing", Script::new().cut(), &[502]),
        ("reset-at-once", Script::new().reset(), &[502]),
        ("ssh", Script::new().bytes("SSH-2.0-OpenSSH_9.2\r\n").cut(), &[502]),
        ("half-head", Script::new().bytes("HTTP/1.1 200 OK\r\ncontent-ty").cut(), &[502]),
        ("no-status", Script::new().bytes("HTTP/1.1 abc\r\n\r\n").cut(), &[502]),
        ("http2", Script::new().bytes(b"\0\0\x12\x04\0\0\0\0\0").cut(), &[502]),
        ("nul-head", Script::new().bytes(b"HTTP/1.1 200 OK\r\nx: \0\r\n\r\n{}").cut(), &[502]),
        (
            "endless-head",
            Script::new().bytes("HTTP/1.1 200 OK\r\nx: ").endless("x".repeat(9999), Duration::ZERO),
            &[502],
        ),
        ("endless-line", Script::new().endless("x".repeat(9999), Duration::ZERO), &[502]),
        ("100", Script::new().bytes(heads + "HTTP/1.1 200 OK\r\n\r\n" + CHAT).cut(), &[200]),
        (
            "103",
            Script::new()
                .bytes("HTTP/1.1 103 Hints\r\nlink: x\r\n\r\n")
                .bytes("HTTP/1.1 200 OK\r\n\r\n")
                .bytes(CHAT)
                .cut(),
            &[200],
        ),
        ("headers-90", flood(90), &[200]),
        ("headers-300", flood(300), &[200, 502]),
        ("headers-9999", flood(9999), &[502]),
        ("header-2mb", json(&format!("x: {}\r\n", "x".repeat(2 << 20)), CHAT).cut(), &[502]),
    ]
}

/// Streams that are none, or that do not end well.
pub fn streams() -> Vec<Case> {
    let sse = |text: &str| Script::sse(&[text]);
    let (part, end) = (delta("a"), format!("{STOP}{USAGE}{DONE}"));
    let whole = format!("{part}{end}");
    vec![
        ("sse-empty", sse(""), &[502]),
        ("sse-comments", sse(": ping\n\n: ping\n\n"), &[200]),
        ("sse-done-alone", sse(DONE), &[200]),
        ("sse-no-end", sse(&part), &[200]),
        ("sse-half-event", sse(&format!("{part}data: {{\"id\"")), &[200]),
        ("sse-text", sse("hello\n\nworld"), &[200]),
        ("sse-no-json", sse("data: hello\n\ndata: {\n\n"), &[200]),
        ("sse-html", sse("<html>oops</html>"), &[200]),
        ("sse-json", sse(CHAT), &[200]),
        ("sse-error", sse(&format!("{part}data: {{\"error\":{{\"message\":\"x\"}}}}\n\n")), &[200]),
        ("sse-cr", sse(&whole.replace('\n', "\r")), &[200]),
        ("sse-crlf", sse(&whole.replace('\n', "\r\n")), &[200]),
        ("sse-no-blank-line", sse(whole.trim_end()), &[200]),
        ("sse-mark", sse(&format!("\u{feff}{whole}")), &[200]),
        ("sse-nul", sse(&format!("data: \0\n\n{whole}")), &[200]),
        ("sse-many-fields", sse(&format!("id: 1\nretry: 5\nevent: x\n{whole}")), &[200]),
        ("sse-in-lines", sse(&format!("data: {{\ndata: }}\n\n{whole}")), &[200]),
        ("sse-bad-chunk", Script::sse_head().chunk(&part).bytes("zz\r\n").cut(), &[200]),
        ("sse-cut", Script::sse_head().chunk(&part).cut(), &[200]),
        ("sse-reset", Script::sse_head().chunk(&part).reset(), &[200]),
        ("sse-hang", Script::sse_head().chunk(&part).hang(), &[200]),
        ("sse-cut-at-once", Script::sse_head().cut(), &[502]),
        (
            "sse-404",
            Script::whole(404, &[("content-type", "text/event-stream")], "data: x\n\n"),
            &[404],
        ),
        (
            "sse-nonsense-usage",
            sse(&whole.replace("\"prompt_tokens\":3", "\"prompt_tokens\":\"x\"")),
            &[200],
        ),
    ]
}
