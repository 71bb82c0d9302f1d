//! Lines: where they begin and end, which are blank or comments, and how they come and go.

use std::ops::Range;

use super::Splice;

pub(super) fn start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |it| it + 1)
}

/// Where the next line begins, or the text ends.
pub(super) fn end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |it| at + it + 1)
}

/// The line above the one that begins at `at`.
fn above(text: &str, at: usize) -> Option<Range<usize>> {
    (at > 0).then(|| start(text, at - 1)..at)
}

pub(super) fn is_blank(line: &str) -> bool {
    line.trim().is_empty()
}

pub(super) fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

pub(super) fn is_comment_above(text: &str, at: usize) -> bool {
    above(text, at).is_some_and(|it| is_comment(&text[it]))
}

/// Whether a header follows, after nothing but comments.
pub(super) fn leads_to_header(text: &str, at: usize) -> bool {
    let code = text[at..].lines().find(|it| !is_comment(it));
    code.is_some_and(|it| it.trim_start().starts_with('['))
}

/// White space at the beginning of the line of `at`.
pub(super) fn indent(text: &str, at: usize) -> &str {
    let line = &text[start(text, at)..];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// The line end of the file.
pub(super) fn ending(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// Where comments begin that stand on the lines directly above `at`, not before `floor`.
pub(super) fn glued(text: &str, at: usize, floor: usize) -> usize {
    let mut first = at;
    while let Some(line) = above(text, first)
        && line.start >= floor
        && is_comment(&text[line.clone()])
    {
        first = line.start;
    }
    first
}

/// The blank lines directly above `at`: where they begin and how many they are.
pub(super) fn blank_above(text: &str, at: usize) -> (usize, usize) {
    let (mut first, mut count) = (at, 0);
    while let Some(line) = above(text, first)
        && is_blank(&text[line.clone()])
    {
        (first, count) = (line.start, count + 1);
    }
    (first, count)
}

/// The blank lines from `at` on: where they end and how many they are.
pub(super) fn blank_below(text: &str, at: usize) -> (usize, usize) {
    let (mut last, mut count) = (at, 0);
    while last < text.len() && is_blank(&text[last..end(text, last)]) {
        (last, count) = (end(text, last), count + 1);
    }
    (last, count)
}

/// Where the last line that is not blank ends; where there is none, the text does.
pub(super) fn content_end(text: &str) -> usize {
    let used = text.trim_end().len();
    if used == 0 { text.len() } else { end(text, used) }
}

/// New lines at the beginning of a line; `lines` has no line end behind its last. A text without a
/// final line end stays one.
pub(super) fn insert(text: &str, at: usize, lines: &str) -> Splice {
    let ending = ending(text);
    let open = at == text.len() && !text.is_empty() && !text.ends_with('\n');
    let text = if open { format!("{ending}{lines}") } else { format!("{lines}{ending}") };
    Splice { span: at..at, text }
}

/// Whole lines go, and with them the smaller one of the gaps above and below: what was added with a
/// gap of its own leaves none.
pub(super) fn cut(text: &str, lines: Range<usize>) -> Splice {
    let Range { mut start, mut end } = lines;
    let (above, before) = blank_above(text, start);
    let (below, after) = blank_below(text, end);
    let (is_first, is_last) = (above == 0, below == text.len());
    // Of two gaps alike, the one that holds nothing but line ends is ours.
    let is_ours = |lines: &str| !lines.contains([' ', '\t']);
    let prefer_above = is_ours(&text[above..start]) || !is_ours(&text[end..below]);
    if !is_first && (is_last || before < after || before == after && prefer_above) {
        start = above;
    } else if !is_last {
        end = below;
    }
    if end == text.len() && !text[..end].ends_with('\n') {
        // The line above becomes the last one, so it has no line end.
        let kept = text[..start].strip_suffix('\n').unwrap_or(&text[..start]);
        start = kept.strip_suffix('\r').unwrap_or(kept).len();
    }
    Splice { span: start..end, text: String::new() }
}
