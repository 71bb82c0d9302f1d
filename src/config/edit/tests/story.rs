//! The first file after ten edits, and what tags say of entries.

use super::*;
use crate::config::{changes, template};

#[test]
fn ten_edits_touch_only_their_lines() {
    let text = template::first_file("boss", "sha256:00");
    let edits = [
        set("managed", true),
        set("tls", json!({ "mode": "self_signed", "enabled": true })),
        add("provider", &json!({ "api_key": "${env:GROQ}", "name": "groq" })),
        add(
            "key",
            &json!({ "id": "bob", "key_hash": "sha256:11", "quota": { "usd": { "limit": 5 } } }),
        ),
        add(
            "model",
            &json!({ "name": "fast", "targets": ["groq/x", { "weight": 2, "model": "echo/b" }] }),
        ),
        switch(false, "echo"),
        rename("provider", "echo", "parrot"),
        change("key", "boss", &json!({ "role": null, "expires_at": "2027-01-01T00:00:00Z" })),
        set("logs.max_lines", 1000),
        unset("logs.format"),
    ];
    let new = after(&text, &edits).unwrap();
    let patch = changes::patch("torod.toml", &text, &new);
    let lines = patch.lines().skip(2).filter(|it| it.starts_with(['-', '+']));
    let lines: Vec<_> = lines.map(|it| it.split("  ").next().unwrap_or_default()).collect();
    let wanted = r#"
-default_provider = "echo"
+default_provider = "parrot"
+managed = true
-role = "admin"
+expires_at = 2027-01-01T00:00:00Z
+[[incoming_tokens]]
+id = "bob"
+key_hash = "sha256:11"
+quota = { usd = { limit = 5 } }
+
-name = "echo"
+enabled = false
+name = "parrot"
+[[providers]]
+name = "groq"
+api_key = "${env:GROQ}"
+
-format = "text"
+max_lines = 1000
+
+[tls]
+enabled = true
+mode = "self_signed"
+
+[[models]]
+name = "fast"
+targets = ["groq/x", { model = "parrot/b", weight = 2 }]"#;
    assert_eq!(lines, wanted.lines().skip(1).collect::<Vec<_>>(), "{patch}");
}

/// An entry's tag is of its own bytes: values, comments and tables, wherever they stand.
#[test]
fn a_tag_changes_with_its_entry() {
    let text =
        "# a\n[[providers]] # b\nname = 'a'\n# c\n\n# d\n[tls]\n[providers.headers]\nx = 'y'\n";
    let tag = |text: &str| entries(text, Kind::Provider).unwrap().remove(0).etag;
    for (old, new, is_own) in [
        ("# a", "# z", true),
        ("# b", "# z", true),
        ("'a'", "'z'", true),
        ("# c", "# z", true),
        ("'y'", "'z'", true),
        ("# d", "# z", false),
        ("[tls]\n", "[tls]\n\n", false),
        ("x = 'y'\n", "x = 'y'", false),
    ] {
        let edited = text.replace(old, new);
        assert_eq!(tag(text) != tag(&edited), is_own, "{edited}");
    }
    let inline = "providers = [{ name = 'a' }, { name = 'b' }]";
    assert_ne!(tag(inline), tag(&inline.replace("'a'", "'z'")));
    assert_eq!(tag(inline), tag(&inline.replace("'b'", "'z'")));
    assert_eq!(tag(inline).len(), 64);
}
