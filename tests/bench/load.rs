//! The load loop: connections that each ask again as soon as they were answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::gauge::Cpu;
use crate::upstream::EVENTS;

/// What the callers of a run present, and its SHA-256 for the file.
pub(crate) const KEY: &str = "sk-bench-4f1c09d27a8e4b36a5d1";
const BEARER: &str = "Bearer sk-bench-4f1c09d27a8e4b36a5d1";
pub(crate) const KEY_SHA256: &str =
    "083a9a8346e05309890f7b4a07bbb14576f7edd81f8d76b985633362d19c9f15";

const WARM_UP: Duration = Duration::from_millis(300);
const LAST_REPLY: Duration = Duration::from_secs(20);

/// A chat request of about a kilobyte.
pub(crate) fn chat(model: &str, stream: bool, asks_usage: bool) -> Bytes {
    let system = "You answer in short and plain sentences. ".repeat(8);
    let user = "Say what a reverse proxy does with the bytes of a reply. ".repeat(11);
    let mut body = json!({
        "model": model,
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
        "temperature": 0.2,
    });
    if stream {
        body["stream"] = json!(true);
    }
    if asks_usage {
        body["stream_options"] = json!({"include_usage": true});
    }
    Bytes::from(body.to_string())
}

pub(crate) type Sender = SendRequest<Full<Bytes>>;

/// One kept-alive connection.
pub(crate) async fn connect(addr: SocketAddr) -> anyhow::Result<Sender> {
    let stream = TcpStream::connect(addr).await.context("cannot connect")?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move { connection.await.ok() });
    Ok(sender)
}

pub(crate) async fn ask(sender: &mut Sender, body: Bytes) -> anyhow::Result<Response<Incoming>> {
    let request = Request::post("/v1/chat/completions")
        .header(HOST, "localhost")
        .header(AUTHORIZATION, BEARER)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(body))?;
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    if response.status() != StatusCode::OK {
        let status = response.status();
        let text = response.into_body().collect().await?.to_bytes();
        bail!("answered {status}: {}", String::from_utf8_lossy(&text));
    }
    Ok(response)
}

/// A look at `path` with `key`, whatever its status.
pub(crate) async fn look(
    sender: &mut Sender,
    path: &str,
    key: &str,
) -> anyhow::Result<Response<Bytes>> {
    let request = Request::builder()
        .method(Method::GET)
        .uri(path)
        .header(HOST, "127.0.0.1")
        .header(AUTHORIZATION, format!("Bearer {key}"))
        .body(Full::default())?;
    sender.ready().await?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
}

/// One measurement to take.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) addr: SocketAddr,
    /// The process in the middle; none when the provider is asked directly.
    pub(crate) pid: Option<u32>,
    pub(crate) connections: usize,
    pub(crate) body: Bytes,
    pub(crate) streamed: bool,
    pub(crate) window: Duration,
}

/// What one measurement showed; an item is a reply, or an event of a stream.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) items_per_second: f64,
    pub(crate) cpu_us: Option<f64>,
    /// To the end of a whole reply, or to the first bytes of a stream.
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

#[derive(Debug, Default)]
struct Tally {
    /// Whole replies, or line ends of streams: two an event.
    count: AtomicU64,
    records: AtomicBool,
    ends: AtomicBool,
}

pub(crate) async fn run(job: &Job) -> anyhow::Result<Sample> {
    let tally = Arc::new(Tally::default());
    let mut workers = JoinSet::new();
    for _ in 0..job.connections {
        workers.spawn(work(job.clone(), Arc::clone(&tally)));
    }
    wait(WARM_UP, &mut workers).await?;
    tally.records.store(true, Relaxed);
    let begun = (tally.count.load(Relaxed), job.pid.map(Cpu::read), Instant::now());
    wait(job.window, &mut workers).await?;
    let ended = (tally.count.load(Relaxed), job.pid.map(Cpu::read), Instant::now());
    tally.records.store(false, Relaxed);
    tally.ends.store(true, Relaxed);
    let mut spans = Vec::new();
    let outcomes = timeout(LAST_REPLY, workers.join_all()).await.context("a reply never ended")?;
    for outcome in outcomes {
        spans.extend(outcome?);
    }
    spans.sort_unstable();
    let items = (ended.0 - begun.0) as f64 / if job.streamed { 2.0 } else { 1.0 };
    ensure!(items > 0.0 && !spans.is_empty(), "no reply within {:?}", job.window);
    Ok(Sample {
        items_per_second: items / (ended.2 - begun.2).as_secs_f64(),
        cpu_us: ended.1.zip(begun.1).map(|(after, before)| after.since_us(&before) / items),
        p50_us: percentile(&spans, 50.0) / 1_000.0,
        p99_us: percentile(&spans, 99.0) / 1_000.0,
    })
}

/// Waits for `span`, or for the first worker that fails.
async fn wait(
    span: Duration,
    workers: &mut JoinSet<anyhow::Result<Vec<u64>>>,
) -> anyhow::Result<()> {
    match timeout(span, workers.join_next()).await {
        Err(_) => Ok(()),
        Ok(Some(Ok(Err(error)))) => Err(error),
        Ok(other) => bail!("a worker ended too early: {other:?}"),
    }
}

async fn work(job: Job, tally: Arc<Tally>) -> anyhow::Result<Vec<u64>> {
    let mut sender = connect(job.addr).await?;
    let mut spans = Vec::new();
    while !tally.ends.load(Relaxed) {
        let begun = Instant::now();
        let response = ask(&mut sender, job.body.clone()).await?;
        let span = if job.streamed {
            follow(response.into_body(), &tally, begun).await?
        } else {
            let mut body = response.into_body();
            while let Some(frame) = body.frame().await {
                frame?;
            }
            tally.count.fetch_add(1, Relaxed);
            begun.elapsed()
        };
        if tally.records.load(Relaxed) {
            spans.push(u64::try_from(span.as_nanos())?);
        }
    }
    Ok(spans)
}

/// Reads a stream to its end; the time to its first bytes.
async fn follow(mut body: Incoming, tally: &Tally, begun: Instant) -> anyhow::Result<Duration> {
    const END: &[u8] = b"data: [DONE]\n\n";
    let (mut first, mut lines, mut tail) = (None, 0, Vec::with_capacity(2 * END.len()));
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        first.get_or_insert_with(|| begun.elapsed());
        let ends = line_ends(&data);
        tally.count.fetch_add(ends, Relaxed);
        lines += ends;
        // Where the frames are cut is up to the network, so the end may come in pieces.
        tail.extend_from_slice(&data[data.len().saturating_sub(END.len())..]);
        tail.drain(..tail.len().saturating_sub(END.len()));
    }
    ensure!(lines >= 2 * EVENTS as u64, "a stream of {} events", lines / 2);
    ensure!(tail == END, "a stream without `[DONE]`");
    first.context("an empty stream")
}

pub(crate) fn line_ends(data: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', data).count() as u64
}

/// By nearest rank; the values are sorted.
pub(crate) fn percentile(sorted: &[u64], percent: f64) -> f64 {
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).map_or(f64::NAN, |it| *it as f64)
}
