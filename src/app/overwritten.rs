//! Edits that an editor saved over: it had read the file before the edit, so its text takes the edit
//! back without its user's knowing.
//!
//! Edits since the last foreign text are pending, each with the values that it touched. A foreign
//! text is held against them: where a touched value is not what our latest text had but what it was
//! before that edit, the edit is lost. A value that is neither is somebody's decision. After that
//! nothing is pending: what the foreign text kept, its author has seen.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    edit::{Author, Edited},
    history::{History, Origin},
};
use crate::{
    api::Overwritten,
    config::{Revision, changes},
};

/// More are not listed, and more edits are not held against a foreign text.
const MAX_LISTED: usize = 50;
const MAX_PENDING: usize = 500;

/// Whose a save is.
const AN_EDITOR: &str = "an editor";

/// An edit that no foreign text has confirmed yet.
#[derive(Debug)]
struct Pending {
    at: Timestamp,
    by: String,
    what: String,
    patch: String,
    before: Revision,
    after: Revision,
    values: BTreeMap<String, (Option<Value>, Option<Value>)>,
    /// Of an edit that touched no value, only comments: the lines that went and that came.
    lines: Option<(Vec<String>, Vec<String>)>,
}

impl Pending {
    fn between(before: &str, after: &str, by: String) -> Self {
        let changes::Changes { words, values } = changes::between(before, after);
        Self {
            at: Timestamp::now(),
            by,
            what: words,
            patch: changes::patch("torod.toml", before, after),
            before: Revision::of(before),
            after: Revision::of(after),
            lines: values.is_empty().then(|| (only_in(before, after), only_in(after, before))),
            values,
        }
    }

    /// Whether a text has back all that went, and nothing of what came.
    fn is_undone_by(&self, text: &str) -> bool {
        let Some((went, came)) = &self.lines else { return false };
        let has = |line: &String| text.lines().any(|it| it == line);
        went.iter().all(has) && !came.iter().any(has)
    }
}

fn only_in(text: &str, other: &str) -> Vec<String> {
    let lines = text.lines().filter(|it| !it.trim().is_empty());
    lines.filter(|line| other.lines().all(|it| it != *line)).map(str::to_owned).collect()
}

/// A text of the file as it was met last.
#[derive(Debug)]
struct Latest {
    text: String,
    revision: Revision,
    /// By an edit of this process.
    is_ours: bool,
}

/// What this process did to the file, and what became of it.
#[derive(Debug, Default)]
pub(super) struct Met {
    latest: Option<Latest>,
    pending: VecDeque<Pending>,
    overwritten: VecDeque<Overwritten>,
}

impl Met {
    /// The newest first; of this process's life.
    pub(super) fn overwritten(&self) -> Vec<Overwritten> {
        self.overwritten.iter().cloned().collect()
    }

    pub(super) fn knows(&self, revision: Revision) -> bool {
        self.latest.as_ref().is_some_and(|it| it.revision == revision)
    }

    /// Nobody saved since an edit of ours made this text.
    pub(super) fn is_ours(&self, revision: Revision) -> bool {
        self.latest.as_ref().is_some_and(|it| it.revision == revision && it.is_ours)
    }

    /// An edit of this process was written.
    pub(super) fn edited(&mut self, before: &str, edited: &Edited, by: &Author) {
        self.awaits(Pending::between(before, &edited.text, format!("{} ({})", by.who, by.from)));
        self.latest =
            Some(Latest { text: edited.text.clone(), revision: edited.after, is_ours: true });
    }

    fn awaits(&mut self, it: Pending) {
        self.pending.push_back(it);
        if self.pending.len() > MAX_PENDING {
            self.pending.pop_front();
        }
    }

    /// A save that was away from the path for a moment: an editor may have read the text without it.
    pub(super) fn saved(&mut self, before: &str, text: &str, history: &History) {
        self.meets(text, history);
        self.awaits(Pending::between(before, text, AN_EDITOR.to_owned()));
    }

    /// An editor's save was put at the path by us, so that a later piece of it may follow.
    pub(super) fn recovered(&mut self, text: &str, history: &History) {
        self.meets(text, history);
        if let Some(it) = &mut self.latest {
            it.is_ours = true;
        }
    }

    /// A text was found at the path. It has to load: of half a save nothing can be told.
    pub(super) fn meets(&mut self, text: &str, history: &History) {
        let revision = Revision::of(text);
        let latest = Latest { text: text.to_owned(), revision, is_ours: false };
        let Some(before) = self.latest.replace(latest) else { return };
        if before.revision == revision {
            self.latest = Some(before);
            return;
        }
        let differs = changes::between(&before.text, text).values;
        let (lost, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.pending)
            .into_iter()
            .scan(BTreeMap::new(), |earlier: &mut BTreeMap<String, Vec<Option<Value>>>, it| {
                for (path, (before, _)) in &it.values {
                    earlier.entry(path.clone()).or_default().push(before.clone());
                }
                let is_lost = it.values.keys().any(|path| {
                    let now = differs.get(path).map(|it| &it.1);
                    now.is_some_and(|now| earlier.get(path).is_some_and(|it| it.contains(now)))
                });
                Some((is_lost || it.is_undone_by(text), it))
            })
            .partition(|it| it.0);
        for (_, it) in lost {
            self.lost_edit(it, revision, history);
        }
        if history.has_edit(revision) {
            // A command's edit: it applied to the text as it was, so it confirms nothing.
            self.pending = kept.into_iter().map(|it| it.1).collect();
            let by = "a command on this machine".to_owned();
            self.awaits(Pending::between(&before.text, text, by));
        }
    }

    fn lost_edit(&mut self, it: Pending, by: Revision, history: &History) {
        self.list(
            Overwritten {
                at: it.at,
                by: it.by,
                what: it.what,
                patch_file: kept_patch(history, it.after, &it.patch),
                revision_before: it.before.to_string(),
                revision_after: it.after.to_string(),
            },
            &format!("an edit was saved over by an editor that had read the file before it ({by})"),
        );
    }

    /// Somebody's save that is not in the file: `patch` is what it did to the text before it.
    pub(super) fn lost_save(&mut self, before: &str, text: &[u8], history: &History) {
        history.keep(text, Origin::Lost, 0);
        let lost = String::from_utf8_lossy(text);
        let (old, new) = (Revision::of(before), Revision::of(text));
        self.list(
            Overwritten {
                at: Timestamp::now(),
                by: AN_EDITOR.to_owned(),
                what: changes::between(before, &lost).words,
                patch_file: kept_patch(history, new, &changes::patch("torod.toml", before, &lost)),
                revision_before: old.to_string(),
                revision_after: new.to_string(),
            },
            "a save is not in the file: another came at the same moment",
        );
    }

    fn list(&mut self, it: Overwritten, message: &str) {
        let Overwritten { by, what, patch_file, .. } = &it;
        tracing::warn!(by, what, patch = patch_file.as_deref().unwrap_or("not kept"), "{message}");
        self.overwritten.push_front(it);
        self.overwritten.truncate(MAX_LISTED);
    }
}

fn kept_patch(history: &History, after: Revision, patch: &str) -> Option<String> {
    match history.keep_patch(after, patch) {
        Ok(it) => Some(it.display().to_string()),
        Err(error) => {
            tracing::warn!(%error, "the patch of a lost edit cannot be kept");
            None
        }
    }
}
