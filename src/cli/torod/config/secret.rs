//! Secrets on their way into the file: from stdin, or as references; never as an argument, which
//! every process of the machine can read.

use std::{
    io::{BufRead as _, IsTerminal as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;

/// Where a credential comes from.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(multiple = false)]
pub(super) struct Source {
    /// The credential is in this variable of torod's environment: `${env:VAR}` goes into the file
    #[arg(long = "api-key-env", value_name = "VAR")]
    env: Option<String>,
    /// The credential is in this file: `${file:PATH}` goes into the file
    #[arg(long = "api-key-file", value_name = "PATH")]
    file: Option<PathBuf>,
    /// The credential is read from stdin, and goes into the file itself
    #[arg(long = "api-key-stdin")]
    stdin: bool,
}

impl Source {
    /// The text for the file.
    pub(super) fn text(&self) -> anyhow::Result<Option<String>> {
        Ok(match self {
            Self { env: Some(name), .. } => Some(env(name)),
            Self { file: Some(path), .. } => Some(file(path)?),
            Self { stdin: true, .. } => Some(from_stdin()?),
            _ => None,
        })
    }
}

pub(in crate::cli) fn env(name: &str) -> String {
    format!("${{env:{name}}}")
}

/// A reference to a file, wherever torod will be started.
pub(in crate::cli) fn file(path: &Path) -> anyhow::Result<String> {
    let path =
        std::path::absolute(path).with_context(|| format!("`{}` is no path", path.display()))?;
    Ok(format!("${{file:{}}}", path.display()))
}

/// The first line of stdin; a terminal shows none of it.
pub(super) fn from_stdin() -> anyhow::Result<String> {
    let stdin = std::io::stdin();
    let text = if stdin.is_terminal() {
        cliclack::password("The secret").mask('*').interact()?
    } else {
        let mut line = String::new();
        stdin.lock().read_line(&mut line).context("cannot read stdin")?;
        line.trim().to_owned()
    };
    anyhow::ensure!(!text.is_empty(), "there is nothing on stdin");
    Ok(text)
}
