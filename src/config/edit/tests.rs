//! Each form with its exact text: what an edit does to a file, as a table.

mod choices;
mod generator;
mod laws;
mod model;
mod story;

use serde_json::json;

use super::*;

/// Each row: a text, an edit, the text after it or the words of the refusal.
macro_rules! check {
    ($($text:expr, $edit:expr => $wanted:expr;)*) => {
        $(
            let found = after($text, &[$edit]).unwrap_or_else(|it| it.to_string());
            assert_eq!(found, $wanted, "{:?} in\n{}", $edit, $text);
        )*
    };
}

/// An edit as a client sends it.
fn edit(edit: Value) -> Edit {
    serde_json::from_value(edit).unwrap()
}

fn after(text: &str, edits: &[Value]) -> Result<String, EditError> {
    let edits: Vec<_> = edits.iter().cloned().map(edit).collect();
    apply(text, &edits)
}

fn set(path: &str, value: impl Into<Value>) -> Value {
    json!({ "op": "set", "path": path, "value": value.into() })
}

fn unset(path: &str) -> Value {
    json!({ "op": "unset", "path": path })
}

fn add(kind: &str, values: &Value) -> Value {
    json!({ "op": "add", "kind": kind, "values": values })
}

fn change(kind: &str, name: &str, values: &Value) -> Value {
    json!({ "op": "change", "kind": kind, "name": name, "values": values })
}

fn remove(kind: &str, name: &str) -> Value {
    json!({ "op": "remove", "kind": kind, "name": name })
}

fn rename(kind: &str, name: &str, to: &str) -> Value {
    json!({ "op": "rename", "kind": kind, "name": name, "to": to })
}

fn switch(on: bool, name: &str) -> Value {
    json!({ "op": if on { "enable" } else { "disable" }, "name": name })
}

#[test]
fn a_value_is_replaced_in_its_own_bytes() {
    check! {
        "listen_addr = \"a\" # here\n", set("listen_addr", "b")
            => "listen_addr = \"b\" # here\n";
        "listen_addr='a'", set("listen_addr", "b")
            => "listen_addr='b'";
        "listen_addr = 'a'", set("listen_addr", "it's")
            => "listen_addr = \"it's\"";
        "listen_addr = 'a'\r\n", set("listen_addr", "b\nc")
            => "listen_addr = \"b\\nc\"\r\n";
        "tls.cert_pem = '''\na\n'''\n", set("tls.cert_pem", "b\n")
            => "tls.cert_pem = '''\nb\n'''\n";
        "tls.cert_pem = \"\"\"a\"\"\"\n", set("tls.cert_pem", "b")
            => "tls.cert_pem = \"\"\"b\"\"\"\n";
        "shutdown_seconds = 1_0 # ten\n", set("shutdown_seconds", 10)
            => "shutdown_seconds = 1_0 # ten\n";
        "shutdown_seconds = 0x0a\n", set("shutdown_seconds", 11)
            => "shutdown_seconds = 11\n";
        "\u{feff}managed = true\r\n", set("managed", false)
            => "\u{feff}managed = false\r\n";
        "\"managed\" = true", set("managed", false)
            => "\"managed\" = false";
        "[[prices]]\nmodel = 'a'\ninput = 1.5\n", set("prices.a.input", 2)
            => "[[prices]]\nmodel = 'a'\ninput = 2.0\n";
        "[tls]\nenabled = true\n[tls.x]\n", set("tls.enabled", false)
            => "[tls]\nenabled = false\n[tls.x]\n";
        "tls = { enabled = true }", set("tls.enabled", false)
            => "tls = { enabled = false }";
        "tls . enabled = true", set("tls.enabled", false)
            => "tls . enabled = false";
        "listen_addr = [\n  'a', # one\n  'b'  # two\n]", set("listen_addr", json!(["a", "c", "b"]))
            => "listen_addr = [\n  'a', # one\n  'c',\n  'b'  # two\n]";
        "listen_addr = [\n  'a', # one\n  'b'  # two\n]", set("listen_addr", json!(["a", "b", "c"]))
            => "listen_addr = [\n  'a', # one\n  'b',  # two\n  'c'\n]";
        "listen_addr = ['a', 'b']", set("listen_addr", json!(["b"]))
            => "listen_addr = ['b']";
        "listen_addr = ['a', 'b']", set("listen_addr", "b")
            => "listen_addr = 'b'";
    }
}

