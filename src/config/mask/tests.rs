use proptest::prelude::*;

use super::*;

/// Secrets of every kind and form, each with `CANARY` in it.
const TEXT: &str = r#"# old: sk-proj-CANARY0000000000000000
admin_api_key = 'CANARY-admin'
default_provider = "a#b"            # see "the docs"
incoming_api_keys = ["CANARY-1", """CANARY-2"""]

[[incoming_tokens]]
id = "alice"
key = "CANARY-alice" # api_key = "CANARY-in-a-remark"
[[incoming_tokens]]
id = "bob"
key = "${env:BOB}"
# key = "CANARY-commented"
key_hash = "sha256:0000000000000000000000000000000000000000000000000000000000000001"

[[providers]]
name = "groq"
api_key = "CANARY-groq"
headers = { "x-team" = "CANARY-header", 'x-env' = "${file:/run/x}" }

[[providers]]
name = "own"
base_url = "https://own.example/v1?api_key=CANARY-query"
api_key = '''
CANARY-lines
and more'''
# headers = { "x-a" = "CANARY-b", x-c = 'CANARY-d' }
#   api_key = CANARY-bare
api_kye = "CANARY-misspelt"
[providers.headers]
x-late = "CANARY-late"

[tls]
cert_pem = """-----BEGIN PRIVATE KEY-----
CANARY
-----END PRIVATE KEY-----"""
key_pem = "CANARY-pem"
[alerts]
webhook = "https://hooks.example/CANARY"
"#;

#[test]
fn a_masked_text_holds_no_secret_and_comes_back_byte_for_byte() {
    for text in [
        TEXT.to_owned(),
        TEXT.replace('\n', "\r\n"),
        format!("\u{feff}{TEXT}"),
        TEXT.trim_end().to_owned(),
    ] {
        let masked = mask(&text);
        assert!(!masked.contains("CANARY"), "{masked}");
        for readable in
            ["\"${env:BOB}\"", "${file:/run/x}", "alice", "sha256:", "# see \"the docs\""]
        {
            assert!(masked.contains(readable), "{readable}: {masked}");
        }
        assert_eq!(unmask(&masked, &[&text]).unwrap().text, text);
        assert_eq!(mask(&mask(&text)).matches(MARK).count(), masked.matches(MARK).count());
    }
}

#[test]
fn a_mask_goes_back_only_where_its_secret_may_be() {
    let file = "[[incoming_tokens]]\nid = \"a\"\nkey = \"sk-a\"\n\
        [[providers]]\nname = \"groq\"\napi_key = \"up-groq\"\nheaders = { x = \"up-x\" }\n\
        [[providers]]\nname = \"own\"\nbase_url = \"https://own.example/v1\"\napi_key = \"up-own\"\n# api_key = \"up-old\"\n\
        [alerts]\nwebhook = \"https://hooks.example/1\"\n";
    let provider = |rest: &str| format!("[[providers]]\nname = \"x\"\n{rest}");
    let (groq, own, key, old) =
        (mask_of("up-groq"), mask_of("up-own"), mask_of("sk-a"), mask_of("up-old"));
    let open = "provider_type = \"openai-compatible\"\nbase_url =";
    for (text, wanted) in [
        (
            provider(&format!("base_url = \"https://own.example/v2\"\napi_key = \"{own}\"")),
            Ok("\"up-own\""),
        ),
        (
            provider(&format!("base_url = \"HTTPS://own.example:443\"\napi_key = '{own}'")),
            Ok("\"up-own\""),
        ),
        (provider(&format!("provider_type = \"groq\"\nheaders.y = \"{groq}\"")), Ok("\"up-groq\"")),
        (
            provider(&format!("provider_type = \"groq\"\napi_key = \"{own}\"")),
            Err("mask_elsewhere"),
        ),
        (
            provider(&format!("{open} \"https://evil.example\"\napi_key = \"{own}\"")),
            Err("mask_elsewhere"),
        ),
        (
            provider(&format!("{open} \"http://own.example/v1\"\napi_key = \"{own}\"")),
            Err("mask_elsewhere"),
        ),
        (
            provider(&format!("{open} \"https://own.example:8443\"\napi_key = \"{own}\"")),
            Err("mask_elsewhere"),
        ),
        (
            provider(&format!(
                "{open} \"https://own.example\"\nmodel_list_url = \"https://evil.example\"\napi_key = \"{own}\""
            )),
            Err("mask_elsewhere"),
        ),
        (
            provider(&format!(
                "{open} \"https://own.example\"\nmodel_list_url = \"https://own.example/m\"\napi_key = \"{own}\""
            )),
            Ok("\"up-own\""),
        ),
        (
            provider(&format!("{open} \"https://own.example\"\napi_key = \"{key}\"")),
            Err("mask_elsewhere"),
        ),
        (
            provider(&format!("{open} \"https://own.example\"\napi_key = \"{old}\"")),
            Err("mask_elsewhere"),
        ),
        (
            provider(&format!("{open} \"https://own.example\"\napi_key = \"***#00000000\"")),
            Err("unknown_mask"),
        ),
        (
            provider(&format!("{open} \"https://own.example\"\napi_key = \"Bearer {own}\"")),
            Err("unknown_mask"),
        ),
        (provider(&format!("{open} \"https://evil.example/{own}\"")), Err("unknown_mask")),
        (
            provider(&format!("{open} \"https://own.example\"\nmodels = [\"{own}\"]")),
            Err("mask_elsewhere"),
        ),
        (format!("[[incoming_tokens]]\nid = \"b\"\nkey = \"{key}\""), Ok("\"sk-a\"")),
        (format!("[[incoming_tokens]]\nid = \"{key}\""), Err("mask_elsewhere")),
        (format!("[[incoming_tokens]]\nkey = \"{own}\""), Err("mask_elsewhere")),
        (format!("[alerts]\nwebhook = \"{key}\""), Err("mask_elsewhere")),
        (format!("# api_key = \"{own}\""), Ok("# api_key = \"up-own\"")),
        (format!("# it was \"{old}\""), Ok("# it was \"up-old\"")),
        (
            "# ***#00000000 is no secret of ours".to_owned(),
            Ok("# ***#00000000 is no secret of ours"),
        ),
    ] {
        match (unmask(&text, &[file]), wanted) {
            (Ok(it), Ok(wanted)) => assert!(it.text.contains(wanted), "{text}\n->\n{}", it.text),
            (Err(problems), Err(code)) => assert_eq!(problems[0].code, code, "{text}"),
            (got, _) => panic!("{text}: {got:?}"),
        }
    }
}

