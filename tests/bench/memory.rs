//! Memory: at rest after some work, with many streams open at once, and after all the load.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::gauge;
use crate::load::{self, Job, Sender};
use crate::paths::Hop;
use crate::upstream::HELD;

/// Streams open at once.
pub(crate) const STREAMS: usize = 1_000;
/// Opened at a time, well within any accept queue.
const BATCH: usize = 50;
const SETTLES: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(30);

/// Resident memory of one process in kB.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    pub(crate) name: &'static str,
    pub(crate) idle_kb: u64,
    pub(crate) held_kb: u64,
    /// Until every socket of the left streams was closed; none if that took too long.
    pub(crate) released: Option<Duration>,
    pub(crate) after_load_kb: Option<u64>,
}

impl Memory {
    pub(crate) fn idle_mb(&self) -> f64 {
        mb(self.idle_kb)
    }

    pub(crate) fn stream_kb(&self) -> f64 {
        self.held_kb.saturating_sub(self.idle_kb) as f64 * 1.024 / STREAMS as f64
    }
}

/// `/proc` counts in 1,024 bytes, the goals in 1,000.
pub(crate) fn mb(kb: u64) -> f64 {
    kb as f64 * 1.024 / 1_000.0
}

/// Measures one way; none when it has no process.
pub(crate) async fn measure(hop: &Hop) -> anyhow::Result<Option<Memory>> {
    let Some(pid) = hop.pid() else { return Ok(None) };
    let warm_up = Job {
        addr: hop.addr,
        pid: None,
        connections: 64,
        body: load::chat("scripted/m", false, false),
        streamed: false,
        window: Duration::from_millis(500),
    };
    load::run(&warm_up).await.context("warm-up")?;
    sleep(SETTLES).await;
    let (idle_kb, idle_files) = (gauge::rss_kb(pid), gauge::open_files(pid));
    let held =
        timeout(PATIENCE, hold(hop.addr)).await.context("streams did not open in time")??;
    sleep(SETTLES).await;
    let held_kb = gauge::rss_kb(pid);
    drop(held);
    let left = Instant::now();
    let mut released = None;
    while released.is_none() && left.elapsed() < Duration::from_secs(10) {
        sleep(Duration::from_millis(10)).await;
        // The pool of kept upstream connections may have grown a little.
        released = (gauge::open_files(pid) < idle_files + BATCH).then(|| left.elapsed());
    }
    Ok(Some(Memory { name: hop.name, idle_kb, held_kb, released, after_load_kb: None }))
}

/// Opens the streams and reads each to where the provider falls silent.
async fn hold(addr: SocketAddr) -> anyhow::Result<Vec<(Sender, Incoming)>> {
    let mut held = Vec::with_capacity(STREAMS);
    while held.len() < STREAMS {
        let mut batch = JoinSet::new();
        for _ in 0..BATCH {
            batch.spawn(open(addr));
        }
        for stream in batch.join_all().await {
            held.push(stream?);
        }
    }
    Ok(held)
}

async fn open(addr: SocketAddr) -> anyhow::Result<(Sender, Incoming)> {
    let mut sender = load::connect(addr).await?;
    let mut body =
        load::ask(&mut sender, load::chat("scripted/hold", true, true)).await?.into_body();
    let mut lines = 0;
    while lines < 2 * HELD as u64 {
        let frame = body.frame().await.context("a held stream ended")??;
        lines += frame.data_ref().map_or(0, |it| load::line_ends(it));
    }
    Ok((sender, body))
}
