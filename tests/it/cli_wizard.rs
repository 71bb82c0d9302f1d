//! `torod config` in a terminal: a first start, edits of a file, and ways out that leave no trace.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use tokenrouter::base::{digest, hex};

use crate::{
    samples,
    scripted::{Script, Scripted},
    terminal::{CTRL_C, DOWN, ENTER, ESC, Terminal},
    world::{CONFIG, World, eventually, fill},
};

const PATHS: [&str; 4] = ["--config", "torod.toml", "--state-dir", "state"];

fn wizard(dir: &Path, words: &[&str]) -> Terminal {
    let words = [&PATHS[..], words].concat();
    Terminal::torod(dir, &words, &[("OLLAMA_API_KEY", "sk-of-the-environment")])
}

async fn provider() -> Scripted {
    let provider = Scripted::always(Script::json(200, samples::CHAT)).await;
    provider.set_models(&["alpha", "beta"]);
    provider
}

/// A hand-written file in a directory of its own.
fn directory(text: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("torod.toml"), text).unwrap();
    dir
}

fn read(dir: &Path) -> String {
    fs::read_to_string(dir.join("torod.toml")).unwrap()
}

/// From the first question to that for providers.
async fn begin_first(terminal: &Terminal) {
    terminal.choose("Where should torod listen?", 0).await;
    terminal.choose("How should it be served?", 1).await;
    terminal.shows("cannot do HTTPS by itself yet").await;
    // Whether a model server runs on this machine is not this test's to say.
    let questions = ["What about them?", "Add a provider"];
    if terminal.asks_one_of(&questions).await == questions[0] {
        terminal.choose(questions[0], 0).await;
    }
}

