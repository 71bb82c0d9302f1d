//! `torod serve`: the daemon from its first file to its exit code.

use std::process::ExitCode;

use anyhow::Context as _;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{super::paths::Paths, first};
use crate::{
    app::{Live, logs, systemd},
    server::{Daemon, Options, StartError},
};

#[derive(Debug, Default, clap::Args)]
pub(super) struct Args {
    /// See changes of the file by polling only, as where no watch works
    #[arg(long)]
    poll_only: bool,
    /// Never write the config file: the admin API shows what it would write
    #[arg(long)]
    read_only: bool,
}

pub(super) fn run(args: &Args, paths: Paths) -> anyhow::Result<ExitCode> {
    first::write_if_missing(&paths)?;
    // Threads are made before the file is live, so their number is read ahead.
    let Paths { config, state_dir, cache_dir } = paths;
    let (watch, read_only) = (!args.poll_only, args.read_only);
    let options = Options { config, state_dir, cache_dir, watch, read_only };
    let first_look =
        Live::open(options.editor(), crate::app::Learned::default()).map_err(StartError::from)?;
    let threads = first_look.snapshot().config.worker_threads;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(threads);
    }
    let runtime = builder.enable_all().build().context("cannot start threads")?;
    let (logs, guard) = logs::start();
    let result = runtime.block_on(async {
        // Before anything can send one: a signal must never find its default action.
        let stops =
            Stops { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? };
        // The task that reloads listens to it too; until then it must not end the process.
        let _hangup = signal(SignalKind::hangup())?;
        // A limit on file sizes is an error of one write, not the end of the process.
        let too_large = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
        let _too_large = signal(too_large)?;
        let daemon = Daemon::start_with(options, logs).await?;
        serve(daemon, stops).await;
        anyhow::Ok(ExitCode::SUCCESS)
    });
    runtime.shutdown_background();
    drop(guard); // the last lines are written before an error is
    result
}

/// Signals that ask for the end.
struct Stops {
    term: Signal,
    int: Signal,
}

impl Stops {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}

async fn serve(daemon: Daemon, mut stops: Stops) {
    systemd::tell(NotifyState::Ready);
    stops.next().await;
    tracing::info!("finishing running requests; a second signal ends at once");
    systemd::tell(NotifyState::Stopping);
    daemon.stop_unless(stops.next()).await;
    tracing::info!("ended");
}
