//! What a request costs: recorded shapes of each provider with costs that were computed by hand, to
//! the pico-dollar, and laws that hold for all of them.

use tokenrouter::{base::Usd, store::Entry};

use crate::{
    price_shapes::{PRICES, SHAPES, Shape},
    samples::{DONE, STOP, delta},
    scripted::{Script, Scripted},
    world::{World, chat_body, eventually},
};

/// A provider for each protocol beside `scripted`, all of them `{scripted}`.
const PROVIDERS: &str = r#"
[[providers]]
name = "claude"
provider_type = "anthropic"
base_url = "{scripted}"
api_key = "up-secret"

[[providers]]
name = "google"
provider_type = "gemini"
base_url = "{scripted}"
api_key = "up-secret"
"#;

/// The one entry of a request of this shape.
async fn booked(shape: &Shape, streamed: bool) -> Entry {
    let script = if streamed { Script::sse(shape.stream) } else { Script::json(200, shape.whole) };
    let provider = Scripted::always(script).await;
    let world = World::with(&provider, &format!("{PROVIDERS}{PRICES}")).await;
    let path = if streamed {
        shape.path.replace(":generateContent", ":streamGenerateContent?alt=sse")
    } else {
        shape.path.to_owned()
    };
    let model = if path.contains("messages") { "claude/m" } else { "scripted/m" };
    let reply = world.post(&path, chat_body(model, streamed)).await;
    assert_eq!(reply.status, 200, "{}: {}", shape.who, reply.text());
    world.entry().await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_provider_s_reply_costs_what_was_computed_by_hand_whole_and_streamed() {
    for shape in SHAPES {
        for streamed in [false, true] {
            let entry = booked(shape, streamed).await;
            let told = (entry.cost, entry.reported_cost, entry.estimated);
            let wanted = (Some(Usd(shape.cost)), shape.reported.map(Usd), false);
            assert_eq!(told, wanted, "{}, streamed: {streamed}: {:?}", shape.who, entry.usage);
            assert!(entry.price_source.unwrap().starts_with("prices@"), "{}", shape.who);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retried_request_is_billed_once_and_by_the_target_that_answered() {
    let broken = Scripted::always(Script::json(503, crate::samples::CHAT)).await;
    let works = Scripted::always(Script::json(200, crate::samples::CHAT)).await;
    let text = format!(
        "{}\n[[providers]]\nname = \"other\"\nprovider_type = \"openai-compatible\"\nbase_url = \"{}\"\n\
         [[models]]\nname = \"v\"\ntargets = [\"scripted/m\", \"other/m\"]\n\
         [[prices]]\nmodel = \"scripted/*\"\ninput = 100\noutput = 100\n\
         [[prices]]\nmodel = \"other/*\"\ninput = 1\noutput = 2\n",
        crate::world::CONFIG,
        works.base()
    );
    let world = World::start(&text, &[("scripted", &broken)]).await;
    assert_eq!(world.chat("v").await.status, 200);
    let entry = world.entry().await;
    assert_eq!((broken.hits(), works.hits(), entry.attempts), (1, 1, 2));
    assert_eq!(entry.cost, Some(Usd(3 * 1_000_000 + 2 * 2_000_000)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_stream_is_billed_for_what_arrived() {
    let script = Script::sse_head().chunk(delta("a")).chunk(delta("b")).hang();
    let provider = Scripted::always(script).await;
    let world = World::with(&provider, PRICES).await;
    let mut stream = world.chat_stream("scripted/m").await;
    stream.until("\"b\"").await;
    drop(stream);
    let entry = world.entry().await;
    let bytes = chat_body("scripted/m", true).len() as u64;
    assert!(entry.estimated, "nobody counted");
    assert_eq!(entry.cost, Some(Usd(bytes / 4 * 3_000_000 + 2 * 15_000_000)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_price_is_unknown_and_can_be_blocked() {
    let events = [&*delta("a"), STOP, crate::samples::USAGE, DONE];
    let provider = Scripted::always(Script::sse(&events)).await;
    let world = World::over(&provider).await;
    world.chat_stream("scripted/m").await.rest().await;
    let entry = world.entry().await;
    assert_eq!((entry.cost, entry.price_source, entry.reported_cost), (None, None, None));
    world.chat("echo/hello").await;
    assert_eq!(world.entries(2).await.remove(1).cost, Some(Usd(0)), "what is ours is free");

    let generation = world.generation();
    let text = world.config_text() + "\n[pricing]\nunknown = \"block\"\n";
    world.save(&text);
    eventually("the new file is live", || world.generation() > generation).await;
    let hits = provider.hits();
    let reply = world.chat("scripted/m").await;
    assert_eq!(reply.status, 403, "{}", reply.text());
    assert!(reply.text().contains("price_unknown"), "{}", reply.text());
    assert_eq!(provider.hits(), hits, "the provider was not asked");
    let entry = world.entries(3).await.remove(2);
    assert_eq!((entry.status, entry.cost), (403, None));

    let generation = world.generation();
    world.save(&(text + "\n[[prices]]\nmodel = \"scripted/*\"\ninput = 0\noutput = 0\n"));
    eventually("the price is live", || world.generation() > generation).await;
    assert_eq!(world.chat("scripted/m").await.status, 200);
    assert_eq!(world.entries(4).await.remove(3).cost, Some(Usd(0)));
}
