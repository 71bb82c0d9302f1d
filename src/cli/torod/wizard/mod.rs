//! `torod config` on a terminal. All that is entered becomes edits; they are shown as a diff and
//! confirmed before anything is written, and Esc or Ctrl-C ends without a trace.

mod ask;
mod first;
mod key;
mod menu;
mod model;
mod network;
mod provider;
mod save;
mod session;

use std::{io, process::ExitCode};

use cliclack::{Theme, ThemeState};

use super::config::file::ConfigFile;
use crate::cli::exit::{Exit, Usage};

pub(super) use ask::is_terminal;

/// The wizard for this file, or for the first one.
pub(super) fn run(file: ConfigFile) -> anyhow::Result<ExitCode> {
    if !is_terminal() {
        let why = "`torod config` without a command needs a terminal";
        let hint = "`torod config --help` lists the commands for scripts";
        return Err(Usage::new(why).hint(hint).into());
    }
    cliclack::set_theme(Quiet);
    let is_first = file.path().symlink_metadata().is_err();
    finish(if is_first { first::run(file, first::Then::Ends) } else { menu::run(file) })
}

/// The first file, for a torod that starts with it; whether it may.
pub(super) fn first_start(file: ConfigFile) -> anyhow::Result<bool> {
    cliclack::set_theme(Quiet);
    finish(first::run(file, first::Then::Serves)).map(|it| it == ExitCode::SUCCESS)
}

/// Where a wizard ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Written,
    /// Nothing was to be written, or somebody else is to write it.
    Shown,
    Declined,
}

fn finish(ended: anyhow::Result<End>) -> anyhow::Result<ExitCode> {
    let declined = match ended {
        Ok(End::Written | End::Shown) => return Ok(ExitCode::SUCCESS),
        Ok(End::Declined) => true,
        Err(error) => {
            let interrupted = |it: &io::Error| it.kind() == io::ErrorKind::Interrupted;
            if !error.downcast_ref::<io::Error>().is_some_and(interrupted) {
                return Err(error);
            }
            false
        }
    };
    cliclack::outro_cancel(if declined {
        "Nothing was written."
    } else {
        "Cancelled; nothing was written."
    })?;
    Ok(ExitCode::from(Exit::Failed as u8))
}

/// The looks of cliclack; that a wizard is cancelled is said once, at its end.
struct Quiet;

impl Theme for Quiet {
    fn format_footer_with_message(&self, state: &ThemeState, message: &str) -> String {
        let line = match state {
            ThemeState::Active => format!("└  {message}"),
            ThemeState::Cancel | ThemeState::Submit => "│".to_owned(),
            ThemeState::Error(why) => format!("└  {why}"),
        };
        format!("{}\n", self.bar_color(state).apply_to(line))
    }
}