#[test]
fn a_new_key_stands_among_its_neighbours() {
    check! {
        "", set("managed", true)
            => "managed = true\n";
        "# c", set("managed", true)
            => "# c\nmanaged = true";
        "[logs]\n", set("managed", true)
            => "managed = true\n\n[logs]\n";
        "# all\n\n# logs\n[logs]\n", set("managed", true)
            => "# all\n\nmanaged = true\n\n# logs\n[logs]\n";
        "#:schema x\n[logs]\n", set("managed", true)
            => "#:schema x\nmanaged = true\n[logs]\n";
        "listen_addr='a'\nshutdown_seconds=1\r\n", set("default_provider", "x")
            => "listen_addr='a'\ndefault_provider='x'\nshutdown_seconds=1\r\n";
        "listen_addr      = 'a'\r\nshutdown_seconds = 1", set("managed", true)
            => "listen_addr      = 'a'\r\nmanaged          = true\r\nshutdown_seconds = 1";
        "managed = true", set("tls.mode", "pem")
            => "managed = true\n\n[tls]\nmode = \"pem\"";
        "[logs]\n\n# [limits]\n", set("tls", json!({ "mode": "pem", "enabled": true }))
            => "[logs]\n\n# [limits]\n\n[tls]\nenabled = true\nmode = \"pem\"\n";
        "tls.mode = 'pem'\n[logs]\n", set("tls.enabled", true)
            => "tls.enabled = true\ntls.mode = 'pem'\n[logs]\n";
        "tls = { mode = 'pem' }\n", set("tls.email", "x")
            => "tls = { mode = 'pem', email = 'x' }\n";
        "tls = {\n  mode = 'pem' # c\n}\n", set("tls.email", "x")
            => "tls = {\n  mode = 'pem', # c\n  email = 'x'\n}\n";
        "tls = {mode='pem'}\n", set("tls.enabled", true)
            => "tls = {enabled=true, mode='pem'}\n";
        "tls = {}\n", set("tls.enabled", true)
            => "tls = { enabled = true }\n";
        "[tls] # c\n# mode\nmode = 'pem'\n", set("tls.enabled", true)
            => "[tls] # c\nenabled = true\n# mode\nmode = 'pem'\n";
        "[[incoming_tokens]]\nid = 'a'\n[tls]\n", set("incoming_tokens.a.quota.usd.limit", 3)
            => "[[incoming_tokens]]\nid = 'a'\nquota = { usd = { limit = 3 } }\n[tls]\n";
        "[[incoming_tokens]]\n\tid = 'a'\n\tquota.usd.limit = 1\n", set("incoming_tokens.a.quota.requests.limit", 3)
            => "[[incoming_tokens]]\n\tid = 'a'\n\tquota.requests = { limit = 3 }\n\tquota.usd.limit = 1\n";
        "[[incoming_tokens]]\nid = 'a'\n[incoming_tokens.quota.usd]\nlimit = 1\n", set("incoming_tokens.a.quota.requests.limit", 3)
            => "[[incoming_tokens]]\nid = 'a'\nquota.requests = { limit = 3 }\n[incoming_tokens.quota.usd]\nlimit = 1\n";
        "[[incoming_tokens]]\nkey_hash = 'x'\n", set("incoming_tokens.key-1.expires_at", "2027-01-01T00:00:00Z")
            => "[[incoming_tokens]]\nkey_hash = 'x'\nexpires_at = 2027-01-01T00:00:00Z\n";
        "[[providers]]\nname = 'a'\n[providers.headers]\nx = 'y'\n", change("provider", "a", &json!({ "headers": { "z": "1", "x": null } }))
            => "[[providers]]\nname = 'a'\n[providers.headers]\nz = '1'\n";
    }
}

