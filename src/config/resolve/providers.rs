//! `[[providers]]`, with what each preset fills in.

use std::{collections::HashSet, ops::Range, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue};
use url::Url;

use super::{
    super::{
        document::Document,
        problem::{Problems, nearest},
        schema,
    },
    not_yet,
    secret::{Read, Secrets},
};
use crate::{
    access::Pattern,
    catalog::{Credential, Preset, Provider, preset},
};

/// Headers that a provider's entry cannot set: they are the connection's or the credential's.
const RESERVED: [&str; 8] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "accept-encoding",
];

pub(super) fn providers(
    document: &Document,
    secrets: &mut Secrets<'_>,
    problems: &mut Problems<'_>,
) -> Vec<Arc<Provider>> {
    let (mut found, mut names) = (Vec::new(), HashSet::new());
    for (at, raw) in document.file.providers.iter().enumerate() {
        let mut entry = Entry { document, path: format!("providers[{at}]"), raw, problems };
        let Some(name) = entry.name() else { continue };
        if !names.insert(name.clone()) {
            let span = entry.span("name");
            entry.problems.error(
                "duplicate",
                span,
                format!("the provider name `{name}` is used twice"),
            );
        }
        let Some(preset) = entry.preset(&name) else { continue };
        found.push(Arc::new(entry.provider(&name, preset, secrets)));
    }
    found
}

struct Entry<'a, 'p, 't> {
    document: &'a Document,
    path: String,
    raw: &'a schema::Provider,
    problems: &'p mut Problems<'t>,
}