/// A server of one's own, with a key that is typed.
async fn add_scripted(terminal: &Terminal, provider: &Scripted) {
    terminal.enter("Add a provider", "any openai").await;
    terminal.enter("Its name", "mine").await;
    terminal.enter("Its base URL", &provider.base()).await;
    terminal.choose("The key for this server", 1).await;
    terminal.enter("The key", "sk-very-secret-typed").await;
    terminal.shows("`mine` answers, with 2 models").await;
    terminal.shows("alpha, beta").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_run_asks_tries_shows_and_writes() {
    let provider = provider().await;
    let dir = tempfile::tempdir().unwrap();
    let mut terminal = wizard(dir.path(), &["config"]);
    begin_first(&terminal).await;
    add_scripted(&terminal, &provider).await;
    assert_eq!(provider.lists(), 1, "the test asks the provider itself");
    // One whose variable is set stands first, and is kept though it may not run here.
    for next in [3, 2] {
        terminal.choose("Add a provider", 1).await;
        terminal.choose("The key for Ollama", 0).await;
        let questions = ["What now?", "Add a provider"];
        if terminal.asks_one_of(&questions).await == questions[1] {
            break;
        }
        terminal.choose(questions[0], next).await;
    }
    terminal.choose("Add a provider", 0).await;
    terminal.choose("The default provider", 0).await;
    terminal.shows("+default_provider = \"mine\"").await;
    terminal.shows("+api_key = \"***#").await;
    assert!(!dir.path().join("torod.toml").exists(), "nothing is written before the yes");
    terminal.answer("Write ", ENTER).await;
    assert_eq!(terminal.ended().await, Some(0));
    let (said, text) = (terminal.said(), read(dir.path()));
    assert!(!said.contains("very-secret") && !said.contains("sk-of-the"), "{said}");
    let file: toml::Table = text.parse().unwrap();
    let added = &file["providers"][1];
    assert_eq!(added["api_key"].as_str(), Some("sk-very-secret-typed"));
    assert_eq!(added["base_url"].as_str(), Some(provider.base().as_str()));
    let referred = &file["providers"][2];
    assert_eq!(referred["name"].as_str(), Some("ollama"));
    assert_eq!(referred["api_key"].as_str(), Some("${env:OLLAMA_API_KEY}"));
    assert!(!file.contains_key("tls"), "of what is not built nothing is written");
    let key = said.split_whitespace().rfind(|it| it.starts_with("tr_")).unwrap();
    assert_eq!(said.matches(key).count(), 1, "the key is shown once");
    let hash = format!("sha256:{}", hex(&digest(key)));
    assert_eq!(file["incoming_tokens"][0]["key_hash"].as_str(), Some(hash.as_str()));
    let mode = fs::metadata(dir.path().join("torod.toml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_typed_ahead_are_not_lost() {
    let provider = provider().await;
    let dir = tempfile::tempdir().unwrap();
    let terminal = wizard(dir.path(), &["config"]);
    terminal.choose("Where should torod listen?", 0).await;
    terminal.choose("How should it be served?", 0).await;
    let url = provider.base();
    let ahead = format!(
        "any openai{ENTER}mine{ENTER}{url}{ENTER}{DOWN}{ENTER}sk-very-secret-typed{ENTER}{ENTER}"
    );
    terminal.types(&ahead);
    let questions = ["What about them?", "Write "];
    if terminal.asks_one_of(&questions).await == questions[0] {
        return; // a model server runs on this machine, and the keys were for other questions
    }
    terminal.shows("+name = \"mine\"").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_without_a_file_begins_with_the_wizard() {
    let dir = tempfile::tempdir().unwrap();
    let mut terminal = wizard(dir.path(), &["serve"]);
    terminal.shows("Where should torod listen?").await;
    terminal.types(ESC);
    assert_eq!(terminal.ended().await, Some(1));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "no trace");

    let terminal = wizard(dir.path(), &["serve"]);
    terminal.choose("Where should torod listen?", 2).await;
    terminal.enter("The address", "127.0.0.1:0").await;
    terminal.choose("How should it be served?", 0).await;
    let questions = ["What about them?", "Add a provider"];
    if terminal.asks_one_of(&questions).await == questions[0] {
        terminal.choose(questions[0], 0).await;
    }
    terminal.choose("Add a provider", 0).await;
    terminal.answer("Write ", "y").await;
    terminal.shows("listening on http://127.0.0.1:").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_out_leaves_the_file_as_it_was() {
    let provider = provider().await;
    let text = fill(CONFIG, &[("scripted", &provider)]) + "# the end, without a line end";
    for (depth, key) in [(0, ESC), (0, CTRL_C), (1, ESC), (1, CTRL_C), (2, ESC), (2, CTRL_C)] {
        let dir = directory(&text);
        let mut terminal = wizard(dir.path(), &["config"]);
        if depth == 0 {
            terminal.shows("◆  What is to be done?").await;
        } else {
            terminal.choose("What is to be done?", 0).await;
            terminal.enter("Providers", "scripted").await;
            terminal.choose("Provider `scripted`", 4).await;
        }
        if depth == 1 {
            terminal.shows("◆  Provider `scripted`").await;
        }
        if depth == 2 {
            let back = DOWN.repeat(6) + ENTER;
            terminal.answer("Provider `scripted`", &back).await;
            terminal.enter("Providers", "back").await;
            terminal.choose("What is to be done?", 8).await;
            terminal.shows("+enabled = false").await;
            terminal.shows("◆  Write ").await;
        }
        terminal.types(key);
        assert_eq!(terminal.ended().await, Some(1), "{depth} {key:?}");
        terminal.shows("Cancelled; nothing was written.").await;
        assert_eq!(read(dir.path()), text, "{depth} {key:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_question_to_a_provider_can_be_given_up() {
    let provider = Scripted::always(Script::json(200, samples::CHAT)).await;
    // It takes connections and says nothing.
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", held.local_addr().unwrap());
    let text = fill(CONFIG, &[("scripted", &provider)]).replace(&provider.base(), &url);
    let dir = directory(&text);
    let mut terminal = wizard(dir.path(), &["config"]);
    terminal.choose("What is to be done?", 0).await;
    terminal.enter("Providers", "scripted").await;
    terminal.answer("Provider `scripted`", ENTER).await;
    terminal.shows("Asking `scripted` for its models").await;
    terminal.types("sk-very-secret-ahead");
    terminal.types(CTRL_C);
    assert_eq!(terminal.ended().await, Some(1));
    terminal.shows("Cancelled; nothing was written.").await;
    assert!(!terminal.said().contains("very-secret"), "keys between questions are not shown");
    assert_eq!(read(dir.path()), text);
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_keeps_every_other_byte_and_goes_live() {
    let provider = provider().await;
    let more = "\n# --- mine -----\n[logs] # odd places\nlevel = 'info'   # as I like it\n";
    let world = World::with(&provider, more).await;
    let before = world.config_text();
    let mut terminal = wizard(world.dir.path(), &["config"]);
    // A virtual model over what the provider's test found.
    terminal.choose("What is to be done?", 0).await;
    terminal.enter("Providers", "scripted").await;
    terminal.answer("Provider `scripted`", ENTER).await;
    terminal.shows("`scripted` answers, with 2 models").await;
    terminal.choose("Provider `scripted`", 6).await;
    terminal.enter("Providers", "back").await;
    terminal.choose("What is to be done?", 2).await;
    terminal.choose("Virtual models", 0).await;
    terminal.enter("The name that clients ask for", "fast").await;
    terminal.enter("Its target", "scripted/alpha").await;
    terminal.answer("Another target", ENTER).await;
    terminal.enter("Virtual models", "back").await;
    // A key.
    terminal.choose("What is to be done?", 1).await;
    terminal.choose("Keys", 0).await;
    terminal.enter("Whose key is it?", "The build").await;
    terminal.choose("What may it do?", 0).await;
    terminal.enter("When does it end?", "30d").await;
    terminal.enter("Which models may it use?", "fast").await;
    terminal.enter("Keys", "back").await;
    assert_eq!(world.config_text(), before, "nothing is written before the yes");
    terminal.choose("What is to be done?", 8).await;
    terminal.answer("Write ", "y").await;
    assert_eq!(terminal.ended().await, Some(0));
    terminal.shows("Generation 2 is live").await;
    let after = world.config_text();
    let diff = similar::TextDiff::from_lines(&before, &after);
    let gone: Vec<_> =
        diff.iter_all_changes().filter(|it| it.tag() == similar::ChangeTag::Delete).collect();
    assert!(gone.is_empty(), "{gone:?}");
    let said = terminal.said();
    let key = said.split_whitespace().rfind(|it| it.starts_with("tr_")).unwrap();
    let body = crate::world::chat_body("fast", false);
    let ask = world.bare("POST", "/v1/chat/completions").header("x-api-key", key);
    let ask = ask.header("content-type", "application/json").body(body.as_bytes());
    assert_eq!(ask.send().await.status, 200, "the key calls the new name at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changed_meanwhile_keeps_both_changes() {
    let provider = provider().await;
    let text = fill(CONFIG, &[("scripted", &provider)]);
    let dir = directory(&text);
    let mut terminal = wizard(dir.path(), &["config"]);
    switch_scripted(&terminal).await;
    let theirs = text.replace("shutdown_seconds = 5", "shutdown_seconds = 6 # theirs");
    fs::write(dir.path().join("torod.toml"), &theirs).unwrap();
    terminal.choose("What is to be done?", 8).await;
    terminal.answer("Write ", "y").await;
    terminal.shows("The file changed in the meantime").await;
    terminal.answer("Write ", "y").await;
    assert_eq!(terminal.ended().await, Some(0));
    let after = read(dir.path());
    assert!(after.contains("shutdown_seconds = 6 # theirs"), "{after}");
    assert!(after.contains("enabled = false"), "{after}");

    // What there is no place for any more is said and left out.
    let mut terminal = wizard(dir.path(), &["config"]);
    switch_scripted(&terminal).await;
    let cut = text.find("[[providers]]\nname = \"scripted\"").unwrap();
    let theirs = text[..cut].replace("\"scripted\"", "\"echo\"");
    fs::write(dir.path().join("torod.toml"), &theirs).unwrap();
    terminal.choose("What is to be done?", 8).await;
    terminal.answer("Write ", "y").await;
    terminal.shows("Left out: there is no provider `scripted`").await;
    terminal.choose("What is to be done?", 7).await;
    assert_eq!((terminal.ended().await, read(dir.path())), (Some(0), theirs));
}

/// Switches the provider off, or on again.
async fn switch_scripted(terminal: &Terminal) {
    terminal.choose("What is to be done?", 0).await;
    terminal.enter("Providers", "scripted").await;
    terminal.choose("Provider `scripted`", 4).await;
    terminal.answer("Provider `scripted`", &(DOWN.repeat(6) + ENTER)).await;
    terminal.enter("Providers", "back").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_managed_file_gets_a_patch() {
    let provider = provider().await;
    let text = format!("managed = true\n{}", fill(CONFIG, &[("scripted", &provider)]));
    let dir = directory(&text);
    let mut terminal = wizard(dir.path(), &["config"]);
    terminal.choose("What is to be done?", 0).await;
    terminal.enter("Providers", "scripted").await;
    terminal.choose("Provider `scripted`", 4).await;
    terminal.answer("Provider `scripted`", &(DOWN.repeat(6) + ENTER)).await;
    terminal.enter("Providers", "back").await;
    terminal.choose("What is to be done?", 8).await;
    terminal.answer("Write ", "y").await;
    assert_eq!(terminal.ended().await, Some(0));
    eventually("the patch is printed", || terminal.said().contains("+++ b/torod.toml")).await;
    assert_eq!(read(dir.path()), text);
}
