//! How a command ends: its exit code, and the error with its causes and a hint.

use std::{path::PathBuf, process::ExitCode};

use super::ui;
use crate::{
    app::OpenError,
    client::ClientError,
    config::{Problem, masked},
    server::StartError,
};

/// What the exit codes mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    Failed = 1,
    /// The command cannot be meant as it is.
    Usage = 2,
    /// The config does not load.
    Config = 3,
    /// No torod answers.
    Unreachable = 4,
}

/// A text that does not load, where a command needs one that does.
#[derive(Debug, thiserror::Error)]
#[error("`{}` does not load", .path.display())]
pub(super) struct Unloadable {
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) problems: Vec<Problem>,
}

/// A command that cannot be meant as it is, beyond what its words say.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(super) struct Usage {
    text: String,
    hint: Option<&'static str>,
}

impl Usage {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), hint: None }
    }

    pub(super) fn hint(self, hint: &'static str) -> Self {
        Self { hint: Some(hint), ..self }
    }
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
        if error.is::<Unloadable>() {
            ui::hint("`torod config edit` opens it in an editor");
        }
        return ExitCode::from(Exit::Config as u8);
    }
    ui::error(&error.to_string());
    for cause in error.chain().skip(1) {
        ui::cause(&cause.to_string());
    }
    if let Some(hint) = hint(&error) {
        ui::hint(hint);
    }
    let code = match () {
        () if error.is::<ClientError>() => Exit::Unreachable,
        () if error.is::<Usage>() => Exit::Usage,
        () => Exit::Failed,
    };
    ExitCode::from(code as u8)
}

fn invalid(error: &anyhow::Error) -> Option<(&str, &str, &[Problem])> {
    if let Some(Unloadable { path, text, problems }) = error.downcast_ref() {
        return Some((path.to_str().unwrap_or("torod.toml"), text, problems));
    }
    let StartError::Open(OpenError::Invalid { path, text, problems }) = error.downcast_ref()?
    else {
        return None;
    };
    Some((path.to_str().unwrap_or("torod.toml"), text, problems))
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
    if let Some(usage) = error.downcast_ref::<Usage>() {
        return usage.hint;
    }
    match error.downcast_ref::<ClientError>()? {
        ClientError::Unreachable(..) => {
            Some("is torod running, as this user, with this `--state-dir`?")
        }
        _ => None,
    }
}
