//! What is measured, in which order: each round takes every way in turn, from another one first.

use std::str::FromStr;
use std::time::Duration;

use crate::gauge;
use crate::load::{self, Job, Sample};
use crate::memory::{self, Memory};
use crate::paths::{Hop, Site};
use crate::reload;
use crate::report;

/// How long and how often.
pub(crate) struct Plan {
    window: Duration,
    rounds: usize,
    log_level: String,
}

impl Plan {
    pub(crate) fn from_environment() -> Self {
        Self {
            window: Duration::from_secs_f64(setting("BENCH_SECONDS", 3.0_f64).clamp(0.1, 60.0)),
            rounds: setting("BENCH_ROUNDS", 3_usize).clamp(1, 50),
            log_level: setting("BENCH_LOG", "info".to_owned()),
        }
    }
}

fn setting<T: FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|it| it.parse().ok()).unwrap_or(default)
}

/// One kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cell {
    /// Whole replies on many connections: the most requests a second.
    Many,
    /// Whole replies one after the other: latency without a queue.
    One,
    /// Streams whose events travel apart. The rate must be one that every way can carry: where one is
    /// overrun, its events gather in the socket and get cheaper, and the slowest looks the best.
    Paced,
    /// Streams as fast as they go.
    Flood,
}

pub(crate) const CELLS: [Cell; 4] = [Cell::Many, Cell::One, Cell::Paced, Cell::Flood];

impl Cell {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Many => "whole replies, 64 connections",
            Self::One => "whole replies, 1 connection",
            Self::Paced => "streams, 16 connections, an event every ms",
            Self::Flood => "streams, 16 connections, as fast as they go",
        }
    }

    pub(crate) fn is_streamed(self) -> bool {
        matches!(self, Self::Paced | Self::Flood)
    }

    fn connections(self) -> usize {
        match self {
            Self::Many => 64,
            Self::One => 1,
            Self::Paced | Self::Flood => 16,
        }
    }

    fn model(self) -> &'static str {
        match self {
            Self::Many | Self::One => "m",
            Self::Paced => "paced",
            Self::Flood => "flood",
        }
    }

    fn lanes(self, hops: &[Hop]) -> Vec<Lane> {
        let lane = |it: &Hop| Lane {
            name: it.name,
            addr: it.addr,
            pid: it.pid(),
            provider: "scripted",
            asks_usage: self.is_streamed(),
        };
        let mut lanes: Vec<Lane> = hops.iter().map(lane).collect();
        if self.is_streamed()
            && let Some(torod) = hops.last()
        {
            let injects =
                Lane { name: METERED, provider: "metered", asks_usage: false, ..lane(torod) };
            lanes.push(injects);
        }
        lanes
    }
}

/// The way through `torod` where it, and not the caller, asks for usage and takes it out again.
pub(crate) const METERED: &str = "torod, usage injected";

struct Lane {
    name: &'static str,
    addr: std::net::SocketAddr,
    pid: Option<u32>,
    provider: &'static str,
    asks_usage: bool,
}

/// The samples of one way under one kind of load, one a round.
pub(crate) struct Series {
    pub(crate) cell: Cell,
    pub(crate) name: &'static str,
    pub(crate) samples: Vec<Sample>,
}

/// All that a run found.
pub(crate) struct Findings {
    pub(crate) machine: String,
    pub(crate) method: String,
    pub(crate) series: Vec<Series>,
    pub(crate) memory: Vec<Memory>,
    /// Nanoseconds from edit to live, sorted.
    pub(crate) reloads: Vec<u64>,
    pub(crate) notes: Vec<String>,
}

pub(crate) async fn run(plan: &Plan) -> anyhow::Result<()> {
    let machine = gauge::machine();
    let site = Site::start(&plan.log_level).await?;
    let mut failures = Vec::new();
    let mut memory = Vec::new();
    for hop in &site.hops {
        eprintln!("memory: {}", hop.name);
        match memory::measure(hop).await {
            Ok(found) => memory.extend(found),
            Err(error) => failures.push(format!("memory of `{}`: {error:#}", hop.name)),
        }
    }
    let series = rounds(plan, &site, &mut failures).await;
    for it in &mut memory {
        let hop = site.hops.iter().find(|hop| hop.name == it.name);
        it.after_load_kb = hop.and_then(Hop::pid).map(gauge::rss_kb);
    }
    eprintln!("reload");
    let reloads = reload::measure(site.torod().addr, &site.file).await.unwrap_or_else(|error| {
        failures.push(format!("reload: {error:#}"));
        Vec::new()
    });
    let method = format!(
        "medians of {} rounds, {} s a measurement; log level `{}`",
        plan.rounds,
        plan.window.as_secs_f64(),
        plan.log_level
    );
    let notes = site.notes.iter().chain(&failures).cloned().collect();
    report::print(&Findings { machine, method, series, memory, reloads, notes });
    anyhow::ensure!(failures.is_empty(), "{} measurements failed", failures.len());
    Ok(())
}

async fn rounds(plan: &Plan, site: &Site, failures: &mut Vec<String>) -> Vec<Series> {
    let mut series = Vec::new();
    for cell in CELLS {
        let names = cell.lanes(&site.hops).into_iter().map(|it| it.name);
        series.extend(names.map(|name| Series { cell, name, samples: Vec::new() }));
    }
    for round in 0..plan.rounds {
        for cell in CELLS {
            eprintln!("round {} of {}: {}", round + 1, plan.rounds, cell.title());
            let mut lanes = cell.lanes(&site.hops);
            let shift = round % lanes.len();
            lanes.rotate_left(shift);
            for lane in lanes {
                let model = format!("{}/{}", lane.provider, cell.model());
                let job = Job {
                    addr: lane.addr,
                    pid: lane.pid,
                    connections: cell.connections(),
                    body: load::chat(&model, cell.is_streamed(), lane.asks_usage),
                    streamed: cell.is_streamed(),
                    window: plan.window,
                };
                match load::run(&job).await {
                    Ok(sample) => series
                        .iter_mut()
                        .filter(|it| it.cell == cell && it.name == lane.name)
                        .for_each(|it| it.samples.push(sample.clone())),
                    Err(error) => {
                        failures.push(format!("{}, {}: {error:#}", cell.title(), lane.name));
                    }
                }
            }
        }
    }
    series
}
