//! Literal, `${env:NAME}` or `${file:PATH}`.

use std::{collections::BTreeSet, ops::Range, path::PathBuf};

use super::super::{Surroundings, problem::Problems};
use crate::base::{Secret, digest};

/// Reads secrets, and remembers which files they came from and what they were.
pub(super) struct Secrets<'a> {
    surroundings: &'a dyn Surroundings,
    watched: BTreeSet<PathBuf>,
    seen: Vec<u8>,
}

/// What a value in the file stands for.
pub(super) enum Read {
    Found(Secret, &'static str),
    /// It refers to something that is not there; that is a warning, already reported.
    Unresolved,
}

impl<'a> Secrets<'a> {
    pub(super) fn new(surroundings: &'a dyn Surroundings) -> Self {
        Self { surroundings, watched: BTreeSet::new(), seen: Vec::new() }
    }

    /// Reads the value of the key `what`.
    pub(super) fn read(
        &mut self,
        text: &Secret,
        what: &str,
        span: Range<usize>,
        problems: &mut Problems<'_>,
    ) -> Read {
        let value = text.expose().trim();
        let Some(reference) = value.strip_prefix("${").and_then(|it| it.strip_suffix('}')) else {
            return self.found(value, "literal", what, span, problems);
        };
        let (kind, name) = reference.split_once(':').unwrap_or((reference, ""));
        let read = match kind {
            "env" => self
                .surroundings
                .env(name)
                .ok_or_else(|| format!("the variable `{name}` is not set")),
            "file" => {
                self.watched.insert(self.surroundings.locate(name));
                self.surroundings
                    .file(name)
                    .map_err(|it| format!("the file `{name}` cannot be read: {it}"))
            }
            _ => {
                problems
                    .error("bad_reference", span, format!("`{what}` refers to something unknown"))
                    .help("a reference is `${env:NAME}` or `${file:PATH}`");
                return Read::Unresolved;
            }
        };
        match read {
            Ok(value) => {
                let kind = if kind == "env" { "env" } else { "file" };
                self.found(value.trim_end_matches(['\r', '\n']), kind, what, span, problems)
            }
            Err(why) => {
                self.remember("");
                problems.warning("unresolved_secret", span, format!("`{what}`: {why}"));
                Read::Unresolved
            }
        }
    }

    /// A variable of the surroundings that a preset names; absent is no problem.
    pub(super) fn env(&mut self, name: &str) -> Option<Secret> {
        let value = self.surroundings.env(name).filter(|it| !it.trim().is_empty())?;
        self.remember(&value);
        Some(Secret::new(value.trim()))
    }

    fn found(
        &mut self,
        value: &str,
        source: &'static str,
        what: &str,
        span: Range<usize>,
        problems: &mut Problems<'_>,
    ) -> Read {
        self.remember(value);
        if value.is_empty() || value.bytes().any(|it| it < 0x20 || it == 0x7f) {
            problems.warning(
                "unresolved_secret",
                span,
                format!("`{what}` is empty or holds a control character"),
            );
            return Read::Unresolved;
        }
        Read::Found(Secret::new(value), source)
    }

    fn remember(&mut self, value: &str) {
        self.seen.extend_from_slice(&digest(value));
    }

    pub(super) fn finish(self) -> (Vec<PathBuf>, [u8; 32]) {
        (self.watched.into_iter().collect(), digest(self.seen))
    }
}
