//! `torod config fmt`: white space only. What a value or a comment says is nobody's to format.

use std::{ops::Range, process::ExitCode};

use anyhow::Context as _;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    file::ConfigFile,
    report::{self, How},
};
use crate::{
    app::edit::Input,
    cli::{exit::Exit, ui},
    config::Revision,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Change nothing; exit 1 and print the diff when there is something to format
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    rules: Rules,
    #[command(flatten)]
    how: How,
}

/// What is formatted; all of it when nothing is asked for.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
struct Rules {
    /// Only: no white space at the ends of lines
    #[arg(long)]
    trailing_spaces: bool,
    /// Only: one blank line above each `[table]`, above the comment that stands on it
    #[arg(long)]
    blank_lines: bool,
    /// Only: one line end at the end of the file
    #[arg(long)]
    final_newline: bool,
}

impl Rules {
    fn or_all(self) -> Self {
        if self.trailing_spaces || self.blank_lines || self.final_newline {
            return self;
        }
        Self { trailing_spaces: true, blank_lines: true, final_newline: true }
    }
}

pub(super) fn run(mut args: Args, file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let old = file.read()?;
    let new = format(&old, args.rules.or_all())
        .with_context(|| format!("`{}` is no TOML; `torod check` says where", file.name()))?;
    if args.check && old != new {
        ui::data(&args.how.secrets.patch(file.name(), &old, &new));
        return Ok(ExitCode::from(Exit::Failed as u8));
    }
    if args.check || old == new {
        ui::say("nothing to format");
        return Ok(ExitCode::SUCCESS);
    }
    args.how.if_revision.get_or_insert(Revision::of(&old).to_string());
    Ok(report::edit(file, &args.how, Input::Text(new))?.code)
}

/// The text with its white space in order; none when it is no TOML.
fn format(text: &str, rules: Rules) -> Option<String> {
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let table = DeTable::parse(body).ok()?;
    let mut values = Values::default();
    table.get_ref().iter().for_each(|(_, it)| values.gather(body, it));
    let mut out: Vec<String> = Vec::new();
    let mut at = 0;
    for line in body.split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        let end = &line[content.len()..];
        let is_text = values.strings.iter().any(|it| it.contains(&(at + content.len())));
        let is_header = content.trim_start().starts_with('[')
            && !values.all.iter().any(|it| it.start < at && at < it.end);
        if rules.blank_lines && is_header {
            set_apart(&mut out, end);
        }
        let kept = if rules.trailing_spaces && !is_text { content.trim_end() } else { content };
        out.push(format!("{kept}{end}"));
        at += line.len();
    }
    if rules.final_newline {
        end_once(&mut out);
    }
    let mark = &text[..text.len() - body.len()];
    Some(format!("{mark}{}", out.concat()))
}

/// Where values that go over several lines are.
#[derive(Debug, Default)]
struct Values {
    all: Vec<Range<usize>>,
    strings: Vec<Range<usize>>,
}

impl Values {
    fn gather(&mut self, text: &str, value: &Spanned<DeValue<'_>>) {
        let span = value.span();
        let is_long = text.get(span.clone()).is_some_and(|it| it.contains('\n'));
        match value.get_ref() {
            DeValue::String(_) if is_long => {
                self.strings.push(span.clone());
                self.all.push(span);
            }
            DeValue::Array(list) => {
                if is_long {
                    self.all.push(span);
                }
                list.iter().for_each(|it| self.gather(text, it));
            }
            DeValue::Table(table) => {
                table.iter().for_each(|(_, it)| self.gather(text, it));
            }
            _ => {}
        }
    }
}

/// One blank line above the comment that stands on the next line, unless the file begins there.
fn set_apart(out: &mut Vec<String>, end: &str) {
    let is_comment = |it: &&String| it.trim_start().starts_with('#');
    let top = out.len() - out.iter().rev().take_while(is_comment).count();
    let comment = out.split_off(top);
    let blank = out.iter().rev().take_while(|it| it.trim().is_empty()).count();
    if blank < out.len() {
        out.truncate(out.len() - blank);
        out.push(if end.is_empty() { line_end(out) } else { end }.to_owned());
    }
    out.extend(comment);
}

/// As the lines before end.
fn line_end(lines: &[String]) -> &'static str {
    if lines.iter().any(|it| it.ends_with("\r\n")) { "\r\n" } else { "\n" }
}

fn end_once(out: &mut Vec<String>) {
    let blank = out.iter().rev().take_while(|it| it.trim().is_empty()).count();
    out.truncate(out.len() - blank);
    let end = line_end(out);
    if let Some(last) = out.last_mut().filter(|it| !it.ends_with('\n')) {
        last.push_str(end);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &str) -> String {
        format(text, Rules::default().or_all()).unwrap()
    }

    #[test]
    fn white_space_is_put_in_order() {
        for (text, wanted) in [
            ("", ""),
            ("a = 1", "a = 1\n"),
            ("a = 1  \n\n\n", "a = 1\n"),
            ("a = 1\n[b]\n# of c\n[c]\n", "a = 1\n\n[b]\n\n# of c\n[c]\n"),
            ("a = 1\n\n\n\n[b]", "a = 1\n\n[b]\n"),
            ("# banner\n\n# of b\n[[b]]\n", "# banner\n\n# of b\n[[b]]\n"),
            ("\n[b]\n", "\n[b]\n"),
            ("a = 1 \r\n[b]\r\n", "a = 1\r\n\r\n[b]\r\n"),
            ("a = \"\"\"x  \n[y]\n\n\n\"\"\"\n", "a = \"\"\"x  \n[y]\n\n\n\"\"\"\n"),
            ("a = [ \n[1],  \n  [2] ]\n", "a = [\n[1],\n  [2] ]\n"),
            ("\u{feff}a = 1 # x \n", "\u{feff}a = 1 # x\n"),
        ] {
            assert_eq!(all(text), wanted, "{text:?}");
        }
        assert_eq!(format("a = ", Rules::default().or_all()), None);
        let only = Rules { final_newline: true, ..Rules::default() };
        assert_eq!(format("a = 1 \n[b]", only).unwrap(), "a = 1 \n[b]\n");
    }

    fn line() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-c]{3} = [0-9]{1,3} {0,3}",
            " {0,2}# [a-z\\[ ]{0,6}",
            " {0,3}",
            "\\[\\[[x-z]\\]\\] {0,2}",
            "[a-c]{4} = \"\"\"[a \\[]{0,5} {0,2}",
            "[a \\[]{0,4}\"\"\" {0,2}",
            "[a-c]{5} = \\[ {0,2}",
            "\\] {0,2}",
            "\\[1\\], {0,2}",
        ]
    }

    proptest! {
        #[test]
        fn formatting_keeps_values_and_comments_and_ends(
            lines in proptest::collection::vec(line(), 0..14),
            end in prop_oneof![Just("\n"), Just("\r\n")],
            rules in 0..8_u8,
        ) {
            let text = lines.join(end);
            let rules = Rules {
                trailing_spaces: rules & 1 > 0,
                blank_lines: rules & 2 > 0,
                final_newline: rules & 4 > 0,
            };
            if let Some(once) = format(&text, rules) {
                prop_assert_eq!(format(&once, rules).unwrap(), once.clone(), "twice is once");
                let values = |it: &str| it.parse::<toml::Table>().unwrap();
                prop_assert_eq!(values(&text), values(&once));
                let marks = |it: &str| it.split_whitespace().collect::<Vec<_>>().join(" ");
                prop_assert_eq!(marks(&text), marks(&once), "nothing but white space");
            }
        }
    }
}
