//! `torod config edit`: an editor on a copy, which replaces the file only when it loads.

use std::{
    fs,
    io::{IsTerminal as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::Context as _;

use super::{
    file::ConfigFile,
    report::{self, How},
};
use crate::{
    app::edit::Input,
    base::file,
    cli::ui,
    config::{Revision, masked},
};

pub(super) fn run(mut how: How, file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let before = file.read()?;
    let directory = tempfile::Builder::new()
        .prefix("torod-edit-")
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir()
        .context("cannot make a directory for the copy")?;
    let copy = directory.path().join(file.name());
    write(&copy, &before).with_context(|| format!("cannot write `{}`", copy.display()))?;
    let after = loop {
        open_editor(&copy)?;
        let bytes = file::read(&copy, 16 * 1024 * 1024).context("cannot read the copy")?;
        let after = String::from_utf8(bytes).context("the copy is not UTF-8")?;
        let resolved = file.resolve(&after);
        // What is wrong is shown before it replaces the file, and before anybody else sees it.
        if resolved.config.is_some() || !again(file, &after, &resolved.problems)? {
            break after;
        }
    };
    if after == before {
        ui::say("nothing to change");
        return Ok(ExitCode::SUCCESS);
    }
    // Somebody else's save since then is not overwritten.
    let revision = Revision::of(&before).to_string();
    how.if_revision.get_or_insert(revision);
    let outcome = report::edit(file, &how, Input::Text(after));
    if !outcome.as_ref().is_ok_and(|it| it.is_written) {
        let kept = directory.keep().join(file.name());
        ui::say(&format!("\nyour text is kept: {}", kept.display()));
    }
    Ok(outcome?.code)
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// Shows what is wrong; whether the editor opens once more.
fn again(
    file: &ConfigFile,
    text: &str,
    problems: &[crate::config::Problem],
) -> anyhow::Result<bool> {
    let is_terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if !is_terminal {
        return Ok(false);
    }
    ui::problems(file.name(), &masked(text), problems);
    match cliclack::confirm("This does not load. Edit it again?").initial_value(true).interact() {
        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Ok(false),
        answer => Ok(answer?),
    }
}

/// The editor may come with arguments, so a shell starts it, as git does.
#[expect(clippy::disallowed_methods, reason = "`VISUAL` and `EDITOR` are words to every program")]
fn open_editor(path: &Path) -> anyhow::Result<()> {
    let named = ["VISUAL", "EDITOR"].into_iter().find_map(|it| std::env::var(it).ok());
    let editor = named.filter(|it| !it.trim().is_empty()).unwrap_or_else(|| "vi".to_owned());
    let status = Command::new("sh")
        .args(["-c", &format!("{editor} \"$1\""), "sh"])
        .arg(path)
        .status()
        .context("cannot start a shell for the editor")?;
    anyhow::ensure!(status.success(), "the editor `{editor}` failed; the file is as it was");
    Ok(())
}
