use std::{collections::HashMap, io};

use super::*;
use crate::{access::Role, catalog::Credential, config::schema};

struct Around(HashMap<&'static str, &'static str>);

impl Surroundings for Around {
    fn env(&self, name: &str) -> Option<String> {
        self.0.get(name).map(ToString::to_string)
    }

    fn file(&self, path: &str) -> io::Result<String> {
        self.0.get(path).map(ToString::to_string).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn locate(&self, path: &str) -> std::path::PathBuf {
        path.into()
    }
}

fn read(text: &str) -> Resolved {
    resolve(text, &Around(HashMap::from([("KEY", "sk-env"), ("/s/key", "sk-file\n")])))
}

fn codes(text: &str) -> Vec<(Severity, &'static str, usize)> {
    read(text).problems.iter().map(|it| (it.severity, it.code, it.line)).collect()
}

#[test]
fn every_mistake_has_a_name_and_a_place() {
    use Severity::{Error, Note, Warning};
    let public = "[[incoming_tokens]]\nkey = \"sk-0123456789abcdef\"\nrole = \"admin\"\n";
    for (text, wanted) in [
        ("", (Error, "empty", 1)),
        ("# only a comment\n", (Error, "empty", 1)),
        ("a = \n", (Error, "syntax", 1)),
        ("\n\nlisten = 1\n", (Error, "unknown_key", 3)),
        ("listen_addr = 8080\n", (Error, "type", 1)),
        ("listen_addr = \"here\"\n", (Error, "bad_address", 1)),
        ("listen_addr = [\"127.0.0.1:1\",\n\"127.0.0.1:1\"]\n", (Error, "duplicate", 2)),
        ("shutdown_seconds = -1\n", (Error, "range", 1)),
        ("shutdown_seconds = 99999999999999999999\n", (Error, "range", 1)),
        ("http_mode = \"on\"\n", (Error, "unknown_word", 1)),
        ("default_provider = \"x\"\n", (Error, "unknown_provider", 1)),
        ("allowed_hosts = [\"http://x\"]\n", (Error, "bad_host", 1)),
        ("managed = true\n[telemetry]\nmetrics = true\n", (Note, "not_active", 2)),
        ("[[incoming_tokens]]\nname = \"a\"\n", (Error, "missing_key", 1)),
        ("[[prices]]\ninput = 1\n", (Error, "missing_key", 1)),
        ("[[prices]]\nmodel = \"*\"\n", (Error, "missing_key", 1)),
        ("[[prices]]\nmodel = \"*\"\ninput = -1\n", (Error, "range", 3)),
        ("[[prices]]\nmodel = \"*\"\ninput = nan\n", (Error, "range", 3)),
        (
            "[[providers]]\nname = \"echo\"\n[[prices]]\nmodel = \"x/*\"\ninput = 1\n",
            (Warning, "unknown_provider", 4),
        ),
        ("[pricing]\nsources = [\"model\"]\n", (Error, "unknown_word", 2)),
        ("[[incoming_tokens]]\nkey = \"a\"\nrole = \"amdin\"\n", (Error, "unknown_word", 3)),
        ("[[incoming_tokens]]\nkey_hash = \"sha256:1\"\n", (Error, "bad_hash", 2)),
        ("[[incoming_tokens]]\nkey = \"short\"\n", (Warning, "weak_key", 2)),
        ("[[incoming_tokens]]\nkey = \"${env:NONE}\"\n", (Warning, "unresolved_secret", 2)),
        ("[[incoming_tokens]]\nkey = \"${evn:KEY}\"\n", (Error, "bad_reference", 2)),
        (
            "[[incoming_tokens]]\nkey = \"0123456789abcdef\"\nexpires_at = \"soon\"\n",
            (Error, "bad_time", 3),
        ),
        (
            "[[incoming_tokens]]\nkey = \"0123456789abcdef\"\nexpires_at = 2027-01-01\n",
            (Error, "bad_time", 3),
        ),
        (
            "[[incoming_tokens]]\nkey = \"0123456789abcdef\"\nrate = { rpm = 1 }\n",
            (Error, "not_active", 3),
        ),
        (
            "[[incoming_tokens]]\nkey = \"0123456789abcdef\"\nquota.usd.limit = 1\n",
            (Error, "not_active", 3),
        ),
        (
            "[[incoming_tokens]]\nkey = \"0123456789abcdef\"\nparent_id = \"x\"\n",
            (Warning, "unknown_parent", 3),
        ),
        ("[[providers]]\nprovider_type = \"echo\"\n", (Error, "bad_name", 1)),
        ("[[providers]]\nname = \"a/b\"\nprovider_type = \"echo\"\n", (Error, "bad_name", 2)),
        ("[[providers]]\nname = \"a\"\nprovider_type = \"opnai\"\n", (Error, "unknown_type", 3)),
        ("[[providers]]\nname = \"a\"\n", (Error, "unknown_type", 1)),
        (
            "[[providers]]\nname = \"a\"\nprovider_type = \"openai-compatible\"\n",
            (Error, "missing_key", 1),
        ),
        ("[[providers]]\nname = \"a\"\nbase_url = \"ftp://x\"\n", (Error, "bad_url", 3)),
        (
            "[[providers]]\nname = \"a\"\nbase_url = \"http://u:p@x/v1\"\n",
            (Error, "credential_in_url", 3),
        ),
        ("[[providers]]\nname = \"a\"\nbase_url = \"https://{x}/v1\"\n", (Error, "bad_url", 3)),
        (
            "[[providers]]\nname = \"a\"\nbase_url = \"http://x\"\nheaders = { host = \"y\" }\n",
            (Error, "bad_header", 4),
        ),
        ("[[providers]]\nname = \"openai\"\n", (Warning, "no_credential", 2)),
        (
            "[[providers]]\nname = \"echo\"\n[[providers]]\nname = \"echo\"\n",
            (Error, "duplicate", 4),
        ),
        ("[[models]]\nname = \"f\"\ntargets = [\"x/y\"]\n", (Error, "unknown_provider", 3)),
        ("[[models]]\nname = \"f\"\ntargets = [\"x\"]\n", (Error, "bad_target", 3)),
        ("[[models]]\nname = \"f\"\n", (Error, "missing_key", 1)),
        ("[tls]\nenabled = true\ndomain = \"x\"\n", (Error, "not_active", 2)),
        ("[tls]\nenabled = true\nmode = \"pem\"\n", (Error, "tls_material", 3)),
        ("[tls]\nenabled = true\n", (Error, "tls_material", 1)),
        (
            &format!("listen_addr = \"0.0.0.0:1\"\nallow_localhost_no_auth = true\n{public}"),
            (Error, "open_to_all", 2),
        ),
        ("listen_addr = \"0.0.0.0:1\"\n", (Error, "no_admin", 1)),
    ] {
        assert!(codes(text).contains(&wanted), "{text}\n{:?}", codes(text));
    }
    let model = "[[providers]]\nname = \"echo\"\n[[models]]\nname = \"f\"\ntargets = [\"echo/a\"]\nstrategy = \"fastest\"\n";
    assert_eq!(codes(model), [(Error, "not_active", 6)]);
}

#[test]
fn prices_are_exact_and_a_second_one_of_a_name_is_remarked() {
    let text = "managed = true\n[[prices]]\nmodel = \"*/m\"\ninput = 0.07\nrequest = 0.005\n\
                [[prices]]\nmodel = \"*/m\"\noutput = 1\n[pricing]\nunknown = \"block\"\nrefresh_minutes = 5\n";
    assert_eq!(codes(text), [(Severity::Warning, "duplicate", 7)]);
    let config = read(text).config.unwrap();
    let first = &config.prices[0].price;
    assert_eq!(first.rates.input_per_1m.map(|it| it.0), Some(70_000));
    assert_eq!(first.per_request.map(|it| it.0), Some(5_000_000_000));
    assert!(config.block_unpriced);
    assert_eq!(config.price_refresh, Duration::from_mins(5));
    assert_eq!(config.price_sources, PriceSource::ALL);
}

#[test]
fn five_mistakes_are_five_problems() {
    let text = "listen_addr = \"nowhere\"\nlisten = 1\n[[incoming_tokens]]\nid = \"a\"\nkey = \"sk-0123456789abcdef\"\nrole = \"amdin\"\n\
                [[providers]]\nname = \"x\"\nprovider_type = \"grok\"\n[[providers]]\nname = \"y\"\nbase_url = \"nope\"\n";
    let found = read(text);
    assert!(found.config.is_none());
    let lines: Vec<_> = found.problems.iter().map(|it| it.line).collect();
    assert_eq!(lines, [1, 2, 6, 9, 12]);
    assert_eq!(found.problems[2].help.as_deref(), Some("did you mean `admin`?"));
    assert_eq!(found.problems[3].help.as_deref(), Some("did you mean `groq`?"));
}

#[test]
fn a_misspelt_key_names_the_nearest() {
    for key in schema::keys() {
        let Some((parent, name)) = key.path.rsplit_once('.') else { continue };
        let name = format!("{name}x");
        let text = match parent {
            it if it.contains("[].") || it.contains("quota.") || it.contains("targets") => continue,
            it if it.ends_with("[]") => format!("[[{}]]\n{name} = 1\n", it.trim_end_matches("[]")),
            it => format!("[{it}]\n{name} = 1\n"),
        };
        let found = read(&text).problems;
        let problem = found.iter().find(|it| it.code == "unknown_key").unwrap();
        assert!(
            problem.help.as_ref().is_some_and(|it| it.contains("did you mean")),
            "{}",
            key.path
        );
    }
}

#[test]
fn secrets_come_from_where_the_file_says() {
    let text = "[[incoming_tokens]]\nkey = \"${env:KEY}\"\nrole = \"admin\"\n[[providers]]\nname = \"a\"\nbase_url = \"http://x/v1\"\napi_key = \"${file:/s/key}\"\n\
                [[providers]]\nname = \"b\"\nbase_url = \"http://x/v1\"\napi_key = \"${file:/s/none}\"\n";
    let found = read(text);
    let config = found.config.unwrap();
    assert_eq!(config.keys[0].digest, Some(crate::base::digest("sk-env")));
    assert_eq!(config.keys[0].role, Role::Admin);
    assert_eq!(
        config.providers[0].credential,
        Credential::Present(crate::base::Secret::new("sk-file"))
    );
    assert_eq!(config.providers[1].credential, Credential::Unresolved);
    assert_eq!(found.watched.len(), 2);
}

#[test]
fn a_presets_variable_goes_only_to_the_presets_own_address() {
    let around = Around(HashMap::from([("OPENAI_API_KEY", "sk-env")]));
    let of = |base: &str| {
        let text = format!("[[providers]]\nname = \"openai\"\n{base}");
        resolve(&text, &around).config.unwrap().providers[0].credential.clone()
    };
    assert!(matches!(of(""), Credential::Present(_)));
    assert!(matches!(of("base_url = \"https://api.openai.com/v1\"\n"), Credential::Present(_)));
    assert_eq!(of("base_url = \"http://elsewhere/v1\"\n"), Credential::None);
}

#[test]
fn a_file_of_the_go_original_loads() {
    let text = include_str!("go.toml");
    let found = read(text);
    let errors: Vec<_> =
        found.problems.iter().filter(|it| it.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let config = found.config.unwrap();
    let enabled: Vec<_> =
        config.providers.iter().filter(|it| it.enabled).map(|it| &*it.name).collect();
    assert_eq!(enabled, ["groq", "mine"], "missing `enabled` means false; a login alone is off");
    let keys: Vec<_> =
        config.keys.iter().map(|it| (&*it.id, it.role, it.digest.is_some())).collect();
    assert_eq!(keys, [("tok-1", Role::Admin, true), ("tok-2", Role::Inferrer, false)]);
    let legacy = found.problems.iter().filter(|it| it.code == "legacy_key").count();
    assert_eq!(legacy, 11);
    let early = "listen_addr = \":7050\"\nadmin_api_key = \"adm\"\nincoming_api_keys = [\"a\", \"b\", \"a\", \"\"]\n";
    let keys = read(early).config.unwrap().keys;
    assert_eq!(
        keys.iter().map(|it| it.role).collect::<Vec<_>>(),
        [Role::Admin, Role::Inferrer, Role::Inferrer]
    );
}

#[test]
fn byte_order_marks_and_line_ends_are_no_problem() {
    let text = "\u{feff}managed = true\r\n[[providers]]\r\nname = \"echo\"\r\nbad = 1\r\n";
    let found = read(text);
    assert_eq!(found.problems.iter().map(|it| (it.line, it.column)).collect::<Vec<_>>(), [(4, 1)]);
    assert_eq!(&text[found.problems[0].span.clone()], "bad");
}

#[test]
fn a_shown_line_holds_no_secret() {
    let text = "[[incoming_tokens]]\nid = \"alice\"\nkey = \"sk-secret\"\nrole = \"amdin\"\n[[providers]]\nname = \"a\"\nbase_url = \"http://u:pw@x\"\nheaders = { \"x-a\" = \"hush\" }\nbogus = \"sk-lost\"\n";
    let masked = crate::config::masked(text);
    assert_eq!(masked.len(), text.len());
    for secret in ["sk-secret", "pw@", "hush", "sk-lost"] {
        assert!(!masked.contains(secret), "{masked}");
    }
    for shown in ["alice", "amdin", "name = \"a\""] {
        assert!(masked.contains(shown), "{masked}");
    }
    for problem in read(text).problems {
        let all = problem.render("torod.toml", &masked, false) + &problem.line();
        assert!(!all.contains("sk-") && !all.contains("pw"), "{all}");
        assert!(all.contains("torod.toml:"), "{all}");
    }
    let torn = "api_key = \"sk-torn\n";
    assert!(!crate::config::masked(torn).contains("sk-torn"));
}

#[test]
fn the_first_file_loads_and_shows_every_key() {
    let text = crate::config::template::first_file("abc", &format!("sha256:{}", "0".repeat(64)));
    let found = read(&text);
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    assert_eq!(found.config.unwrap().keys[0].role, Role::Admin);
    // With every example switched on it still has no unknown key and no wrong type.
    let all: String = text
        .lines()
        .map(|it| {
            let bare = it.strip_prefix("# ").filter(|it| {
                it.starts_with('[')
                    || it.split(" = ").next().is_some_and(|it| {
                        it.bytes().all(|it| it.is_ascii_lowercase() || it == b'_')
                    })
            });
            bare.unwrap_or(it).to_owned() + "\n"
        })
        .collect();
    let found = read(&all).problems;
    assert!(
        found.iter().all(|it| !matches!(it.code, "unknown_key" | "type" | "syntax" | "range")),
        "{found:?}"
    );
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "[a-z\\[\\]=\"'{}.,\\n #é\u{feff}\\r]{0,80}") {
        read(&text);
        crate::config::masked(&text);
    }
}