#[test]
fn a_removed_key_takes_its_line() {
    check! {
        "a = 1", unset("managed")
            => "there is no key `managed`";
        "managed = true # c\negress = 'any'\n", unset("managed")
            => "egress = 'any'\n";
        "# c\nmanaged = true\n", unset("managed")
            => "# c\n";
        "egress = 'any'\nmanaged = true", unset("managed")
            => "egress = 'any'";
        "[tls]\nmode = 'pem'\n", unset("tls.mode")
            => "";
        "[logs]\n\n[tls]\n# c\nmode = 'pem'\n", unset("tls.mode")
            => "[logs]\n\n[tls]\n# c\n";
        "tls = { mode = 'pem', email = 'x' }", unset("tls.mode")
            => "tls = { email = 'x' }";
        "tls = { mode = 'pem', email = 'x' }", unset("tls.email")
            => "tls = { mode = 'pem' }";
        "tls = { mode = 'pem' }\n", unset("tls.mode")
            => "";
        "tls.mode = 'pem'\nmanaged = true\ntls.email = 'x'\n", unset("tls")
            => "managed = true\n";
        "[[incoming_tokens]]\nid = 'a'\nquota = { usd = { limit = 1 } }\n", unset("incoming_tokens.a.quota.usd.limit")
            => "[[incoming_tokens]]\nid = 'a'\n";
        "[[incoming_tokens]]\nid = 'a'\nquota = { usd.limit = 1, usd.interval = 'day', tokens = {} }\n", unset("incoming_tokens.a.quota.usd")
            => "[[incoming_tokens]]\nid = 'a'\nquota = { tokens = {} }\n";
    }
}

#[test]
fn entries_come_and_go_as_they_stand() {
    let new = || add("provider", &json!({ "base_url": "u", "name": "new" }));
    check! {
        "", new()
            => "[[providers]]\nname = \"new\"\nbase_url = \"u\"\n";
        "managed = true", new()
            => "managed = true\n\n[[providers]]\nname = \"new\"\nbase_url = \"u\"";
        "providers = []\n", new()
            => "providers = [{ name = \"new\", base_url = \"u\" }]\n";
        "providers = [\n  # none\n]\n", new()
            => "providers = [\n    { name = \"new\", base_url = \"u\" },\n  # none\n]\n";
        "providers = [{name='a'}]\n", new()
            => "providers = [{name='a'}, {name='new', base_url='u'}]\n";
        "providers = [\n  { name = 'a' }, # c\n  # d\n]\n", new()
            => "providers = [\n  { name = 'a' }, # c\n  { name = 'new', base_url = 'u' },\n  # d\n]\n";
        "[[providers]]\nname = 'a'\n# a too\n\n# tls\n[tls]\n", new()
            => "[[providers]]\nname = 'a'\n# a too\n\n[[providers]]\nname = 'new'\nbase_url = 'u'\n\n# tls\n[tls]\n";
        "[[providers]]\r\n  name     = 'a'\r\n  base_url = 'b'\r\n[tls]\r\n[providers.headers]\r\nx = 'y'", new()
            => "[[providers]]\r\n  name     = 'a'\r\n  base_url = 'b'\r\n[tls]\r\n[providers.headers]\r\nx = 'y'\r\n\r\n[[providers]]\r\n  name     = 'new'\r\n  base_url = 'u'";
        "# all\n\n# one\n# more\n[[providers]] # x\nname = 'a'\n# tail\n\n# --- b ---\n\n[[providers]]\nname = 'b'\n", remove("provider", "a")
            => "# all\n\n# --- b ---\n\n[[providers]]\nname = 'b'\n";
        "managed = true\n\n[[providers]]\nname = 'a'\n[tls]\n", remove("provider", "a")
            => "managed = true\n\n[tls]\n";
        "[[providers]]\nname = 'a'\n\n# b\n[[providers]]\nname = 'b'\n", remove("provider", "b")
            => "[[providers]]\nname = 'a'\n";
        "[[providers]]\nname = 'a'\n[providers.headers]\nx = 'y'\n\n[[providers]]\nname = 'b'\n", remove("provider", "a")
            => "[[providers]]\nname = 'b'\n";
        "[[providers]]\nname = 'a'\n[tls]\n[providers.headers]\nx = 'y'\n[[providers]]\nname = 'b'\n", remove("provider", "a")
            => "[tls]\n[[providers]]\nname = 'b'\n";
        "providers = [ { name = 'a' }, { name = 'b' }, ]", remove("provider", "b")
            => "providers = [ { name = 'a' }, ]";
        "providers = [ { name = 'a' }, { name = 'b' } ]", remove("provider", "a")
            => "providers = [ { name = 'b' } ]";
        "providers = [\n  # a\n  { name = 'a' }, # a\n  # b\n  { name = 'b' } # b\n]", remove("provider", "a")
            => "providers = [\n  # b\n  { name = 'b' } # b\n]";
        "providers = [\n  # a\n  { name = 'a' }, # a\n  # b\n  { name = 'b' } # b\n]", remove("provider", "b")
            => "providers = [\n  # a\n  { name = 'a' } # a\n]";
    }
}

