//! What a wizard has gathered: edits, and the text that they would make of the file.

use std::collections::BTreeMap;

use cliclack::log;

use super::{
    super::config::{
        file::ConfigFile,
        provider,
        report::{Secrets, fresh},
    },
    ask::Terminal,
};
use crate::{
    catalog::Provider,
    cli::{exit::Unloadable, runtime, ui},
    config::{
        Config, Problem, Resolved, Severity,
        edit::{Edit, apply},
        masked,
    },
};

/// Edits, and what the file would be with them.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) edits: Vec<Edit>,
    pub(super) text: String,
    pub(super) config: Config,
}

pub(super) struct Session {
    pub(super) file: ConfigFile,
    /// What the edits apply to.
    pub(super) base: String,
    pub(super) pending: Pending,
    /// Keys that are shown once the file has their hashes: id and key.
    pub(super) new_keys: Vec<(String, String)>,
    /// Models of providers that were asked.
    pub(super) models: BTreeMap<String, Vec<String>>,
    pub(super) terminal: Terminal,
}

impl Session {
    pub(super) fn new(file: ConfigFile, base: String) -> anyhow::Result<Self> {
        let Resolved { config, problems, .. } = file.resolve(&base);
        let Some(config) = config else {
            return Err(Unloadable { path: file.path().to_owned(), text: base, problems }.into());
        };
        let pending = Pending { edits: Vec::new(), text: base.clone(), config };
        let terminal = Terminal::new(runtime()?)?;
        let (new_keys, models) = (Vec::new(), BTreeMap::new());
        Ok(Self { file, base, pending, new_keys, models, terminal })
    }

    /// Takes edits in, if the file would load with them; else says why it would not.
    pub(super) fn take(&mut self, edits: Vec<Edit>) -> anyhow::Result<bool> {
        let text = match apply(&self.pending.text, &edits) {
            Ok(text) => text,
            Err(error) => {
                log::error(error)?;
                return Ok(false);
            }
        };
        let Resolved { config, problems, .. } = self.file.resolve(&text);
        let news = fresh(&self.file, &self.pending.text, &problems);
        self.say_problems(&text, &news)?;
        let Some(config) = config else { return Ok(false) };
        if text != self.pending.text {
            self.pending.edits.extend(edits);
            (self.pending.text, self.pending.config) = (text, config);
        }
        Ok(true)
    }

    pub(super) fn say_problems(&self, text: &str, problems: &[Problem]) -> anyhow::Result<()> {
        let shown = masked(text);
        for it in problems {
            match it.severity {
                Severity::Error => log::error(it.render(self.file.name(), &shown, false))?,
                Severity::Warning | Severity::Note => {
                    let help = it.help.as_ref().map_or(String::new(), |it| format!("\n{it}"));
                    log::warning(format!("{}{help}", it.message))?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn is_changed(&self) -> bool {
        self.pending.text != self.base
    }

    pub(super) fn provider(&self, name: &str) -> Option<&Provider> {
        self.pending.config.providers.iter().find(|it| *it.name == *name).map(|it| &**it)
    }

    /// All that is pending, as a patch without literal secrets.
    pub(super) fn patch(&self) -> String {
        Secrets::default().patch(self.file.name(), &self.base, &self.pending.text)
    }

    /// Its hunks, coloured.
    pub(super) fn diff(&self) -> String {
        let patch = self.patch();
        let hunks = patch.lines().skip_while(|it| !it.starts_with("@@"));
        hunks.map(painted).collect::<Vec<_>>().join("\n")
    }

    /// The lines of it that go and come, without those around them.
    pub(super) fn diff_alone(&self) -> String {
        let patch = self.patch();
        let hunks = patch.lines().skip_while(|it| !it.starts_with("@@"));
        let lines = hunks.filter(|it| it.starts_with(['+', '-'])).map(painted);
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Asks a provider for its models, and shows them. False when it does not answer.
    pub(super) fn test(&mut self, name: &str) -> anyhow::Result<bool> {
        let Some(asked) = self.provider(name).cloned() else { return Ok(false) };
        let config = self.pending.config.clone();
        let title = format!("Asking `{name}` for its models");
        let done =
            |it: &Vec<String>| format!("`{name}` answers, with {}", provider::counted(it.len()));
        let Ok(models) = self.terminal.work(&title, provider::ask(&config, &asked), done)? else {
            return Ok(false);
        };
        if !models.is_empty() {
            log::remark(some_of(&models))?;
        }
        self.models.insert(name.to_owned(), models);
        Ok(true)
    }
}

/// A line of a diff in its colour, broken where the terminal ends.
fn painted(line: &str) -> String {
    let colour = match line.as_bytes().first() {
        Some(b'@') => 36,
        Some(b'+') => 32,
        Some(b'-') => 31,
        _ => return cliclack::termwrap(line, 4),
    };
    let lines = cliclack::termwrap(line, 4);
    lines.lines().map(|it| ui::paint(it, colour)).collect::<Vec<_>>().join("\n")
}

/// As many names as one looks at.
fn some_of(models: &[String]) -> String {
    const SHOWN: usize = 12;
    let mut text = models[..models.len().min(SHOWN)].join(", ");
    if models.len() > SHOWN {
        text = format!("{text}, and {} more", models.len() - SHOWN);
    }
    cliclack::termwrap(&text, 6)
}
