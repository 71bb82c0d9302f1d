//! Data goes to stdout, everything else to stderr. Colour is never the only carrier.

use std::io::{IsTerminal as _, Write as _};

use crate::config::{Problem, Severity};

/// A line of what was asked for. A reader that is gone is no error.
pub(super) fn line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// What was asked for as it is, its last line end included.
pub(super) fn data(text: &str) {
    let _ = write!(std::io::stdout().lock(), "{text}");
}

/// Columns under their titles. The last one may be as long as it is.
pub(super) fn table<const N: usize>(
    titles: &[&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) {
    let rows: Vec<_> = std::iter::once(titles.map(str::to_owned)).chain(rows).collect();
    let width = |at: usize| rows.iter().map(|it| it[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..N).map(width).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        line(cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// A line about what is done.
pub(super) fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

pub(super) fn error(text: &str) {
    say(&format!("error: {text}"));
}

pub(super) fn cause(text: &str) {
    say(&format!("  caused by: {text}"));
}

pub(super) fn hint(text: &str) {
    say(&format!("\nhint: {text}"));
}

/// Each problem with its line and a caret; `masked` is the text without its secrets.
pub(super) fn problems(path: &str, masked: &str, problems: &[Problem]) {
    let name = std::path::Path::new(path).file_name().and_then(|it| it.to_str()).unwrap_or(path);
    for problem in problems {
        say(&problem.render(name, masked, colour()));
        say("");
    }
}

/// `2 errors, 1 warning`.
pub(super) fn summary(problems: &[Problem]) -> String {
    let count = |severity, word: &str| {
        let count = problems.iter().filter(|it| it.severity == severity).count();
        (count > 0).then(|| format!("{count} {word}{}", if count == 1 { "" } else { "s" }))
    };
    let counts =
        [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")];
    counts.into_iter().filter_map(|it| count(it.0, it.1)).collect::<Vec<_>>().join(", ")
}

/// The line in one of the terminal's colours, where colours are wanted.
pub(super) fn paint(text: &str, colour_number: u8) -> String {
    if colour() { format!("\u{1b}[{colour_number}m{text}\u{1b}[0m") } else { text.to_owned() }
}

#[expect(clippy::disallowed_methods, reason = "`NO_COLOR` is a word to every program")]
pub(super) fn colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var("NO_COLOR").is_err()
}