#[test]
fn a_new_name_is_followed() {
    let text = "default_provider = 'a'\n[[providers]]\nname = 'a' # c\nbase_url = 'http://x'\n[[models]]\nname = 'm'\ntargets = ['a/x', 'ab/x', { model = \"a/y\" }]\n[[prices]]\nmodel = 'a/*'\n[[incoming_tokens]]\nkey = 'k'\nmodels = ['a/*', 'a', 'm']\n[[incoming_tokens]]\nid = 'c'\nparent_id = 'key-1'\n";
    check! {
        text, rename("provider", "a", "z")
            => text.replace("'a/", "'z/").replace("\"a/", "\"z/").replace("provider = 'a'", "provider = 'z'").replace("name = 'a'", "name = 'z'");
        text, rename("provider", "a", "groq")
            => text.replace("'a/", "'groq/").replace("\"a/", "\"groq/").replace("provider = 'a'", "provider = 'groq'").replace( "name = 'a' # c\n", "name = 'groq' # c\nprovider_type = 'openai-compatible'\n", );
        text, rename("key", "key-1", "boss")
            => text.replace("key = 'k'", "id = 'boss'\nkey = 'k'").replace("'key-1'", "'boss'");
        text, change("key", "key-1", &json!({ "id": "boss" }))
            => text.replace("key = 'k'", "id = 'boss'\nkey = 'k'").replace("'key-1'", "'boss'");
        text, rename("model", "m", "n")
            => text.replace("'m'", "'n'");
        text, rename("price", "a/*", "a/x")
            => text.replace("model = 'a/*'", "model = 'a/x'");
        text, rename("key", "c", "key-1")
            => "there is a key `key-1` already";
        text, rename("provider", "q", "b")
            => "there is no provider `q`";
    }
}

