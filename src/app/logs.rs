//! Log lines on stderr; level and form follow the file.

use std::{io::IsTerminal as _, sync::Arc};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer, Registry, layer::SubscriberExt as _, reload, util::SubscriberInitExt as _,
};

use super::{
    Live,
    log_lines::{Guard, LogLines},
    log_text::Plain,
};
use crate::config::{LogFormat, LogLevel};

type Lines = Box<dyn Layer<Registry> + Send + Sync>;
type Filtered = tracing_subscriber::layer::Layered<reload::Layer<Lines, Registry>, Registry>;

/// What can be changed while it runs.
#[derive(Clone)]
pub struct Logs {
    lines: reload::Handle<Lines, Registry>,
    level: reload::Handle<LevelFilter, Filtered>,
    writer: LogLines,
}

/// Starts logging; the guard writes what is left when it is dropped. None when somebody else has
/// set up logging in this process.
pub fn start() -> (Option<Logs>, Guard) {
    let (writer, guard) = LogLines::to_stderr();
    let (lines, lines_handle) = reload::Layer::new(lines(LogFormat::Text, writer.clone()));
    let (level, level_handle) = reload::Layer::new(LevelFilter::INFO);
    let started = tracing_subscriber::registry().with(lines).with(level).try_init();
    let logs = Logs { lines: lines_handle, level: level_handle, writer };
    (started.is_ok().then_some(logs), guard)
}

impl std::fmt::Debug for Logs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Logs")
    }
}

impl Logs {
    pub fn set(&self, level: LogLevel, format: LogFormat) {
        let filter = match level {
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Trace => LevelFilter::TRACE,
        };
        let _ = self.level.reload(filter);
        let _ = self.lines.reload(lines(format, self.writer.clone()));
    }

    /// Follows the file.
    pub async fn follow(self, live: Arc<Live>) {
        let mut changed = live.subscribe();
        let of = |live: &Live| {
            let config = &live.snapshot().config;
            (config.log_level, config.log_format)
        };
        let mut seen = of(&live);
        while changed.changed().await.is_ok() {
            let now = of(&live);
            if now != seen {
                self.set(now.0, now.1);
                seen = now;
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "`NO_COLOR` is a word to every program")]
fn lines(format: LogFormat, writer: LogLines) -> Lines {
    let colour = std::io::stderr().is_terminal() && std::env::var("NO_COLOR").is_err();
    let plain =
        tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colour).with_target(false);
    match format {
        LogFormat::Text if colour => plain.boxed(),
        LogFormat::Text => plain.event_format(Plain).boxed(),
        LogFormat::Json => plain.json().flatten_event(true).boxed(),
    }
}
