//! An edit of the file, from the fresh bytes to the swap: nothing is lost and nothing is torn.

use std::path::PathBuf;

use crate::config::{
    Problem, Revision,
    edit::{Edit, EditError, Kind},
};

/// What the text is to become.
#[derive(Debug, Clone)]
pub enum Input {
    /// Applied to the text as it is on disk at that moment.
    Edits(Vec<Edit>),
    /// The whole text; the only input that passes while the text on disk does not load.
    Text(String),
}

/// What must still be so for the edit to be done.
#[derive(Debug, Clone, Default)]
pub enum Guard {
    #[default]
    None,
    /// The file's revision, hexadecimal.
    Revision(String),
    /// An entry's `ETag`.
    Entry { kind: Kind, name: String, etag: String },
}

/// Who edits, for the audit line.
#[derive(Debug, Clone)]
pub struct Author {
    /// A key's name, or the command.
    pub who: String,
    /// The peer's address, or this machine.
    pub from: String,
}

/// One edit.
#[derive(Debug, Clone)]
pub struct Change {
    pub input: Input,
    pub guard: Guard,
    /// Everything but the writing.
    pub dry_run: bool,
    pub by: Author,
}

/// An edit that was done, or would be.
#[derive(Debug, Clone)]
pub struct Edited {
    pub before: Revision,
    pub after: Revision,
    pub text: String,
    /// Unified diff.
    pub patch: String,
    /// What changed, in words.
    pub words: String,
    /// Warnings and notes of the new text.
    pub problems: Vec<Problem>,
    /// The generation that is live with it; none where no torod runs in this process.
    pub generation: Option<u64>,
    /// Keys whose new value waits for a restart.
    pub restart_required: Vec<String>,
}

/// Why an edit was not done. The file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum EditFailure {
    #[error("the file changed since it was read")]
    Stale {
        current_revision: Revision,
        current: String,
        /// From the text that the caller knew, where the history has it, to the current one.
        diff: String,
    },
    #[error("the new text would not load")]
    Invalid { text: String, problems: Vec<Problem> },
    #[error("the text on disk does not load")]
    BrokenOnDisk { text: String, problems: Vec<Problem> },
    /// Somebody else writes this file.
    #[error("{why}")]
    Managed { why: &'static str, patch: String, text: String },
    #[error(transparent)]
    Edit(#[from] EditError),
    #[error("there is no room for `{}`", .0.display())]
    NoSpace(PathBuf),
    #[error("cannot write `{}`", .0.display())]
    Io(PathBuf, #[source] std::io::Error),
}

/// One line an edit: who, from where, what in words, and which texts. Never a value.
pub(super) fn audit(by: &Author, result: &Result<Edited, EditFailure>) {
    let Author { who, from } = by;
    match result {
        Ok(it) if it.before == it.after => {}
        Ok(Edited { before, after, words, generation, .. }) => tracing::info!(
            target: "audit", who, from, words, %before, %after, generation, "config edited"
        ),
        Err(error) => {
            let problems = match error {
                EditFailure::Invalid { problems, .. }
                | EditFailure::BrokenOnDisk { problems, .. } => Problem::complaint(problems),
                _ => String::new(),
            };
            tracing::info!(target: "audit", who, from, %error, problems, "config edit refused");
        }
    }
}