#[test]
fn a_switch_goes_back_as_it_came() {
    let own = "[[providers]]\n  name = 'a'\n";
    let legacy = "admin_api_key = 'k'\n[[providers]]\nname = 'a'\n";
    check! {
        own, switch(true, "a")
            => own;
        own, switch(false, "a")
            => "[[providers]]\n  enabled = false\n  name = 'a'\n";
        "[[providers]]\n  enabled = false\n  name = 'a'\n", switch(true, "a")
            => own;
        "[[providers]]\nname = 'a'\nenabled = true # c\n", switch(false, "a")
            => "[[providers]]\nname = 'a'\nenabled = false # c\n";
        "[[providers]]\nname = 'a'\nenabled = false # c\n", switch(true, "a")
            => "[[providers]]\nname = 'a'\nenabled = true # c\n";
        "[[providers]]\nenabled = false # c\nname = 'a'\n", switch(true, "a")
            => "[[providers]]\nenabled = true # c\nname = 'a'\n";
        "providers = [{ name = 'a' }]", switch(false, "a")
            => "providers = [{ enabled = false, name = 'a' }]";
        "providers = [{ enabled = false, name = 'a' }]", switch(true, "a")
            => "providers = [{ name = 'a' }]";
        legacy, switch(false, "a")
            => legacy;
        legacy, switch(true, "a")
            => "admin_api_key = 'k'\n[[providers]]\nenabled = true\nname = 'a'\n";
        "", switch(true, "a")
            => "there is no provider `a`";
    }
}

/// A credential is bound to its origin: it stays with a change of the path alone.
#[test]
fn a_credential_does_not_follow_to_another_origin() {
    let head = "[[providers]]\nname = 'a'\n";
    let url = "base_url = 'https://one.example/v1'\n";
    let text = &format!(
        "{head}{url}api_key = 'k' # mine\nrefresh_token = 'r'\nheaders = {{ x = 'y', z = '1' }}\n"
    );
    let kept = |url: &str| text.replace("https://one.example/v1", url);
    let bare = |url: &str| format!("{head}base_url = '{url}'\n");
    let two = "https://two.example/v1";
    let groq = "[[providers]]\nname = 'groq'\napi_key = 'k'\n";
    check! {
        text, set("providers.a.base_url", "https://one.example/v2")
            => kept("https://one.example/v2");
        text, set("providers.a.base_url", "https://one.example:443/")
            => kept("https://one.example:443/");
        text, set("providers.a.base_url", two)
            => bare(two);
        text, set("providers.a.base_url", "http://one.example/v1")
            => bare("http://one.example/v1");
        text, set("providers.a.base_url", "https://one.example:8443/v1")
            => bare("https://one.example:8443/v1");
        text, set("providers.a", json!({ "base_url": two }))
            => bare(two);
        text, change("provider", "a", &json!({ "base_url": two, "api_key": "n", "headers": { "z": "2" } }))
            => format!("{}api_key = 'n' # mine\nheaders = {{ z = '2' }}\n", bare(two));
        text, change("provider", "a", &json!({ "base_url": two, "headers": null }))
            => bare(two);
        text, change("provider", "a", &json!({ "provider_type": "openai" }))
            => text.replace("base_url", "provider_type = 'openai'\nbase_url");
        text, unset("providers.a.base_url")
            => head;
        text, set("providers.a.model_list_url", "https://one.example/list")
            => text.replace("api_key", "model_list_url = 'https://one.example/list'\napi_key");
        text, set("providers.a.model_list_url", "https://two.example/list")
            => format!("{head}{url}model_list_url = 'https://two.example/list'\n");
        groq, change("provider", "groq", &json!({ "provider_type": "openai" }))
            => "[[providers]]\nname = 'groq'\nprovider_type = 'openai'\n";
        groq, rename("provider", "groq", "openai")
            => "[[providers]]\nname = 'openai'\nprovider_type = 'groq'\napi_key = 'k'\n";
        groq, change("provider", "groq", &json!({ "name": "openai" }))
            => "[[providers]]\nname = 'openai'\nprovider_type = 'groq'\napi_key = 'k'\n";
    }
}

