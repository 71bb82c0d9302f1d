//! The benchmark of `torod`: `cargo bench --bench gateway`, three minutes, loopback only.
//!
//! One scripted provider is asked directly and through nginx (when it is on `PATH`), a bare hyper
//! proxy and `torod`, in turn and in the same run, so that a busy machine slows all of them alike.
//! Each server is a process of its own, so that its CPU time can be read from `/proc`: this binary
//! starts itself again as the provider and as the bare proxy.
//!
//! `BENCH_SECONDS` (3) is the time of one measurement, `BENCH_ROUNDS` (3) how often each is taken,
//! `BENCH_LOG` (`info`) the log level of `torod`, whose log goes to `/dev/null`. A missed goal is
//! printed as `MISSED` and is no failure; something that could not be measured is one.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    reason = "a program for people at a terminal that measures times and starts processes"
)]

mod bare;
mod children;
mod gauge;
mod load;
mod memory;
mod paths;
mod plan;
mod reload;
mod report;
mod upstream;

use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::plan::Plan;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match words.first().map(String::as_str) {
        Some("upstream") => serve(upstream::run()),
        Some("bare") => address(&words).and_then(|it| serve(bare::run(it))),
        Some("measure") => {
            runtime().and_then(|it| it.block_on(plan::run(&Plan::from_environment())))
        }
        _ if words.iter().any(|it| it == "--bench") => again(),
        _ => {
            // `cargo test --all-targets` runs this binary too, unoptimised: not the place to measure.
            println!("run me as: `cargo bench --bench gateway`");
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Becomes this same program with room for the sockets of a thousand streams.
fn again() -> anyhow::Result<()> {
    let own = std::env::current_exe().context("cannot find the benchmark's own file")?;
    Err(children::roomy(&own).arg("measure").exec().into())
}

fn address(words: &[String]) -> anyhow::Result<std::net::SocketAddr> {
    words.get(1).context("the address of the upstream is missing")?.parse().map_err(Into::into)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// Serves until the parent is gone, however it went: its end of our stdin closes with it.
fn serve(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let (gone, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).ok();
        gone.send(()).ok();
    });
    runtime()?.block_on(async {
        tokio::select! {
            outcome = work => outcome,
            _ = told => Ok(()),
        }
    })
}