#[test]
fn of_a_text_that_is_not_toml_only_what_is_understood_is_shown() {
    for broken in [
        "api_key = \"sk-CANARY",
        "api_key = sk-CANARY",
        "api_key = \"a\" sk-CANARY",
        "api_key: \"sk-CANARY\"",
        "api_key = '''\nsk-CANARY\nmore CANARY",
        "[[providers\nname = \"x\"\napi_key = \"CANARY\"",
        "sk-CANARY",
        "headers = { a = \"CANARY\"",
        "headers = { a = \"CANARY\n}\n",
        "= \"CANARY\"",
        "name = \"a\" = \"CANARY\"",
        "<<<<<<< mine\napi_key = \"CANARY\"\n=======\napi_key = \"CANARY2\"\n>>>>>>>",
        "api_key = \"\\q CANARY\"",
        "api_key = [\"CANARY\",",
    ] {
        for text in [
            broken.to_owned(),
            format!(
                "listen_addr = \"127.0.0.1:1\"\n[[providers]]\nname = \"own\"\n{broken}\n[logs]\nlevel = \"info\"\n"
            ),
            format!(
                "[[providers]]\nname = \"own\"\n{broken}\nbase_url = \"https://own.example\"\n"
            ),
        ] {
            let masked = mask(&text);
            assert!(!masked.contains("CANARY"), "{text}\n->\n{masked}");
        }
    }
    let text = "listen_addr = \"127.0.0.1:1\"\nmanaged = maybe\n[[providers]]\nname = \"groq\"\napi_key = \"up-groq\"\n";
    let masked = mask(text);
    assert!(masked.contains("127.0.0.1:1") && masked.contains(&mask_of("up-groq")), "{masked}");
    let mended = masked.replace("managed =***", "managed = false");
    assert_eq!(unmask(&mended, &[text]).unwrap().text, text.replace("maybe", "false"));
}

#[test]
fn what_the_sender_knows_is_not_masked() {
    let old = "[[providers]]\nname = \"groq\"\napi_key = \"old-secret\"\n";
    let new = format!("{old}[[providers]]\nname = \"xai\"\napi_key = \"new-secret\"\n");
    let shown = mask_known(&new, old);
    assert!(shown.contains("new-secret") && !shown.contains("old-secret"), "{shown}");
}

#[test]
fn a_problem_behind_a_mask_is_where_the_sender_sees_it() {
    let file = "[tls]\nkey_pem = '''\na\nb\n'''\n[logs]\nlevl = \"x\"\n";
    let masked = mask(file);
    let restored = unmask(&masked, &[file]).unwrap();
    let at = |text: &str| text.find("levl").unwrap();
    assert_ne!(at(file), at(&masked));
    assert_eq!(restored.place(at(file)), at(&masked));
    assert_eq!(restored.place(2), 2);
    assert_eq!(restored.place(file.find('b').unwrap()), masked.find('"').unwrap());
}

proptest! {
    #[test]
    fn any_text_can_be_masked(text in "([a-z_]{1,8} ?= ?(\"[ -~]{0,9}\"|'[ -&(-~]{0,9}'|[0-9]{1,3}|\\{ ?[a-z] = \"x\" ?\\})( #[ -~]{0,20})?|\\[\\[?[a-z_.]{1,9}\\]?\\]|#[ -~é]{0,30}|api_key = \"[ -~é]{0,9}\"|\\PC{0,20})(\r?\n[ -~]{0,40}){0,6}") {
        let masked = mask(&text);
        let back = unmask(&masked, &[&text]);
        if toml::de::DeTable::parse(&text).is_ok() && !holds_mask(&text) {
            prop_assert_eq!(back.unwrap().text, text);
        }
    }
}
