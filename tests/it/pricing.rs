//! Where prices come from while torod runs: lists, pages, the cache, and what the admin API says.

use std::time::Duration;

use serde_json::{Value, json};
use tokenrouter::base::Usd;

use crate::{
    samples::CHAT,
    scripted::{Script, Scripted},
    world::{CONFIG, World, eventually},
};

const PRICED: &str = r#"{"data":[{"id":"m","pricing":{"prompt":"0.000002","completion":"0.000008"}},
    {"id":"free","pricing":{"prompt":"0","completion":"0"}},
    {"id":"odd","pricing":{"prompt":"2","completion":"8"}},{"id":"bare"}]}"#;

fn provider(name: &str, kind: &str, base: &str) -> String {
    format!(
        "\n[[providers]]\nname = \"{name}\"\nprovider_type = \"{kind}\"\nbase_url = \"{base}\"\napi_key = \"up-secret\"\n"
    )
}

async fn pricing(world: &World, query: &str) -> Value {
    let reply = world.get(&format!("/admin/api/pricing{query}")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

async fn refresh(world: &World) -> Value {
    let reply = world.post("/admin/api/pricing/refresh", "").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_of_the_model_list_are_booked_shown_and_cached() {
    let scripted = Scripted::always(Script::json(200, CHAT)).await;
    scripted.set_list(Script::json(200, PRICED));
    let world = World::over(&scripted).await;
    world.chat("scripted/m").await;
    let entry = world.entry().await;
    assert_eq!(entry.cost, Some(Usd(3 * 2_000_000 + 2 * 8_000_000)));
    assert!(entry.price_source.unwrap().starts_with("models@20"));
    world.chat("scripted/odd").await;
    assert_eq!(world.entries(2).await.remove(1).cost, None, "no cost with a suspicious price");

    let told = pricing(&world, "?provider=scripted").await;
    let row = &told["entries"]["scripted/m"];
    assert_eq!((&row["input_per_1m"], &row["output_per_1m"]), (&json!(2.0), &json!(8.0)));
    assert_eq!((&row["currency"], &row["source"]), (&json!("USD"), &json!("models")));
    assert_eq!(told["entries"]["scripted/odd"]["suspicious"], true);
    assert_eq!(told["unknown"], json!(["scripted/bare", "scripted/odd"]));
    assert!(told["provider_states"]["scripted"]["last_update"].is_string());
    assert!(told["embedded"]["models"].as_u64().is_some_and(|it| it > 1_000));
    assert_eq!(pricing(&world, "?provider=other").await["entries"], json!({}));

    let rows = world.get("/admin/api/providers").await.json();
    let row = rows.as_array().unwrap().iter().find(|it| it["name"] == "scripted").unwrap();
    assert_eq!(
        (&row["model_count"], &row["priced_models"], &row["free_models"]),
        (&json!(4), &json!(1), &json!(1))
    );
    assert!(row["pricing_last_update"].is_string());
    let rows = world.get("/admin/api/models").await.json();
    let of = |model: &str| {
        let mut all = rows["data"].as_array().unwrap().iter();
        all.find(|it| it["provider"] == "scripted" && it["model"] == model).unwrap().clone()
    };
    assert_eq!(
        (of("m")["input_per_1m"].clone(), of("m")["price_source"].clone()),
        (json!(2.0), json!("models"))
    );
    assert_eq!(of("free")["output_per_1m"], json!(0.0));
    assert_eq!(of("bare")["input_per_1m"], Value::Null, "unknown is not 0");

    // A new process knows them before it has asked anybody.
    let cache = world.dir.path().join("cache/pricing-cache.json");
    eventually("the cache is written", || cache.exists()).await;
    scripted.set_list(Script::new().hang());
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("cache")).unwrap();
    std::fs::copy(&cache, dir.path().join("cache/pricing-cache.json")).unwrap();
    let again =
        World::start_in(dir, &crate::world::fill(CONFIG, &[("scripted", &scripted)]), true).await;
    again.chat("scripted/m").await;
    assert_eq!(again.entry().await.cost, Some(Usd(22_000_000)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_source_keeps_its_prices_and_a_hanging_one_delays_nobody() {
    let good = Scripted::always(Script::json(200, CHAT)).await;
    good.set_list(Script::json(200, PRICED));
    let hangs = Scripted::always(Script::new().hang()).await;
    hangs.set_list(Script::new().hang());
    let text = CONFIG.to_owned() + &provider("hangs", "openai-compatible", &hangs.base());
    let world = World::start(&text, &[("scripted", &good)]).await;
    world.listed("scripted").await;
    // Asks everybody; whoever hangs is still being asked when the others are done.
    let told = refresh_of(&world, "scripted").await;
    assert_eq!(told["status"], "ok");
    let before = told["cache"]["provider_states"]["scripted"].clone();
    assert_eq!(before["last_error"], Value::Null);

    good.set_list(Script::json(500, "{}"));
    let told = refresh_of(&world, "scripted").await;
    let after = &told["cache"]["provider_states"]["scripted"];
    assert_eq!(after["last_update"], before["last_update"], "the last good prices");
    assert!(after["last_error"].as_str().unwrap().contains("500"), "{after}");
    assert!(after["age_seconds"].is_u64());
    assert_eq!(told["cache"]["entries"]["scripted/m"]["input_per_1m"], json!(2.0));
    world.chat("scripted/m").await;
    assert_eq!(world.entry().await.cost, Some(Usd(22_000_000)));

    good.set_list(Script::json(200, PRICED.replace("0.000002", "0.000003")));
    let told = refresh_of(&world, "scripted").await;
    assert_eq!(told["cache"]["entries"]["scripted/m"]["input_per_1m"], json!(3.0));
    assert_eq!(told["cache"]["provider_states"]["scripted"]["last_error"], Value::Null);
}

/// Asks one provider while all others are asked too.
async fn refresh_of(world: &World, name: &str) -> Value {
    let app = std::sync::Arc::clone(world.app());
    let others =
        tokio::spawn(
            async move { app.load_prices(&"hangs".into(), Duration::from_secs(30)).await },
        );
    let path = format!("/admin/api/pricing/refresh?provider={name}");
    let asked = world.post(&path, "");
    let reply =
        tokio::time::timeout(Duration::from_secs(10), asked).await.expect("nobody is waited for");
    assert!(!others.is_finished(), "the other one still hangs");
    others.abort();
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn public_pages_are_asked_without_a_credential_and_only_when_somebody_asks() {
    const PAGE: &str = "<table><tr><th>Model</th><th>Model ID</th></tr><tr><td>M One</td><td>m</td></tr></table>\
        <table><tr><th>Model</th><th>Input</th><th>Output</th></tr><tr><td>M One</td><td>$1.50</td><td>$4.00</td></tr></table>";
    let zen = Scripted::always(Script::html(200, PAGE)).await;
    let xai = Scripted::always(Script::json(
        200,
        r#"{"models":[{"id":"m","prompt_text_token_price":20000,"completion_text_token_price":100000}]}"#,
    ))
    .await;
    let scripted = Scripted::always(Script::json(200, CHAT)).await;
    let text = CONFIG.to_owned()
        + &provider("zen", "opencode-zen", &format!("{}/zen/v1", zen.root()))
        + &provider("grok", "xai", &xai.base());
    let world = World::start(&text, &[("scripted", &scripted)]).await;
    for name in ["zen", "grok", "scripted"] {
        world.listed(name).await;
    }
    assert_eq!((zen.hits(), xai.hits()), (0, 0), "nobody asked for prices");
    let told = refresh(&world).await;
    assert_eq!(told["cache"]["entries"]["zen/m"]["input_per_1m"], json!(1.5), "{told}");
    assert_eq!(told["cache"]["entries"]["zen/m"]["source"], "opencode_zen");
    assert_eq!(told["cache"]["entries"]["grok/m"]["output_per_1m"], json!(10.0));
    assert_eq!(
        (zen.last().path.as_str(), zen.last().header("authorization")),
        ("/docs/zen/", None)
    );
    assert_eq!(xai.last().path, "/v1/language-models");
    assert_eq!(xai.last().header("authorization"), Some("Bearer up-secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_moved_is_asked_anew_and_its_old_prices_are_gone() {
    let scripted = Scripted::always(Script::json(200, CHAT)).await;
    scripted.set_list(Script::json(200, PRICED));
    let moved = Scripted::always(Script::json(200, CHAT)).await;
    let world = World::over(&scripted).await;
    pricing(&world, "").await;
    let lists = scripted.lists();
    let generation = world.generation();
    world.save(&world.config_text().replace(&scripted.base(), &moved.base()));
    eventually("the move is live", || world.generation() > generation).await;
    world.chat("scripted/m").await;
    assert_eq!(world.entry().await.cost, None, "prices of one address are not those of another");
    moved.set_list(Script::json(200, PRICED.replace("0.000002", "0.000004")));
    assert_eq!(refresh(&world).await["cache"]["entries"]["scripted/m"]["input_per_1m"], json!(4.0));
    assert_eq!(scripted.lists(), lists, "who is gone is not asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_are_asked_for_in_the_background_when_they_are_wanted_and_old() {
    const LIST: &str = r#"{"models":[{"id":"m","prompt_text_token_price":20000,"completion_text_token_price":80000}]}"#;
    let answer = |path: &str| if path.contains("language-models") { LIST } else { CHAT };
    let xai = Scripted::start(move |request| Script::json(200, answer(&request.path))).await;
    let text = CONFIG.to_owned() + &provider("grok", "xai", "{scripted}");
    let world = World::start(&text, &[("scripted", &xai)]).await;
    let asked = || xai.requests().iter().filter(|it| it.path.contains("language-models")).count();
    assert_eq!(asked(), 0, "nobody wants prices yet");
    pricing(&world, "").await;
    eventually("the provider was asked", || asked() == 1).await;
    let learned = || world.snapshot().price("grok", "m").is_some();
    eventually("the price is live", learned).await;
    let generation = world.generation();
    world.save(&format!("{}\n# a word\n", world.config_text()));
    eventually("the file is live", || world.generation() > generation).await;
    pricing(&world, "").await;

    // What the next process finds is young, and then old; a request is reason enough to look.
    let cache = world.dir.path().join("cache/pricing-cache.json");
    let saved = || std::fs::read_to_string(&cache).unwrap_or_default();
    eventually("the cache has it", || saved().contains("grok/m")).await;
    assert_eq!(asked(), 1, "a young price is not asked for again");
    let mut old: Value = serde_json::from_str(&saved()).unwrap();
    old["provider_states"]["grok"]["last_attempt"] = json!("2020-01-01T00:00:00Z");
    for (cache, wanted) in [(saved(), 1), (old.to_string(), 2)] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("cache")).unwrap();
        std::fs::write(dir.path().join("cache/pricing-cache.json"), cache).unwrap();
        let next = World::start_in(dir, &world.config_text(), true).await;
        assert_eq!(next.chat("grok/m").await.status, 200);
        assert_eq!(next.entry().await.cost, Some(Usd(22_000_000)));
        pricing(&next, "").await;
        eventually("all that is old was asked for", || asked() == wanted).await;
    }
}
