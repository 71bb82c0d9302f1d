//! The config file as the commands edit it: by the same door as everybody else.

use std::path::Path;

use anyhow::Context as _;

use crate::{
    app::{
        Editor,
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
        anyhow::ensure!(
            self.path().symlink_metadata().is_ok(),
            "there is no `{path}`; `torod config` on a terminal makes the first one"
        );
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
        let Paths { config, state_dir, .. } = self.paths.clone();
        Editor::new(config, state_dir).edit(&Change { input, guard, dry_run, by })
    }

    /// The first text, for a file that is not there yet and must not be there by now.
    pub(in crate::cli) fn create(&self, text: &str) -> anyhow::Result<()> {
        let directory = file::directory_of(self.path());
        file::create_directory(directory)
            .with_context(|| format!("cannot make `{}`", directory.display()))?;
        let nothing = Guard::Revision(Revision::of("").to_string());
        match self.edit(Input::Text(text.to_owned()), nothing, false) {
            Ok(_) => Ok(()),
            Err(EditFailure::Stale { .. }) => {
                anyhow::bail!("`{}` is there by now, and is as it was", self.path().display())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What a text means when it stands in this file.
    pub(in crate::cli) fn resolve(&self, text: &str) -> Resolved {
        config::resolve(text, &*surroundings(self.path()))
    }
}
