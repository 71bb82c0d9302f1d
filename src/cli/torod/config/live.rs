//! The torod that runs with this file: told of an edit, and waited for.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{file::ConfigFile, report::revision};
use crate::{
    api::{ConfigStatus, Problem, Reloaded},
    cli::{exit::Exit, runtime, ui},
    client::{self, ClientError},
    config::Revision,
};

/// How long a running torod may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// What a running torod makes of a new text.
#[derive(Debug)]
pub(in crate::cli) enum Told {
    /// None runs with this file, or nothing was written.
    Nobody,
    /// The text is live, with what there is to say of it.
    Live(ConfigStatus),
    /// It has the text and keeps to the last good one.
    Refused(Vec<Problem>),
}

impl Told {
    pub(super) fn say(&self) {
        match self {
            Self::Nobody => {}
            Self::Live(status) => {
                ui::say(&format!("live as generation {}", status.generation));
                for it in errors(status) {
                    ui::say(&line(it));
                }
                if !status.restart_required.is_empty() {
                    let waiting = status.restart_required.join(", ");
                    ui::say(&format!("waits for a restart: {waiting}"));
                }
            }
            Self::Refused(problems) => {
                ui::say("the running torod keeps to the last good config:");
                for it in problems {
                    ui::say(&format!("  {}", line(it)));
                }
            }
        }
    }
}

/// What keeps a live text from acting, such as an address that is taken.
pub(in crate::cli) fn errors(status: &ConfigStatus) -> impl Iterator<Item = &Problem> {
    status.problems.iter().filter(|it| it.severity == "error")
}

pub(in crate::cli) fn line(it: &Problem) -> String {
    format!("{}: {}:{}: {}", it.severity, it.line, it.column, it.message)
}

/// Has a running torod read the file now, instead of when it sees the change.
pub(in crate::cli) fn tell(file: &ConfigFile, after: Revision) -> anyhow::Result<Told> {
    let after = after.to_string();
    let socket = file.paths.control_socket();
    let status = || client::get::<ConfigStatus>(&socket, "/admin/api/config/status");
    let telling = async {
        let mut now = status().await?;
        if !is_same_file(file, &now) {
            return Ok(Told::Nobody);
        }
        if now.revision != after {
            let path = "/admin/api/config/reload";
            let it: Reloaded = client::post(&socket, path, &json!({})).await?;
            // Another edit may be live by now; then this one was, for a moment.
            if !it.applied {
                return Ok(Told::Refused(it.problems));
            }
            now = status().await?;
        }
        Ok(Told::Live(now))
    };
    let answer: Result<Result<_, ClientError>, _> =
        runtime()?.block_on(async { tokio::time::timeout(PATIENCE, telling).await });
    // The edit is done in any case; a torod that does not answer sees the change by itself.
    Ok(answer.unwrap_or(Ok(Told::Nobody)).unwrap_or(Told::Nobody))
}

/// A state directory may belong to a torod with another file.
pub(in crate::cli) fn is_same_file(file: &ConfigFile, status: &ConfigStatus) -> bool {
    let real = |it: &std::path::Path| it.canonicalize().unwrap_or_else(|_| it.to_owned());
    real(file.path()) == real(status.source.as_ref())
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The revision to wait for, or its first 8 digits; by default the file's own
    #[arg(long, value_name = "REVISION", value_parser = revision)]
    revision: Option<String>,
    /// Seconds to wait
    #[arg(long, default_value_t = 30)]
    timeout: u64,
}

pub(super) fn wait(args: &Args, file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let wanted = match &args.revision {
        Some(wanted) => wanted.clone(),
        None => Revision::of(file.read()?).to_string(),
    };
    match runtime()?.block_on(until(file, &wanted, Duration::from_secs(args.timeout))) {
        Ok(status) if status.revision.starts_with(&wanted) => {
            ui::line(&format!("generation {}", status.generation));
            Ok(ExitCode::SUCCESS)
        }
        Ok(status) => {
            ui::error(&format!("`{wanted}` is not live after {} s", args.timeout));
            ui::cause(&format!("`{}` is, as generation {}", status.revision, status.generation));
            for it in &status.problems {
                ui::cause(&line(it));
            }
            Ok(ExitCode::from(Exit::Failed as u8))
        }
        Err(error) => Err(error.into()),
    }
}

/// The status as soon as this text is live, or the last one when the time is over.
pub(in crate::cli) async fn until(
    file: &ConfigFile,
    wanted: &str,
    time: Duration,
) -> Result<ConfigStatus, ClientError> {
    let end = Instant::now() + time;
    let socket = file.paths.control_socket();
    loop {
        // A torod that is starting or ending may answer in a moment.
        let asked = client::get::<ConfigStatus>(&socket, "/admin/api/config/status");
        let answer = tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| {
            let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
            Err(ClientError::Unreachable(socket.display().to_string(), late))
        });
        let is_live = answer.as_ref().is_ok_and(|it| it.revision.starts_with(wanted));
        if is_live || Instant::now() >= end {
            return answer;
        }
        tokio::time::sleep(PAUSE).await;
    }
}
