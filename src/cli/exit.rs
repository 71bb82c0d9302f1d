//! How a command ends: its exit code, and the error with its causes and a hint.

use std::process::ExitCode;

use super::ui;
use crate::{app::OpenError, client::ClientError, config::masked, server::StartError};

/// What the exit codes mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    Failed = 1,
    /// The config does not load.
    Config = 3,
    /// No torod answers.
    Unreachable = 4,
}

/// The command's result as the process's: an error is printed with its causes and a hint.
pub(super) fn finish(result: anyhow::Result<ExitCode>) -> ExitCode {
    let error = match result {
        Ok(code) => return code,
        Err(error) => error,
    };
    if let Some((path, text, problems)) = invalid(&error) {
        ui::problems(path, &masked(text), problems);
        ui::error(&format!("{path} does not load"));
        return ExitCode::from(Exit::Config as u8);
    }
    ui::error(&error.to_string());
    for cause in error.chain().skip(1) {
        ui::cause(&cause.to_string());
    }
    if let Some(hint) = hint(&error) {
        ui::hint(hint);
    }
    let unreachable = error.downcast_ref::<ClientError>().is_some();
    ExitCode::from(if unreachable { Exit::Unreachable } else { Exit::Failed } as u8)
}

fn invalid(error: &anyhow::Error) -> Option<(&str, &str, &[crate::config::Problem])> {
    match error.downcast_ref::<StartError>()? {
        StartError::Open(OpenError::Invalid { path, text, problems }) => {
            Some((path.to_str().unwrap_or("torod.toml"), text, problems))
        }
        _ => None,
    }
}

fn hint(error: &anyhow::Error) -> Option<&'static str> {
    if let Some(StartError::Bind(bind)) = error.downcast_ref() {
        return Some(match bind.source.kind() {
            std::io::ErrorKind::AddrInUse => {
                "another program listens there; stop it, or change `listen_addr`"
            }
            std::io::ErrorKind::PermissionDenied => {
                "ports below 1024 need `CAP_NET_BIND_SERVICE` or socket activation; or change `listen_addr`"
            }
            _ => "`listen_addr` must be an address of this machine",
        });
    }
    match error.downcast_ref::<ClientError>()? {
        ClientError::Unreachable(..) => {
            Some("is torod running, as this user, with this `--state-dir`?")
        }
        _ => None,
    }
}
