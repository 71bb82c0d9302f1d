//! Bodies that are small on the wire and large to read: bombs, deep nests, endless numbers.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    client::Reply,
    process::Torod,
    samples::CHAT,
    scripted::{Script, Scripted},
    world::{CONFIG, KEY, World},
};

/// No input makes torod take more memory than this.
const MOST_MB: usize = 150;
/// Nor more time.
const QUICK: Duration = Duration::from_secs(10);

async fn torod() -> (Scripted, Torod) {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let torod = Torod::start(CONFIG, &[("scripted", &provider)]).await;
    (provider, torod)
}

/// A chat with these members behind its model.
fn chat(members: &str) -> String {
    format!(r#"{{"model":"scripted/m",{members}}}"#)
}

/// Texts that are fine, however odd: they pass as they are.
fn odd() -> Vec<(&'static str, String)> {
    let keys: Vec<_> = (0..200_000).map(|it| format!(r#""k{it}":1"#)).collect();
    vec![
        ("200,000 keys", chat(&keys.join(","))),
        ("a number of 100,000 digits", chat(&format!(r#""n":{}"#, "9".repeat(100_000)))),
        ("a fraction of 100,000 digits", chat(&format!(r#""n":0.{}1e-9"#, "0".repeat(100_000)))),
        ("numbers out of range", chat(r#""a":1e400,"b":-1e-400,"c":-0,"d":1E+99999"#)),
        ("the same key again and again", chat(&[r#""a":1"#; 1000].join(","))),
        ("an empty key", chat(r#""":1,"":2"#)),
        ("2 MB of escapes", chat(&format!(r#""s":"{}""#, r"\u0041".repeat(350_000)))),
        ("backslashes", chat(&format!(r#""s":"{}""#, r"\\".repeat(1_000_000)))),
        ("half surrogates", chat(r#""s":"\ud800 \udc00 \ud800\ud800""#)),
        ("a NUL", chat(r#""s":"\u0000""#)),
        ("brackets in a string", chat(&format!(r#""s":"{}""#, "[{".repeat(100_000)))),
        ("5 MB of blanks", chat(&format!(r#""s":{}1"#, " \n\t".repeat(1_700_000)))),
        ("as deep as may be", chat(&format!(r#""s":{}{}"#, "[".repeat(127), "]".repeat(127)))),
        ("5 MB of text", chat(&format!(r#""s":"{}""#, "\u{1f980}".repeat(1_250_000)))),
    ]
}

/// Texts that are refused.
fn bad() -> Vec<(&'static str, Vec<u8>)> {
    let deep = |depth: usize, open: &str| chat(&format!(r#""s":{}"#, open.repeat(depth)));
    let closed = format!(r#""s":{}1{}"#, "[".repeat(100_000), "]".repeat(100_000));
    let all = [
        ("200 deep", chat(&format!(r#""s":{}{}"#, "[".repeat(200), "]".repeat(200)))),
        ("100,000 deep", deep(100_000, "[")),
        ("100,000 deep and closed", chat(&closed)),
        ("1,000,000 deep", deep(1_000_000, "[")),
        ("1,000,000 deep in objects", deep(1_000_000, r#"{"a":"#)),
        ("two models", chat(r#""model":"echo/x""#)),
        ("two models, one escaped", chat(r#""mod\u0065l":"echo/x""#)),
        ("a model in an array", r#"[{"model":"scripted/m"}]"#.to_owned()),
        ("no number", chat(r#""n":NaN"#)),
        ("a number with a zero before", chat(r#""n":007"#)),
        ("a control character", chat("\"s\":\"\u{1}\"")),
        ("a mark before", format!("\u{feff}{}", chat(r#""n":1"#))),
        ("something behind", chat(r#""n":1"#) + "{}"),
        ("a comma too many", chat(r#""n":1,"#)),
        ("one quote", chat(r#"""#)),
        ("an escape at the end", r#"{"model":"scripted/m\"#.to_owned()),
        ("blanks alone", " ".repeat(1_000_000)),
        ("nothing", String::new()),
    ];
    let mut all: Vec<_> = all.into_iter().map(|it| (it.0, it.1.into_bytes())).collect();
    all.push(("no UTF-8", b"{\"model\":\"scripted/m\",\"s\":\"\xff\xfe\"}".to_vec()));
    all.push(("UTF-16", "{\"model\":\"scripted/m\"}".bytes().flat_map(|it| [it, 0]).collect()));
    all.push(("half a character", b"{\"model\":\"scripted/m\",\"s\":\"\xf0\x9f\"}".to_vec()));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_json_passes_or_is_refused_and_costs_little() {
    let (provider, torod) = torod().await;
    for (name, text) in odd() {
        let start = Instant::now();
        let reply = torod.posting("/v1/chat/completions", &text).send().await;
        assert_eq!(reply.status, 200, "{name}: {}", reply.text());
        assert!(start.elapsed() < QUICK, "{name}: {:?}", start.elapsed());
        let sent = text.replacen("scripted/m", "m", 1);
        assert!(provider.last().body == sent.as_bytes(), "{name} does not pass as it is");
    }
    let hits = provider.hits();
    for (name, text) in bad() {
        let start = Instant::now();
        let reply = torod.posting("/v1/chat/completions", &text).send().await;
        assert_eq!(reply.status, 400, "{name}: {}", reply.text());
        assert!(matches!(&*reply.code(), "invalid_json" | "invalid_model"), "{name}");
        assert!(start.elapsed() < QUICK, "{name}: {:?}", start.elapsed());
    }
    assert_eq!(provider.hits(), hits);
    assert!(torod.peak() < MOST_MB, "{} MB", torod.peak());
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

const BOMB: usize = 256 * 1024 * 1024;

pub fn gzip_bomb() -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let zeros = vec![0; 1024 * 1024];
    for _ in 0..BOMB / zeros.len() {
        writer.write_all(&zeros).unwrap();
    }
    writer.finish().unwrap()
}

fn deflate_bomb() -> Vec<u8> {
    let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    let zeros = vec![0; 1024 * 1024];
    for _ in 0..BOMB / zeros.len() {
        writer.write_all(&zeros).unwrap();
    }
    writer.finish().unwrap()
}

/// One frame of blocks that each say "128 KB of this byte".
fn zstd_bomb() -> Vec<u8> {
    const BLOCK: usize = 128 * 1024;
    let mut bytes = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 10 << 3];
    for at in 1..=BOMB / BLOCK {
        let last = usize::from(at == BOMB / BLOCK);
        let head = u32::try_from((BLOCK << 3) | (1 << 1) | last).unwrap();
        bytes.extend_from_slice(&head.to_le_bytes()[..3]);
        bytes.push(b' ');
    }
    bytes
}

/// Blocks of 16 MB that each say "a blank, and then the byte before, again and again".
fn brotli_bomb() -> Vec<u8> {
    const BLOCK: u32 = 1 << 24;
    let mut bits = Bits::default();
    bits.push(0, 1); // a window of 64 KB
    for _ in 0..BOMB / BLOCK as usize {
        bits.push(0, 1); // not the last
        bits.push(2, 2); // six digits of length
        bits.push(BLOCK - 1, 24);
        bits.push(0, 1); // compressed
        bits.push(0, 3); // one type of each kind of block
        bits.push(0, 6); // no postfix, no direct distances
        bits.push(0, 2); // the context's mode
        bits.push(0, 2); // one tree of literals, one of distances
        // Each tree has one symbol, which so takes no bits.
        for (symbol, width) in [(b' '.into(), 8), (384 + 8 + 7, 10), (16, 6)] {
            bits.push(1, 2);
            bits.push(0, 2);
            bits.push(symbol, width);
        }
        bits.push(BLOCK - 1 - 2118, 24); // how much is copied
        bits.push(0, 1); // from the byte before
    }
    bits.push(3, 2); // the last one, and empty
    bits.bytes
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    fn push(&mut self, value: u32, width: u32) {
        for at in 0..width {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let bit = u8::from(value >> at & 1 == 1);
            *self.bytes.last_mut().unwrap() |= bit << (self.used % 8);
            self.used += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_is_cut_short() {
    let (provider, torod) = torod().await;
    let bomb = gzip_bomb();
    let nested = gzip(&bomb);
    for (name, encoding, body, wanted) in [
        ("gzip", "gzip", bomb.clone(), 413),
        ("gzip without its name", "identity", bomb.clone(), 413),
        ("gzip in gzip", "gzip, gzip", nested.clone(), 413),
        ("gzip in gzip, named once", "gzip", nested, 400),
        ("deflate", "deflate", deflate_bomb(), 413),
        ("zstd", "zstd", zstd_bomb(), 413),
        ("br", "br", brotli_bomb(), 413),
        ("gzip that is named br", "br", bomb.clone(), 400),
        ("gzip that is cut", "gzip", bomb[..bomb.len() / 8].to_vec(), 400),
        ("four times", "gzip, gzip, gzip, gzip", bomb.clone(), 400),
        ("noise", "gzip", vec![0x1f; 100_000], 400),
        ("noise in zstd", "zstd", vec![0x28; 100_000], 400),
        ("nothing", "gzip", Vec::new(), 400),
        ("an unknown one", "lzma", bomb, 400),
    ] {
        let start = Instant::now();
        let asked = torod.posting("/v1/chat/completions", &body);
        let reply = asked.header("content-encoding", encoding).send().await;
        // Zeros alone are no JSON, and blanks neither; so what fits is refused as well.
        assert_eq!(reply.status, wanted, "{name}: {}", reply.text());
        assert!(start.elapsed() < QUICK, "{name}: {:?}", start.elapsed());
        assert!(torod.peak() < MOST_MB, "{name}: {} MB", torod.peak());
    }
    assert_eq!(provider.hits(), 0);
    let honest = gzip(chat(r#""n":1"#).as_bytes());
    let asked = torod.posting("/v1/chat/completions", &honest).header("content-encoding", "gzip");
    assert_eq!(asked.send().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_refused_before_it_is_read() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let world = World::with(&provider, "[limits]\nmax_body_bytes = 1048576\n").await;
    let head = |lines: &str| {
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n\
             authorization: Bearer {KEY}\r\n{lines}\r\n"
        )
    };
    // Nothing but a head is sent, so an answer is one to the head.
    for length in ["1048577", "1000000000", "9223372036854775807"] {
        let mut socket = world.connect().await;
        let text = head(&format!("content-length: {length}\r\n"));
        socket.write_all(text.as_bytes()).await.unwrap();
        assert_eq!(status(&mut socket).await, "413", "{length}");
    }
    let mut socket = world.connect().await;
    let text = head("content-length: 1048577\r\nexpect: 100-continue\r\n");
    socket.write_all(text.as_bytes()).await.unwrap();
    assert_eq!(status(&mut socket).await, "413", "the body is not asked for");
    // An endless body.
    let mut socket = world.connect().await;
    socket.write_all(head("transfer-encoding: chunked\r\n").as_bytes()).await.unwrap();
    let (mut read, mut write) = socket.split();
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x1_0000));
    let mut sent = 0;
    let endless = async {
        while write.write_all(chunk.as_bytes()).await.is_ok() {
            sent += chunk.len();
            assert!(sent < 64 * 1024 * 1024, "torod reads on and on");
        }
        std::future::pending::<()>().await;
    };
    let mut first = [0; 12];
    tokio::select! {
        read = read.read_exact(&mut first) => { read.unwrap(); }
        () = endless => {}
    }
    assert_eq!(&first, b"HTTP/1.1 413");
    assert_eq!(provider.hits(), 0);
    assert_eq!(world.app().ledger.entries().len(), 0, "a 413 is no entry");
}

async fn status(socket: &mut TcpStream) -> String {
    let mut first = [0; 12];
    let read = timeout(Duration::from_secs(5), socket.read_exact(&mut first)).await;
    read.expect("an answer in time").unwrap();
    String::from_utf8_lossy(&first[9..]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_none_is_refused_or_passes() {
    let (provider, torod) = torod().await;
    let forms = [
        ("multipart/form-data", b"--x\r\n\r\n".to_vec()),
        ("multipart/form-data; boundary=", b"--\r\n".to_vec()),
        ("multipart/form-data; boundary=x", b"--x".repeat(300_000)),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n".repeat(100_000)),
        ("multipart/form-data; boundary=\"--\"", b"-".repeat(1_000_000)),
        ("multipart/form-data; boundary=x", vec![0xff; 1_000_000]),
        ("multipart/form-data; boundary=x", Vec::new()),
    ];
    for (kind, body) in forms {
        let start = Instant::now();
        let asked = torod.posting("/v1/audio/transcriptions", &body).with("content-type", kind);
        let reply: Reply = asked.send().await;
        assert!(matches!(reply.status, 200 | 400), "{kind}: {}", reply.status);
        assert!(start.elapsed() < QUICK, "{kind}: {:?}", start.elapsed());
    }
    assert!(provider.requests().iter().all(|it| it.path == "/v1/audio/transcriptions"));
    assert!(torod.peak() < MOST_MB, "{} MB", torod.peak());
}
