//! A torod in a directory of its own, and what a test needs around it.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use serde_json::Value;
use tokenrouter::{
    app::{App, Snapshot},
    server::{Daemon, Options},
    store::Entry,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

pub use crate::client::{Ask, PATIENCE, Reply, Stream};
use crate::scripted::Scripted;

/// The key of [`config`].
pub const KEY: &str = "sk-test";

/// What most stories start with: one admin key, an echo, and `{scripted}` as provider `scripted`.
pub const CONFIG: &str = r#"
listen_addr = "127.0.0.1:0"
default_provider = "scripted"
auto_detect_local_servers = false
shutdown_seconds = 5

[[incoming_tokens]]
id = "tester"
name = "Tester"
role = "admin"
key = "sk-test"

[[providers]]
name = "echo"
provider_type = "echo"

[[providers]]
name = "scripted"
provider_type = "openai-compatible"
base_url = "{scripted}"
api_key = "up-secret"
include_usage = true
"#;

/// `count` as the scale of this run says, and at least 1.
pub fn scale(count: usize) -> usize {
    let scale = std::env::var("TOROD_TEST_SCALE").ok().and_then(|it| it.parse().ok());
    let scale: f64 = scale.unwrap_or(0.1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "counts of a test are small"
    )]
    let scaled = (count as f64 * scale) as usize;
    scaled.max(1)
}

/// Polls until the condition holds; after 10 s the test fails with `what`.
pub async fn eventually(what: &str, condition: impl FnMut() -> bool) {
    within(Duration::from_secs(10), what, condition).await;
}

/// Polls until the condition holds; after `time` the test fails with `what`.
pub async fn within(time: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + time;
    while !condition() {
        assert!(Instant::now() < end, "not within {time:?}: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// `{name}` in the text becomes the base URL of the provider of that name.
pub fn fill(text: &str, providers: &[(&str, &Scripted)]) -> String {
    providers.iter().fold(text.to_owned(), |text, (name, provider)| {
        text.replace(&format!("{{{name}}}"), &provider.base())
    })
}

/// A running torod.
#[derive(Debug)]
pub struct World {
    pub dir: tempfile::TempDir,
    pub daemon: Daemon,
    /// The first address that it listens on.
    pub addr: SocketAddr,
}

impl World {
    /// [`CONFIG`] over this provider, its model list loaded.
    pub async fn over(provider: &Scripted) -> Self {
        let world = Self::start(CONFIG, &[("scripted", provider)]).await;
        world.listed("scripted").await;
        world
    }

    /// [`CONFIG`] and more tables, over this provider, its model list loaded.
    pub async fn with(provider: &Scripted, more: &str) -> Self {
        let text = format!("{CONFIG}\n{more}");
        let world = Self::start(&text, &[("scripted", provider)]).await;
        world.listed("scripted").await;
        world
    }

    /// This config, with `{name}` filled in; it watches its file.
    pub async fn start(text: &str, providers: &[(&str, &Scripted)]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), &fill(text, providers), true).await
    }

    /// This config as it stands in this directory; `watch: false` only polls the file.
    pub async fn start_in(dir: tempfile::TempDir, text: &str, watch: bool) -> Self {
        let config = dir.path().join("torod.toml");
        std::fs::write(&config, text).unwrap();
        let (state_dir, cache_dir) = (dir.path().join("state"), dir.path().join("cache"));
        let options = Options { config, state_dir, cache_dir, watch, read_only: false };
        let daemon = Daemon::start(options).await.expect("torod starts");
        eventually("torod is ready", || daemon.app().is_ready()).await;
        let addr = *daemon.addresses().first().expect("torod listens on TCP");
        Self { dir, daemon, addr }
    }

    pub fn app(&self) -> &Arc<App> {
        self.daemon.app()
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.app().live.snapshot()
    }

    /// Waits until the model list of a provider is loaded.
    pub async fn listed(&self, provider: &str) {
        let loaded = || self.snapshot().learned.lists.of(provider).is_some();
        eventually(&format!("the models of `{provider}` are listed"), loaded).await;
    }

    pub fn config_path(&self) -> PathBuf {
        self.dir.path().join("torod.toml")
    }

    pub fn config_text(&self) -> String {
        std::fs::read_to_string(self.config_path()).unwrap()
    }

    /// Writes the config as most editors do: a new file renamed over the old one.
    pub fn save(&self, text: &str) {
        let fresh = self.dir.path().join("torod.toml.new");
        std::fs::write(&fresh, text).unwrap();
        std::fs::rename(fresh, self.config_path()).unwrap();
    }

    pub fn generation(&self) -> u64 {
        self.snapshot().generation
    }

    /// The ledger, as soon as it holds so many entries; more than that fails the test.
    pub async fn entries(&self, count: usize) -> Vec<Entry> {
        let ledger = &self.app().ledger;
        eventually(&format!("{count} entries"), || ledger.entries().len() >= count).await;
        let entries = ledger.entries();
        assert_eq!(entries.len(), count, "{entries:#?}");
        entries
    }

    /// The one entry of a story with one request.
    pub async fn entry(&self) -> Entry {
        self.entries(1).await.remove(0)
    }

    /// A request with the key of [`CONFIG`].
    pub fn ask(&self, method: &str, path: &str) -> Ask {
        self.bare(method, path).header("authorization", format!("Bearer {KEY}"))
    }

    /// A request without a key.
    pub fn bare(&self, method: &str, path: &str) -> Ask {
        Ask::new(self.addr, method, path)
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path).send().await
    }

    /// A `POST` of JSON that is yet to be sent.
    pub fn posting(&self, path: &str, body: impl AsRef<[u8]>) -> Ask {
        self.ask("POST", path).header("content-type", "application/json").body(body.as_ref())
    }

    pub async fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Reply {
        self.posting(path, body).send().await
    }

    /// A chat with this model, answered whole.
    pub async fn chat(&self, model: &str) -> Reply {
        self.post("/v1/chat/completions", chat_body(model, false)).await
    }

    /// A chat with this model, the answer as it comes.
    pub async fn chat_stream(&self, model: &str) -> Stream {
        self.posting("/v1/chat/completions", chat_body(model, true)).open().await
    }

    /// Sends these bytes on a connection of their own, and returns all that came until its end.
    pub async fn raw(&self, bytes: impl AsRef<[u8]>) -> Vec<u8> {
        let mut socket = self.connect().await;
        // The other side may hang up before it has read all.
        let _ = socket.write_all(bytes.as_ref()).await;
        let mut reply = Vec::new();
        let read = timeout(PATIENCE, socket.read_to_end(&mut reply)).await;
        // A reset after a reply is an end like any other.
        let _ = read.expect("torod closes the connection in time");
        reply
    }

    /// A connection of the test's own.
    pub async fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.addr).await.unwrap();
        socket.set_nodelay(true).unwrap();
        socket
    }
}

/// The smallest chat.
pub fn chat_body(model: &str, stream: bool) -> String {
    let model = Value::from(model);
    let stream = if stream { r#","stream":true"# } else { "" };
    format!(r#"{{"model":{model},"messages":[{{"role":"user","content":"hi"}}]{stream}}}"#)
}

// world: ready
