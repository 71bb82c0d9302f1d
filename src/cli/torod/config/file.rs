//! The config file as the commands edit it: by the same door as everybody else.

use std::path::Path;

use anyhow::Context as _;

use crate::{
    app::{
        edit::{Author, Change, EditFailure, Edited, Guard, Input},
        surroundings,
    },
    base::file,
    cli::paths::Paths,
    config::{self, Resolved, Revision},
};

const MAX_BYTES: u64 = 16 * 1024 * 1024;

#[derive(Debug, Clone)]
pub(in crate::cli) struct ConfigFile {
    pub(in crate::cli) paths: Paths,
}

impl ConfigFile {
    pub(in crate::cli) fn path(&self) -> &Path {
        &self.paths.config
    }

    /// Its bare name, as diffs and carets show it.
    pub(in crate::cli) fn name(&self) -> &str {
        self.path().file_name().and_then(|it| it.to_str()).unwrap_or("torod.toml")
    }

    /// The text on disk.
    pub(in crate::cli) fn read(&self) -> anyhow::Result<String> {
        let path = self.path().display();
        let bytes =
            file::read(self.path(), MAX_BYTES).with_context(|| format!("cannot read `{path}`"))?;
        String::from_utf8(bytes).with_context(|| format!("`{path}` is not UTF-8"))
    }

    /// One edit of the file, by the door that everybody takes.
    pub(in crate::cli) fn edit(
        &self,
        input: Input,
        guard: Guard,
        dry_run: bool,
    ) -> Result<Edited, EditFailure> {
        let by = Author { who: "torod config".to_owned(), from: "this machine".to_owned() };
        stand_in(self, &Change { input, guard, dry_run, by })
    }

    /// The first text, for a file that is not there yet.
    pub(in crate::cli) fn create(&self, text: &str) -> anyhow::Result<()> {
        let directory = file::directory_of(self.path());
        file::create_directory(directory)
            .with_context(|| format!("cannot make `{}`", directory.display()))?;
        anyhow::ensure!(
            self.path().symlink_metadata().is_err(),
            "`{}` was made in the meantime, and is as it was",
            self.path().display()
        );
        file::replace(self.path(), text.as_bytes())
            .with_context(|| format!("cannot write `{}`", self.path().display()))
    }

    /// What a text means when it stands in this file.
    pub(in crate::cli) fn resolve(&self, text: &str) -> Resolved {
        config::resolve(text, &*surroundings(self.path()))
    }
}

fn stand_in(file: &ConfigFile, change: &Change) -> Result<Edited, EditFailure> {
    let io = |it| EditFailure::Io(file.path().to_owned(), it);
    let old =
        String::from_utf8(file::read(file.path(), MAX_BYTES).map_err(io)?).unwrap_or_default();
    let new = match &change.input {
        Input::Edits(edits) => config::edit::apply(&old, edits)?,
        Input::Text(text) => text.clone(),
    };
    let before = Revision::of(&old);
    if let Guard::Revision(wanted) = &change.guard
        && *wanted != before.to_string()
    {
        return Err(EditFailure::Stale {
            current_revision: before,
            current: old,
            diff: String::new(),
        });
    }
    let resolved = file.resolve(&new);
    if resolved.config.is_none() {
        return Err(EditFailure::Invalid { text: new, problems: resolved.problems });
    }
    if !change.dry_run {
        file::replace(file.path(), new.as_bytes()).map_err(io)?;
    }
    Ok(Edited {
        before,
        after: Revision::of(&new),
        patch: config::changes::patch(file.name(), &old, &new),
        words: config::changes::between(&old, &new).words,
        text: new,
        problems: resolved.problems,
        generation: None,
        restart_required: Vec::new(),
    })
}
