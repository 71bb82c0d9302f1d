//! The first start: a commented file with the echo provider, and one admin key that is shown once.

use std::io::IsTerminal as _;

use anyhow::Context as _;

use super::{
    super::{paths::Paths, ui},
    config::file::ConfigFile,
    wizard,
};
use crate::{access::NewKey, base::file, config::template};

/// Does nothing when there is a file. On a terminal a wizard asks for what goes into it; whether
/// torod may start.
pub(super) fn write_if_missing(paths: &Paths) -> anyhow::Result<bool> {
    let config = &paths.config;
    match config.symlink_metadata() {
        Ok(_) => return Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(error).with_context(|| format!("cannot look at `{}`", config.display()));
        }
    }
    if wizard::is_terminal() {
        return wizard::first_start(ConfigFile { paths: paths.clone() });
    }
    let key = NewKey::make()?;
    let directory = file::directory_of(config);
    file::create_directory(directory)
        .with_context(|| format!("cannot make `{}`", directory.display()))?;
    // The key is kept before its hash is, so that no file names a key that nobody has.
    let shown = if std::io::stderr().is_terminal() {
        key.text.clone()
    } else {
        let path = paths.state_dir.join("first-admin-key");
        file::create_directory(&paths.state_dir)
            .and_then(|()| file::replace(&path, format!("{}\n", key.text).as_bytes()))
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        ui::say(&format!("first admin key: {}", path.display()));
        format!("$(cat {})", path.display())
    };
    let text = template::first_file(&key.id, &key.hash());
    file::replace(config, text.as_bytes())
        .with_context(|| format!("cannot write `{}`", config.display()))?;
    ui::say(&format!("wrote {}", config.display()));
    if std::io::stderr().is_terminal() {
        ui::say(&format!("\nYour admin key, shown only now: {}", key.text));
    }
    try_it("http://127.0.0.1:8080", &shown);
    Ok(true)
}

/// The first request to a new torod.
pub(super) fn try_it(url: &str, key: &str) {
    ui::say(&format!(
        "\nTry it:\n\n  curl {url}/v1/chat/completions \\\n    -H \"Authorization: Bearer {key}\" \\\n    -H 'Content-Type: application/json' \\\n    -d '{{\"model\":\"echo/hello\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'\n"
    ));
}
