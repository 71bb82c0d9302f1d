//! Writers of the admin API that meet each other, and whoever saves in between.

use serde_json::{Value, json};

use crate::{
    admin::{send, send_as, world},
    world::eventually,
};

/// An edit that is decided, and waits to be done while somebody saves, is decided anew.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_on_one_text_is_not_done_to_another() {
    let second =
        "[[incoming_tokens]]\nid = \"b\"\nrole = \"admin\"\nkey = \"sk-admin-b-0123456789\"\n";
    let (world, _) = world(second).await;
    let saved = world.config_text().replace(second, "");
    let directory = std::fs::File::open(world.dir.path()).unwrap();
    directory.lock().unwrap();
    let removing = send(&world, "DELETE", "/access-tokens/tester", Value::Null);
    let saving = async {
        eventually("the edit begins", || world.app().editing.try_lock().is_err()).await;
        // Nothing shows that it is decided; too early a save is only an easier case.
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        world.save(&saved);
        directory.unlock().unwrap();
    };
    let (reply, ()) = tokio::join!(removing, saving);
    assert_eq!((reply.status, reply.code().as_str()), (409, "last_admin"), "{}", reply.text());
    assert_eq!(world.config_text(), saved);
}

/// Whoever waits for another's edit may lose its right to that edit.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_removed_while_it_waits_does_not_edit() {
    let second =
        "[[incoming_tokens]]\nid = \"b\"\nrole = \"admin\"\nkey = \"sk-admin-b-0123456789\"\n";
    let (world, _) = world(second).await;
    let held = world.app().editing.lock().await;
    let editing = send_as(
        &world,
        "sk-admin-b-0123456789",
        "PUT",
        "/settings/logs",
        json!({ "level": "debug" }),
    );
    let removing = async {
        // The request has arrived when its connection is served.
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        world.save(&world.config_text().replace(second, ""));
        eventually("it is gone", || world.snapshot().config.keys.len() == 1).await;
        drop(held);
    };
    let (reply, ()) = tokio::join!(editing, removing);
    assert_eq!((reply.status, reply.code().as_str()), (401, "invalid_api_key"));
    assert!(!world.config_text().contains("debug"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_remove_each_other_do_not_both_succeed() {
    for _ in 0..crate::world::scale(30) {
        let more =
            "[[incoming_tokens]]\nid = \"a\"\nrole = \"admin\"\nkey = \"sk-admin-a-0123456789\"\n";
        let (world, _) = world(more).await;
        let (a, b) = tokio::join!(
            send_as(&world, "sk-test", "DELETE", "/access-tokens/a", Value::Null),
            send_as(
                &world,
                "sk-admin-a-0123456789",
                "DELETE",
                "/access-tokens/tester",
                Value::Null
            ),
        );
        let mut all = [a.status, b.status];
        all.sort_unstable();
        assert!(all == [200, 409] || all == [200, 401], "{all:?}");
    }
}
