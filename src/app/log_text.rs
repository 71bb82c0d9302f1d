//! A log line for a file or a pipe, written without the detours that colours need.

use std::fmt::{self, Debug, Write as _};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    registry::LookupSpan,
};

pub(super) struct Plain;

impl<S, N> FormatEvent<S, N> for Plain
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        SystemTime.format_time(&mut line)?;
        write!(line, " {:>5}", event.metadata().level().as_str())?;
        let mut fields = Fields { line, result: Ok(()) };
        event.record(&mut fields);
        fields.result?;
        fields.line.write_char('\n')
    }
}

struct Fields<'w> {
    line: Writer<'w>,
    result: fmt::Result,
}

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        let mut put = || {
            self.line.write_char(' ')?;
            if field.name() != "message" {
                self.line.write_str(field.name())?;
                self.line.write_char('=')?;
            }
            Ok(())
        };
        self.result = self.result.and_then(|()| put()).and_then(|()| value(&mut self.line));
    }
}

impl Visit for Fields<'_> {
    /// In quotes; what could break the line or a terminal is escaped.
    fn record_str(&mut self, field: &Field, value: &str) {
        let is_harmless =
            value.bytes().all(|it| matches!(it, b' '..=b'~') && !b"\"\\".contains(&it));
        self.put(field, |line| {
            if !is_harmless {
                return write!(line, "{value:?}");
            }
            line.write_char('"')?;
            line.write_str(value)?;
            line.write_char('"')
        });
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, |line| write!(line, "{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, |line| write!(Escaping(line), "{value:?}"));
    }
}

/// A text of somebody else's cannot begin a line or steer a terminal.
struct Escaping<'l, 'w>(&'l mut Writer<'w>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if !text.chars().any(char::is_control) {
            return self.0.write_str(text);
        }
        text.chars().try_for_each(|it| match it {
            it if it.is_control() => write!(self.0, "{}", it.escape_default()),
            it => self.0.write_char(it),
        })
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::app::log_lines::LogLines;

    #[test]
    fn a_line_stays_one_line() {
        let lines = LogLines::default();
        let layer = tracing_subscriber::fmt::layer().with_writer(lines.clone()).event_format(Plain);
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let (quoted, evil) = ("a \"b\"", "x\n2026 INFO \u{1b}[31mred");
            tracing::info!(quoted, evil, shown = %evil, count = 3_u64, none = None::<u64>, yes = true, "a message");
        });
        let text = lines.taken();
        let (_, rest) = text.split_once("  INFO ").unwrap();
        assert_eq!(
            rest,
            "a message quoted=\"a \\\"b\\\"\" evil=\"x\\n2026 INFO \\u{1b}[31mred\" \
             shown=x\\n2026 INFO \\u{1b}[31mred count=3 yes=true\n"
        );
    }
}
