//! Bodies pass byte for byte, but for the value of `model`.

use std::{fmt::Write as _, io::Write as _};

use tokio::io::AsyncWriteExt as _;

use crate::{
    samples::CHAT,
    scripted::{Script, Scripted},
    world::{CONFIG, World},
};

const CHAT_PATH: &str = "/v1/chat/completions";

/// A provider that answers every chat, and a torod in front of it.
async fn world() -> (Scripted, World) {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let world = World::over(&provider).await;
    (provider, world)
}

/// The same with room for bodies of 1 MB only.
async fn small_world() -> (Scripted, World) {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let world = World::with(&provider, "[limits]\nmax_body_bytes = 1000000").await;
    (provider, world)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_models_value_changes() {
    let (provider, world) = world().await;
    for body in [
        r#"{"model":"$","messages":[]}"#,
        r#"{"messages":[],"model":"$"}"#,
        "\r\n{ \"messages\" :\t[ ] , \"model\" \n:\t \"$\" }\n\n",
        r#"{"mod\u0065l":"$","messages":[]}"#,
        r#"{"metadata":{"model":"scripted/x","a":[{"model":"b"}]},"model":"$","messages":[]}"#,
        r#"{"messages":[{"role":"user","content":"\"model\":\"scripted/x\","}],"model":"$"}"#,
        r#"{"temperature":1e400,"seed":123456789012345678901234567890,"z":-0.0,"model":"$"}"#,
        r#"{"x":1,"x":2,"":null,"model":"$","messages":[]}"#,
        "{\"model\":\"$\",\"messages\":[{\"role\":\"user\",\"content\":\"é \u{1f600} \u{2028} \\ud83d\\ude00\"}]}",
        r#"{"model":"$","s":"\/ \u0000 \\","messages":[]}"#,
    ] {
        let reply = world.post(CHAT_PATH, body.replace('$', "scripted/m")).await;
        assert_eq!(reply.status, 200, "{body}: {}", reply.text());
        assert_eq!(provider.last().text(), body.replace('$', "m"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_network_cuts_a_request_does_not_matter() {
    let (provider, world) = world().await;
    let ask = world.posting(CHAT_PATH, "{\n\"model\":\"scripted/m\",\n\"s\":\"\\u00e9\"}\n");
    let bytes = ask.header("connection", "close").bytes();
    let cuts: Vec<_> = (1..bytes.len()).collect();
    for some in cuts.chunks(32) {
        let exchanges = some.iter().map(|&cut| cut_at(&world, &bytes, cut));
        futures_util::future::join_all(exchanges).await;
    }
    let requests = provider.requests();
    assert_eq!(requests.len(), cuts.len());
    assert!(requests.iter().all(|it| it.text() == "{\n\"model\":\"m\",\n\"s\":\"\\u00e9\"}\n"));
}

/// Sends a request in two pieces that arrive one after the other.
async fn cut_at(world: &World, bytes: &[u8], cut: usize) {
    let mut socket = world.connect().await;
    socket.write_all(&bytes[..cut]).await.unwrap();
    // Nobody can see when the other side has read it.
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    socket.write_all(&bytes[cut..]).await.unwrap();
    let mut reply = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut socket, &mut reply).await;
    let text = String::from_utf8_lossy(&reply);
    assert!(text.starts_with("HTTP/1.1 200 "), "cut at {cut}: `{text}`");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_escaped_or_odd_is_understood() {
    let (provider, world) = world().await;
    for (sent, model) in [
        (r#""\u0073cripted/m""#, r#""m""#),
        (r#""scripted\/a\/b""#, r#""a/b""#),
        (r#""scripted/models/x:free""#, r#""x:free""#),
        (r#""scripted/\"q\"""#, r#""\"q\"""#),
        (r#""scripted/é""#, r#""é""#),
    ] {
        let reply = world.post(CHAT_PATH, format!(r#"{{"model":{sent}}}"#)).await;
        assert_eq!(reply.status, 200, "{sent}: {}", reply.text());
        assert_eq!(provider.last().text(), format!(r#"{{"model":{model}}}"#));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_the_provider_knows_is_not_even_rewritten() {
    let (provider, world) = world().await;
    let body = r#"{"model" : "\u006d", "messages":[]}"#;
    assert_eq!(world.post(CHAT_PATH, body).await.status, 200);
    assert_eq!(provider.last().text(), body);
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_megabytes_pass_unchanged_both_ways() {
    let mut content = String::with_capacity(30_000_000);
    for number in 0..3_000_000_u64 {
        let _ = write!(content, "{:010}", number * 3319);
    }
    let body = |model: &str| {
        format!(r#"{{"messages":[{{"role":"user","content":"{content}"}}],"model":"{model}"}}"#)
    };
    let answer = body("answer");
    let provider = Scripted::always(Script::json(200, &answer)).await;
    let world = World::over(&provider).await;
    let reply = world.post(CHAT_PATH, body("scripted/m")).await;
    assert_eq!(reply.status, 200);
    assert!(provider.last().text() == body("m"), "the request is unchanged");
    assert!(reply.text() == answer && !reply.broken, "the reply is unchanged");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_wait_for_the_body_passes() {
    let error = r#"{"error":{"message":"too much for us"}}"#;
    let provider = Scripted::early(move |_| Script::json(413, error).hang()).await;
    let world = World::over(&provider).await;
    let body = format!(r#"{{"model":"m","x":"{}"}}"#, "a".repeat(20_000_000));
    let reply = world.post(CHAT_PATH, body).await;
    assert_eq!((reply.status, reply.text().as_str()), (413, error));
    assert_eq!(world.entry().await.status, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_passes_byte_for_byte() {
    let answer = "\n{ \"choices\" : [ ],\t\"n\": NaN, \"x\": 1e400, \"s\": \"é\\u0000\" }\n";
    let provider = Scripted::always(Script::json(200, answer)).await;
    let world = World::over(&provider).await;
    let reply = world.chat("m").await;
    assert_eq!((reply.status, reply.text().as_str()), (200, answer));
}

#[tokio::test(flavor = "multi_thread")]
async fn encoded_bodies_reach_the_provider_decoded() {
    let (provider, world) = world().await;
    let body = br#"{"messages":[],"model":"scripted/m"}"#;
    for (encoding, bytes) in [
        (Some("gzip"), gzip(body)),
        (Some("x-gzip"), gzip(body)),
        (Some("deflate"), zlib(body)),
        (Some("deflate"), bare_deflate(body)),
        (Some("br"), brotli(body)),
        (Some("zstd"), zstd(body)),
        (Some("gzip, br"), brotli(&gzip(body))),
        (None, gzip(body)),
        (None, zstd(body)),
        (Some("identity"), body.to_vec()),
        (Some("gzip"), body.to_vec()),
        (Some("br"), body.to_vec()),
        (Some("zstd"), body.to_vec()),
        (Some("deflate"), body.to_vec()),
    ] {
        let mut ask = world.posting(CHAT_PATH, bytes);
        if let Some(encoding) = encoding {
            ask = ask.header("content-encoding", encoding);
        }
        let reply = ask.send().await;
        assert_eq!(reply.status, 200, "{encoding:?}: {}", reply.text());
        let request = provider.last();
        assert_eq!(request.text(), r#"{"messages":[],"model":"m"}"#, "{encoding:?}");
        assert_eq!(request.header("content-encoding"), None, "{encoding:?}");
        assert_eq!(request.header("content-length"), Some("27"), "{encoding:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn encodings_that_cannot_be_undone_are_refused() {
    let (provider, world) = world().await;
    for (encoding, bytes) in
        [("lzma", &b"{}"[..]), ("br", b"\xff\xff\xff"), ("gzip", b"\x1f\x8bbroken")]
    {
        let reply = world.posting(CHAT_PATH, bytes).header("content-encoding", encoding).send();
        let reply = reply.await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "bad_encoding"), "{encoding}");
    }
    assert_eq!(provider.hits(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_is_refused_by_its_decoded_size() {
    let (provider, world) = small_world().await;
    let big = vec![b' '; 20_000_000];
    for (encoding, bytes) in
        [("gzip", gzip(&big)), ("deflate", zlib(&big)), ("gzip,gzip", gzip(&gzip(&big)))]
    {
        let size = bytes.len();
        let reply = world.posting(CHAT_PATH, bytes).header("content-encoding", encoding).send();
        let reply = reply.await;
        let found = (reply.status, reply.code());
        assert_eq!(found, (413, "body_too_large".to_owned()), "{encoding}, {size} bytes");
    }
    assert_eq!(provider.hits(), 0);
    assert_eq!(world.app().ledger.totals().requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_passes_with_its_model_changed() {
    let (provider, world) = world().await;
    let form = |model: &str| {
        let mut bytes =
            b"--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\
            Content-Type: audio/wav\r\n\r\nRIFF\x00\xff\xfe\r\n\r\nname=\"model\"\r\n--edge\r\n"
                .to_vec();
        let rest = format!(
            "content-disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n--edge\r\n\
            Content-Disposition: form-data; name=\"language\"\r\n\r\nde\r\n--edge--\r\n"
        );
        bytes.extend_from_slice(rest.as_bytes());
        bytes
    };
    let reply = world
        .ask("POST", "/v1/audio/transcriptions?a=b")
        .header("content-type", "multipart/form-data; boundary=edge")
        .body(form("scripted/whisper-1"))
        .send()
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let request = provider.last();
    assert_eq!(request.path, "/v1/audio/transcriptions?a=b");
    assert_eq!(request.header("content-type"), Some("multipart/form-data; boundary=edge"));
    assert!(request.body == form("whisper-1"), "{:?}", request.text());
    assert_eq!(&*world.entry().await.requested_model, "scripted/whisper-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_and_images_pass_as_bytes() {
    let sound: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let provider =
        Scripted::always(Script::whole(200, &[("content-type", "audio/mpeg")], &sound)).await;
    let world = World::over(&provider).await;
    let reply = world.post("/v1/audio/speech", r#"{"model":"scripted/tts","input":"x"}"#).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("audio/mpeg")));
    assert!(reply.body == sound);
    assert_eq!(provider.last().path, "/v1/audio/speech");
    assert_eq!(world.entry().await.usage, None, "nothing is guessed about sound");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_passes_but_for_a_key_in_it() {
    let (provider, world) = world().await;
    let path = "/v1/chat/completions?api-version=1&key=sk-test&x=%2F%20&y";
    assert_eq!(world.post(path, r#"{"model":"m"}"#).await.status, 200);
    assert_eq!(provider.last().path, "/v1/chat/completions?api-version=1&x=%2F%20&y");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_cannot_be_read_are_refused() {
    let (provider, world) = world().await;
    let nested = |depth: usize| {
        format!(r#"{{"model":"m","x":{}{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1))
    };
    for (code, body) in [
        ("invalid_model", br#"{"model":"m","model":"m"}"#.to_vec()),
        ("invalid_model", br#"{"model":"m","mod\u0065l":"n"}"#.to_vec()),
        ("invalid_model", br#"{"model":7}"#.to_vec()),
        ("invalid_model", br#"{"model":" "}"#.to_vec()),
        ("invalid_model", br#"{"model":null}"#.to_vec()),
        ("invalid_model", br#"{"messages":[]}"#.to_vec()),
        ("invalid_json", nested(129).into_bytes()),
        ("invalid_json", b"{\"model\":\"m\",\"x\":\"\xff\"}".to_vec()),
        ("invalid_json", b"{\"model\":\"m\"".to_vec()),
        ("invalid_json", br#"{"model":"m"}{}"#.to_vec()),
        ("invalid_json", b"[]".to_vec()),
        ("invalid_json", Vec::new()),
    ] {
        let reply = world.post(CHAT_PATH, &body).await;
        let body = String::from_utf8_lossy(&body).into_owned();
        assert_eq!((reply.status, reply.code().as_str()), (400, code), "{body}");
    }
    assert_eq!(provider.hits(), 0);
    assert_eq!(world.app().ledger.totals().requests, 0, "400 makes no entry");
    assert_eq!(world.post(CHAT_PATH, nested(128)).await.status, 200, "128 levels fit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_refused() {
    let (provider, world) = small_world().await;
    let body = |size: usize| {
        let frame = r#"{"model":"m","x":""}"#;
        format!(r#"{{"model":"m","x":"{}"}}"#, "a".repeat(size - frame.len()))
    };
    assert_eq!(world.post(CHAT_PATH, body(1_000_000)).await.status, 200);
    let reply = world.post(CHAT_PATH, body(1_000_001)).await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "body_too_large"));
    assert_eq!(provider.hits(), 1);
    assert_eq!(world.entries(1).await.len(), 1, "413 makes no entry");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunked_body_over_the_limit_is_refused_while_it_comes() {
    let (provider, world) = small_world().await;
    let mut stream = world.connect().await;
    let head = format!(
        "POST {CHAT_PATH} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer sk-test\r\n\
        transfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", 10_000, "a".repeat(10_000));
    // There is no last chunk: the answer must come before the body's end.
    for _ in 0..101 {
        stream.write_all(chunk.as_bytes()).await.unwrap();
    }
    let mut buffer = [0; 64];
    let read = tokio::io::AsyncReadExt::read(&mut stream, &mut buffer);
    let count = tokio::time::timeout(crate::world::PATIENCE, read).await.unwrap().unwrap();
    assert!(buffer[..count].starts_with(b"HTTP/1.1 413 "), "{:?}", &buffer[..count]);
    assert_eq!(provider.hits(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_64_mebibytes_fit_and_more_are_refused_unread() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let world = World::start(CONFIG, &[("scripted", &provider)]).await;
    let claim = world.ask("POST", CHAT_PATH).header("content-length", "67108865");
    let reply = claim.send().await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "body_too_large"));
    assert_eq!(world.snapshot().config.limits.max_body_bytes, 67_108_864);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn bare_deflate(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// Brotli without compression: one stored block of at most 64 KiB, and an empty last one.
fn brotli(bytes: &[u8]) -> Vec<u8> {
    // Window of 16 bits (0), not the last (0), four nibbles of length (00), length - 1, stored (1).
    let head = u32::try_from(bytes.len() - 1).unwrap() << 4 | 1 << 20;
    let mut out = head.to_le_bytes()[..3].to_vec();
    out.extend_from_slice(bytes);
    out.push(3);
    out
}
