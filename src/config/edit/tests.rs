//! Each form with its exact text: what an edit does to a file, as a table.

mod generator;
mod laws;
mod model;

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

fn add(kind: &str, values: Value) -> Value {
    json!({ "op": "add", "kind": kind, "values": values })
}

fn change(kind: &str, name: &str, values: Value) -> Value {
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
        "[[providers]]\nname = 'a'\n[providers.headers]\nx = 'y'\n", change("provider", "a", json!({ "headers": { "z": "1", "x": null } }))
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
    let new = || add("provider", json!({ "base_url": "u", "name": "new" }));
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
        text, change("key", "key-1", json!({ "id": "boss" }))
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
