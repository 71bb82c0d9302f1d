//! `torod config get|set|unset`: single values, by path.

use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::Value;

use super::{
    file::ConfigFile,
    report::{self, How, Secrets},
    secret,
};
use crate::{
    app::edit::Input,
    cli::{exit::Usage, ui},
    config::edit::{self, Edit, apply},
};

#[derive(Debug, clap::Args)]
pub(super) struct Get {
    /// Such as `tls.mode`, `providers.groq.base_url`, `providers`
    path: String,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    secrets: Secrets,
}

#[derive(Debug, clap::Args)]
pub(super) struct Set {
    /// Such as `tls.mode`, `providers.groq.base_url`
    path: String,
    /// A TOML value, or a bare word for a string; `-` reads a string from stdin.
    ///
    /// A secret is never taken from here, where every process of this machine can read it: use `-`,
    /// or refer to it as `${env:NAME}` or `${file:PATH}`.
    #[arg(allow_hyphen_values = true)]
    value: String,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
pub(super) struct Unset {
    /// Such as `tls.mode`, `providers.groq.base_url`
    path: String,
    #[command(flatten)]
    how: How,
}

pub(super) fn get(args: &Get, file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let text = args.secrets.shown(&file.read()?);
    let found = edit::value(&text, &args.path)?;
    let value = found.with_context(|| format!("`{}` is not in the file", args.path))?;
    match value {
        value if args.json => ui::line(&value.to_string()),
        Value::String(text) => ui::line(&text),
        value => ui::line(&toml::Value::try_from(&value)?.to_string()),
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn set(args: Set, file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let Set { path, value, how } = args;
    let from_stdin = value == "-";
    let value = if from_stdin { Value::String(secret::from_stdin()?) } else { parse(&value)? };
    let edit = Edit::Set { path, value };
    if !from_stdin {
        let text = file.read()?;
        refuse_secrets(&text, &edit)?;
    }
    Ok(report::edit(file, &how, Input::Edits(vec![edit]))?.code)
}

pub(super) fn unset(args: Unset, file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let edit = Edit::Unset { path: args.path };
    Ok(report::edit(file, &args.how, Input::Edits(vec![edit]))?.code)
}

/// What a mask hides of the new value was given in the open.
fn refuse_secrets(text: &str, edit: &Edit) -> anyhow::Result<()> {
    let Edit::Set { path, .. } = edit else { return Ok(()) };
    let new = apply(text, std::slice::from_ref(edit))?;
    let hidden = Secrets::default().shown(&new);
    if edit::value(&new, path)? == edit::value(&hidden, path)? {
        return Ok(());
    }
    let why = format!("`{path}` is a secret, and every process of this machine can read arguments");
    let hint = "write `-` and give it on stdin, or refer to it as '${env:NAME}' or '${file:PATH}'";
    Err(Usage::new(why).hint(hint).into())
}

/// A value of TOML; a text that is none, and does not look like one, is a string.
fn parse(text: &str) -> anyhow::Result<Value> {
    let table: Result<toml::Table, _> = format!("value = {text}").parse();
    match table {
        Ok(mut table) if table.len() == 1 => Ok(table.remove("value").map_or(Value::Null, json_of)),
        _ if text.starts_with(['"', '\'', '[', '{']) || text.contains(['\n', '\r']) => {
            Err(Usage::new(format!("`{text}` is no TOML value")).into())
        }
        _ => Ok(Value::String(text.to_owned())),
    }
}

fn json_of(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(it) => it.into(),
        toml::Value::Datetime(moment) => moment.to_string().into(),
        toml::Value::Array(list) => list.into_iter().map(json_of).collect(),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(key, it)| (key, json_of(it))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_toml_or_a_bare_word() {
        for (text, wanted) in [
            ("true", json!(true)),
            ("12", json!(12)),
            ("1_000", json!(1000)),
            ("0.5", json!(0.5)),
            ("\"12\"", json!("12")),
            ("'a b'", json!("a b")),
            ("127.0.0.1:8080", json!("127.0.0.1:8080")),
            ("gpt-5*", json!("gpt-5*")),
            ("2027-01-01T00:00:00Z", json!("2027-01-01T00:00:00Z")),
            ("[\"a\", \"b\"]", json!(["a", "b"])),
            ("{ rpm = 3 }", json!({ "rpm": 3 })),
            ("", json!("")),
        ] {
            assert_eq!(parse(text).unwrap(), wanted, "{text}");
        }
        for text in ["[1", "\"a", "'a", "{ a = ", "1\nother = 2"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