#[test]
fn a_refusal_says_why() {
    let text = "[[providers]]\nname = 'a'\n";
    let price = |input: Value| add("price", &json!({ "model": "m", "input": input }));
    check! {
        "a = \nb = 'secret", set("managed", true)
            => "the text is not TOML: 1:5: string values must be quoted, expected literal string";
        text, set("tls.mod", "pem")
            => "there is no key `tls.mod`; did you mean `mode`?";
        text, set("providers.a.base_ulr", "x")
            => "there is no key `providers.a.base_ulr`; did you mean `base_url`?";
        text, change("provider", "a", &json!({ "base_ulr": "x" }))
            => "there is no key `providers.a.base_ulr`; did you mean `base_url`?";
        text, set("providers.a.models.x", "x")
            => "there is no key `providers.a.models.x`";
        text, set("providers.b.models", json!([]))
            => "there is no provider `b`";
        text, unset("providers.a.models")
            => "there is no key `providers.a.models`";
        text, set("providers", json!([]))
            => "`providers` is changed by its entries, as `providers.NAME`";
        text, set("providers.b", json!({ "name": "c" }))
            => "`name` is not the name in the path";
        text, unset("providers.a.name")
            => "a provider needs `name`";
        text, add("provider", &json!({ "base_url": "x" }))
            => "a provider needs `name`";
        text, add("provider", &json!({ "name": " a " }))
            => "there is a provider `a` already";
        text, remove("key", "key-1")
            => "there is no key `key-1`";
        text, set("a b", 1)
            => "`a b` is no path; a name with other signs than letters, digits, `-` and `_` is written in quotes";
        text, set("providers.a.models", json!([null]))
            => "a list cannot hold `null`";
        text, price(json!(u64::MAX))
            => "`18446744073709551615` is too large a number";
        "tls = 1", set("tls.mode", "pem")
            => "tls = { mode = \"pem\" }";
        "providers = 1", add("provider", &json!({ "name": "a" }))
            => "`providers` is no list";
    }
}

#[test]
fn paths_name_entries_and_keys_of_them() {
    let text = "x-own.a = 1\n[[prices]]\nmodel = 'openai/gpt-5*'\ninput = 1.5\n[[incoming_tokens]]\nkey = 'k'\nexpires_at = 2027-01-01 00:00:00Z\n[incoming_tokens.quota.usd]\nlimit = 3\n";
    for (path, wanted) in [
        ("prices.\"openai/gpt-5*\".input", Some(json!(1.5))),
        ("prices.'openai/gpt-5*'", Some(json!({ "model": "openai/gpt-5*", "input": 1.5 }))),
        ("incoming_tokens.key-1.quota", Some(json!({ "usd": { "limit": 3 } }))),
        ("incoming_tokens.key-1.expires_at", Some(json!("2027-01-01T00:00:00Z"))),
        ("incoming_tokens.x.quota", None),
        ("providers", None),
        ("tls.mode", None),
        ("x-own", Some(json!({ "a": 1 }))),
    ] {
        assert_eq!(value(text, path), Ok(wanted), "{path}");
    }
    check! {
        "[[models]]\nname = 'm'\n[[models.targets]]\nmodel = 'a/b' # c\nweight = 2\n", set("models.m.targets", json!([{ "model": "a/b", "weight": 2 }]))
            => "[[models]]\nname = 'm'\n[[models.targets]]\nmodel = 'a/b' # c\nweight = 2\n";
        "[[models]]\nname = 'm'\n[[models.targets]]\nmodel = 'a/b'\n[tls]\n", set("models.m.targets", json!(["a/c"]))
            => "[[models]]\nname = 'm'\ntargets = ['a/c']\n[tls]\n";
        "", set("providers.a", json!({ "provider_type": "echo" }))
            => "[[providers]]\nname = \"a\"\nprovider_type = \"echo\"\n";
        "[[providers]]\nname = 'a'\n", unset("providers.a")
            => "";
        "[[providers]]\nname = 'a'\n", set("providers.a.name", "b")
            => "[[providers]]\nname = 'b'\n";
        "", set("x-own.a", 1)
            => "[x-own]\na = 1\n";
    }
    assert_eq!(entries("[[providers]]\nname = ' a '\n", Kind::Provider).unwrap()[0].name, "a");
}