impl Entry<'_, '_, '_> {
    fn span(&self, key: &str) -> Range<usize> {
        self.document.span(&format!("{}.{key}", self.path))
    }

    fn name(&mut self) -> Option<String> {
        let name = self.raw.name.as_deref().unwrap_or_default().trim();
        let wrong = if name.is_empty() {
            "a provider needs a `name`"
        } else if name.contains('/') {
            "a provider's name cannot hold `/`: it ends where the model begins"
        } else if name.chars().any(|it| it.is_whitespace() || it.is_control()) {
            "a provider's name cannot hold spaces"
        } else {
            return Some(name.to_owned());
        };
        let span = self.span("name");
        self.problems.error("bad_name", span, wrong);
        None
    }

    fn preset(&mut self, name: &str) -> Option<&'static Preset> {
        let given = self.raw.provider_type.as_deref().map(str::trim).filter(|it| !it.is_empty());
        if let Some(found) = preset::preset(given.unwrap_or(name)) {
            return Some(found);
        }
        let has_url = self.raw.base_url.is_some();
        let generic = preset::preset("openai-compatible").filter(|_| has_url);
        match given {
            None if generic.is_some() => generic,
            // The Go original wrote the name here for servers of one's own.
            Some(_) if self.document.is_legacy && generic.is_some() => {
                let span = self.span("provider_type");
                self.problems
                    .warning("unknown_type", span, "this `provider_type` is no preset; the provider counts as `openai-compatible`")
                    .help("write `provider_type = \"openai-compatible\"`");
                generic
            }
            _ => {
                let known = preset::presets().iter().map(|it| it.name.as_str());
                let near = nearest(given.unwrap_or(name), known);
                let span = self.span("provider_type");
                self.problems
                    .error(
                        "unknown_type",
                        span,
                        format!("`{}` is no preset", given.unwrap_or(name)),
                    )
                    .help(near.map_or_else(
                        || {
                            "write `provider_type = \"openai-compatible\"` and a `base_url`"
                                .to_owned()
                        },
                        |it| format!("did you mean `{it}`?"),
                    ));
                None
            }
        }
    }

    fn provider(
        &mut self,
        name: &str,
        preset: &'static Preset,
        secrets: &mut Secrets<'_>,
    ) -> Provider {
        let raw = self.raw;
        let (credential, credential_source) = self.credential(preset, secrets);
        let enabled =
            raw.enabled.unwrap_or(!self.document.is_legacy) && !self.has_only_a_login(&credential);
        if raw.max_concurrency.is_some() {
            not_yet(self.document, &format!("{}.max_concurrency", self.path), self.problems);
        }
        if credential == Credential::None && enabled && needs_key(preset) {
            let span = self.span("name");
            let variable = preset.api_key_env.as_deref().unwrap_or_default();
            self.problems
                .warning(
                    "no_credential",
                    span,
                    format!("the provider `{name}` has no `api_key`, and `{variable}` is not set"),
                )
                .help("set one of them, or `enabled = false`");
        }
        Provider {
            name: name.into(),
            preset,
            base_url: if preset.name == "echo" { None } else { self.base_url(preset) },
            model_list_url: self.url(
                "model_list_url",
                raw.model_list_url.as_deref().or(preset.model_list_url.as_deref()),
            ),
            protocols: raw
                .protocols
                .clone()
                .filter(|it| !it.is_empty())
                .unwrap_or_else(|| preset.protocols.clone()),
            credential,
            credential_source,
            headers: self.headers(secrets),
            models: raw.models.as_ref().map(|it| it.iter().map(|it| Pattern::new(it)).collect()),
            enabled,
            automatic: false,
            first_byte: Duration::from_secs(
                raw.timeout_seconds.filter(|it| *it > 0).or(preset.timeout_seconds).unwrap_or(60),
            ),
            idle: Duration::from_secs(raw.stream_idle_timeout_seconds.unwrap_or(300)),
            include_usage: raw.include_usage.unwrap_or(preset.stream_usage),
        }
    }

    /// A login by OAuth is not supported: with nothing else the provider is off.
    fn has_only_a_login(&mut self, credential: &Credential) -> bool {
        let logs_in = self.raw.auth_token.is_some() || self.raw.refresh_token.is_some();
        if !logs_in || *credential != Credential::None {
            return false;
        }
        let span = self.span("auth_token");
        self.problems
            .warning(
                "no_credential",
                span,
                "a login by OAuth is not supported, so this provider is disabled",
            )
            .help("set `api_key`");
        true
    }

    fn credential(
        &mut self,
        preset: &Preset,
        secrets: &mut Secrets<'_>,
    ) -> (Credential, Option<String>) {
        if let Some(key) = self.raw.api_key.as_ref().filter(|it| !it.expose().trim().is_empty()) {
            let (what, span) = (format!("{}.api_key", self.path), self.span("api_key"));
            return match secrets.read(key, &what, span, self.problems) {
                Read::Found(secret, source) => {
                    (Credential::Present(secret), Some(source.to_owned()))
                }
                Read::Unresolved => (Credential::Unresolved, None),
            };
        }
        let Some(variable) = preset.api_key_env.as_deref() else { return (Credential::None, None) };
        // A preset's credential goes to the preset's own address and nowhere else.
        if self.raw.base_url.as_deref().is_some_and(|it| !is_same_origin(it, preset)) {
            return (Credential::None, None);
        }
        match secrets.env(variable) {
            Some(secret) => (Credential::Present(secret), Some(format!("env:{variable}"))),
            None => (Credential::None, None),
        }
    }

    fn base_url(&mut self, preset: &Preset) -> Option<Url> {
        let text = self
            .raw
            .base_url
            .as_deref()
            .filter(|it| !it.trim().is_empty())
            .or(preset.base_url.as_deref());
        if text.is_none() {
            let span = self.span("base_url");
            let help = preset.base_url_template.as_ref().map(|it| format!("fill in `{it}`"));
            self.problems
                .error("missing_key", span, "this provider needs a `base_url`")
                .maybe_help(help);
        }
        self.url("base_url", text)
    }

    fn url(&mut self, key: &str, text: Option<&str>) -> Option<Url> {
        let text = text.map(str::trim).filter(|it| !it.is_empty())?;
        let span = self.span(key);
        let parsed = Url::parse(text);
        let wrong = match &parsed {
            _ if text.contains(['{', '}']) => "still has a `{placeholder}` in it",
            Ok(url) if !matches!(url.scheme(), "http" | "https") => {
                "must begin with `https://` or `http://`"
            }
            Ok(url) if url.username() != "" || url.password().is_some() => "holds a credential",
            Ok(url) if url.host_str().is_none_or(str::is_empty) => "names no host",
            Ok(url) if url.fragment().is_some() => "has a `#` in it",
            Ok(_) => return parsed.ok(),
            Err(_) => "is no URL",
        };
        let code = if wrong == "holds a credential" { "credential_in_url" } else { "bad_url" };
        let help = if code == "bad_url" {
            "write it as `https://api.example.com/v1`"
        } else {
            "put it into `api_key`"
        };
        self.problems.error(code, span, format!("`{key}` {wrong}")).help(help);
        None
    }

    fn headers(&mut self, secrets: &mut Secrets<'_>) -> Vec<(HeaderName, HeaderValue)> {
        let mut found = Vec::new();
        for (name, value) in &self.raw.headers {
            let path = format!("{}.headers.{name}", self.path);
            let span = self.document.span(&path);
            let parsed = HeaderName::try_from(name.as_str())
                .ok()
                .filter(|it| !RESERVED.contains(&it.as_str()));
            let Some(header) = parsed else {
                self.problems.error(
                    "bad_header",
                    span,
                    format!("`{name}` is no header that can be set"),
                );
                continue;
            };
            let Read::Found(secret, _) = secrets.read(value, &path, span.clone(), self.problems)
            else {
                continue;
            };
            match HeaderValue::try_from(secret.expose()) {
                Ok(mut value) => {
                    value.set_sensitive(true);
                    found.push((header, value));
                }
                Err(_) => {
                    self.problems.error(
                        "bad_header",
                        span,
                        format!("the value of `{name}` cannot stand in a header"),
                    );
                }
            }
        }
        found
    }
}

fn needs_key(preset: &Preset) -> bool {
    !preset.generic && !preset.local && !preset.public_free_no_auth
}

fn is_same_origin(base_url: &str, preset: &Preset) -> bool {
    let template = preset.base_url_template.is_some();
    let origin = |it: &str| Url::parse(it).ok().map(|it| it.origin());
    template && preset.base_url.is_none()
        || preset.base_url.as_deref().is_some_and(|it| origin(it) == origin(base_url))
}
