//! What is wrong with the file: where, what, and what to do.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

/// How much a problem matters. Only an error keeps a text from going live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Note,
    Warning,
    Error,
}

/// One thing that is wrong. `message` and `help` never hold a value of the file that may be secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub severity: Severity,
    /// A name that does not change with the wording.
    pub code: &'static str,
    /// From 1; columns count characters.
    pub line: usize,
    pub column: usize,
    pub message: String,
    pub help: Option<String>,
    /// Bytes of the text.
    #[serde(skip)]
    pub span: Range<usize>,
}

impl Problem {
    /// The problem as a person reads it: the line, a caret, and what to do. `text` is the file with
    /// its secrets masked by [`super::document::masked`]; it has the same spans.
    pub fn render(&self, path: &str, masked: &str, colour: bool) -> String {
        let (level, help) = match self.severity {
            Severity::Error => (Level::ERROR, Level::HELP),
            Severity::Warning => (Level::WARNING, Level::HELP),
            Severity::Note => (Level::NOTE, Level::HELP),
        };
        let end = self.span.end.min(masked.len());
        let start = self.span.start.min(end);
        let snippet =
            Snippet::source(masked).path(path).annotation(AnnotationKind::Primary.span(start..end));
        let mut groups = vec![level.primary_title(&*self.message).id(self.code).element(snippet)];
        if let Some(text) = &self.help {
            groups.push(Group::with_title(help.secondary_title(&**text)));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&groups)
    }

    /// Those that keep a text from going live, in one line.
    pub fn complaint(problems: &[Self]) -> String {
        let errors = problems.iter().filter(|it| it.severity == Severity::Error);
        errors.map(Self::line).collect::<Vec<_>>().join("; ")
    }

    /// One line: what a log may say.
    pub fn line(&self) -> String {
        format!("{}:{}: {}", self.line, self.column, self.message)
    }
}

/// Collects problems and knows where in the text they are.
#[derive(Debug)]
pub(super) struct Problems<'a> {
    text: &'a str,
    pub(super) found: Vec<Problem>,
}

impl<'a> Problems<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, found: Vec::new() }
    }

    pub(super) fn error(
        &mut self,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> &mut Problem {
        self.add(Severity::Error, code, span, message.into())
    }

    pub(super) fn warning(
        &mut self,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> &mut Problem {
        self.add(Severity::Warning, code, span, message.into())
    }

    pub(super) fn note(
        &mut self,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> &mut Problem {
        self.add(Severity::Note, code, span, message.into())
    }

    fn add(
        &mut self,
        severity: Severity,
        code: &'static str,
        span: Range<usize>,
        message: String,
    ) -> &mut Problem {
        let (line, column) = position(self.text, span.start);
        self.found.push(Problem { severity, code, line, column, message, help: None, span });
        let last = self.found.len() - 1;
        &mut self.found[last]
    }
}

impl Problem {
    /// Line and column anew, after the span was moved into another text.
    pub(super) fn settle(&mut self, text: &str) {
        (self.line, self.column) = position(text, self.span.start);
        if self.line == 1 && text.starts_with('\u{feff}') {
            self.column = self.column.saturating_sub(1).max(1);
        }
    }

    pub(super) fn help(&mut self, text: impl Into<String>) {
        self.help = Some(text.into());
    }

    pub(super) fn maybe_help(&mut self, text: Option<String>) {
        self.help = text;
    }
}

/// Line and column of a byte, both from 1.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// The known word that a person most likely meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = word.chars().count().div_ceil(3).max(1);
    known
        .into_iter()
        .map(|it| (strsim::osa_distance(&word.to_lowercase(), &it.to_lowercase()), it))
        .filter(|it| it.0 <= limit)
        .min_by_key(|it| it.0)
        .map(|it| it.1)
}
