//! A file that people wrote, with all their remarks: after edits by the admin API only what was
//! edited is different.

use serde_json::{Value, json};
use similar::{ChangeTag, TextDiff};

use crate::{
    admin::{asking, done, get, send_if},
    samples::CHAT,
    scripted::{Script, Scripted},
    world::{World, eventually},
};

const BY_HAND: &str = include_str!("fixtures/by_hand.toml");

/// The lines that went and came, in order.
fn changed(old: &str, new: &str) -> Vec<String> {
    let diff = TextDiff::from_lines(old, new);
    let lines = diff.iter_all_changes().filter_map(|it| match it.tag() {
        ChangeTag::Equal => None,
        ChangeTag::Delete => Some(format!("-{}", it.value().trim_end_matches('\n'))),
        ChangeTag::Insert => Some(format!("+{}", it.value().trim_end_matches('\n'))),
    });
    lines.collect()
}

async fn world() -> World {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let world = World::start(BY_HAND, &[("scripted", &provider)]).await;
    world.listed("primary").await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_edits_of_a_file_change_ten_places() {
    assert!(BY_HAND.lines().count() >= 300);
    let world = world().await;
    let first = world.config_text();
    let mut all = Vec::new();
    for (method, path, body, wanted) in [
        (
            "PUT",
            "/settings/logs",
            json!({ "level": "debug" }),
            vec![
                r#"-level = "info"   # debug only for an hour"#,
                r#"+level = "debug"   # debug only for an hour"#,
            ],
        ),
        (
            "PUT",
            "/providers/backup-3",
            json!({ "timeout_seconds": 99 }),
            vec!["-  timeout_seconds = 33", "+  timeout_seconds = 99"],
        ),
        (
            "PUT",
            "/providers/primary",
            json!({ "headers": { "x-team": "core" } }),
            vec![r#"-  x-team = "platform""#, r#"+  x-team = "core""#],
        ),
        (
            "PUT",
            "/access-tokens/team-3",
            json!({ "name": "Team three" }),
            vec![
                r#"-name       = "Team 3"            # owner: lead-3@example.com"#,
                r#"+name       = "Team three"            # owner: lead-3@example.com"#,
            ],
        ),
        (
            "DELETE",
            "/access-tokens/team-7",
            Value::Null,
            vec![
                "-# --- team 7 ---------------------------------------",
                "-[[incoming_tokens]]   # since 2026",
                r#"-id         = "team-7""#,
                r#"-name       = "Team 7"            # owner: lead-7@example.com"#,
                r#"-key_hash   = "sha256:0000000000000000000000000000000000000000000000000000000000000007""#,
                "-",
            ],
        ),
        (
            "PUT",
            "/virtual-models/fast",
            json!({ "name": "quick" }),
            vec![
                // Lists of keys that named it follow.
                r#"-models     = ["primary/*", "fast"]   # no more than these"#,
                r#"+models     = ["primary/*", "quick"]   # no more than these"#,
                r#"-name = "fast""#,
                r#"+name = "quick""#,
            ],
        ),
        (
            "PUT",
            "/providers/backup-2",
            json!({ "name": "spare" }),
            vec![
                "-  name           = 'backup-2'",
                "+  name           = 'spare'",
                r#"-targets = ["backup-2/m"]"#,
                r#"+targets = ["spare/m"]"#,
            ],
        ),
        (
            "PUT",
            "/providers/backup-5",
            json!({ "base_url": "https://backup-5.example/v2" }),
            vec![
                "-  base_url       = 'https://backup-5.example/v1'",
                "+  base_url       = 'https://backup-5.example/v2'",
            ],
        ),
        (
            "PUT",
            "/settings/limits",
            json!({ "max_connections": 600 }),
            vec![
                "-max_connections = 512    # measured: 400 at peak",
                "+max_connections = 600    # measured: 400 at peak",
            ],
        ),
        (
            "PATCH",
            "/config",
            json!([{ "op": "enable", "name": "backup-9" }]),
            vec!["-  enabled        = false", "+  enabled        = true"],
        ),
    ] {
        let before = world.config_text();
        done(&world, method, path, body).await;
        let mut lines = changed(&before, &world.config_text());
        if path == "/virtual-models/fast" {
            lines.sort();
            lines.dedup();
            let mut wanted = wanted.clone();
            wanted.sort_unstable();
            assert_eq!(lines, wanted);
            continue;
        }
        assert_eq!(lines, wanted, "{method} {path}");
        all.extend(lines);
    }
    let last = changed(&first, &world.config_text());
    assert!(last.len() <= all.len() + 20, "{last:#?}");
    assert!(world.config_text().ends_with("# EOF: keep this line\n"));
    let remarks = |text: &str| text.lines().filter(|it| it.trim_start().starts_with('#')).count();
    assert_eq!(remarks(&first) - 1, remarks(&world.config_text()), "but for the removed key's own");
    assert!(
        world.snapshot().config.providers.iter().any(|it| &*it.name == "backup-9" && it.enabled)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_browsers_and_an_editor_in_the_same_second() {
    for round in 0..crate::world::scale(30) {
        let world = world().await;
        let (_, tag) = get(&world, "/config").await;
        let (_, provider) = get(&world, "/providers/backup-1").await;
        let (masked, _) = get(&world, "/config").await;
        let text = masked["text"].as_str().unwrap();
        let whole =
            json!({ "text": text.replace("max_connections = 512", "max_connections = 700") });
        let saved = world.config_text().replace("# EOF", "# edited by hand\n# EOF");
        let edit = async {
            // Somewhere among the others.
            for _ in 0..round * 7 {
                tokio::task::yield_now().await;
            }
            world.save(&saved);
        };
        let (a, b, ()) = tokio::join!(
            send_if(&world, "PUT", "/config", &tag, whole),
            send_if(
                &world,
                "PUT",
                "/providers/backup-1",
                &provider,
                json!({ "timeout_seconds": 77 })
            ),
            edit,
        );
        eventually("the last word is live", || {
            world.snapshot().revision == tokenrouter::config::Revision::of(world.config_text())
        })
        .await;
        let text = world.config_text();
        let lost =
            |what: &str| world.app().live.overwritten().iter().any(|it| it.what.contains(what));
        for (reply, mark, what) in [(a, "= 700", "max_connections"), (b, "= 77", "timeout_seconds")]
        {
            let is_there = text.contains(mark);
            match reply.status {
                200 => assert!(is_there || lost(what), "round {round}: `{what}` is lost\n{text}"),
                412 => {
                    assert!(!is_there, "{}", reply.text());
                    assert!(
                        reply.json()["diff"].is_string() && !reply.text().contains("up-secret")
                    );
                }
                other => panic!("{other}: {}", reply.text()),
            }
        }
        assert!(
            text.contains("# edited by hand") || lost("comments") || lost("hand"),
            "round {round}: {text} {:?}",
            world.app().live.overwritten()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_lose_nothing() {
    let world = world().await;
    let rounds = crate::world::scale(100);
    let writer = async |at: usize| {
        for round in 0..rounds {
            let body = json!({ "timeout_seconds": 100 + round });
            let path = format!("/providers/backup-{at}");
            let reply = asking(&world, "PUT", &path, &body).send().await;
            assert_eq!(reply.status, 200, "{}", reply.text());
        }
    };
    tokio::join!(writer(0), writer(1), writer(2), writer(3));
    let text = world.config_text();
    let wanted = format!("timeout_seconds = {}", 99 + rounds);
    assert_eq!(text.matches(&wanted).count(), 4, "{text}");
    assert_eq!(changed(&BY_HAND.replace("{scripted}", ""), &text).len(), 2 + 8);
}
