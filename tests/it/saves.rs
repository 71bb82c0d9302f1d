//! What stories about saves share: texts that differ by a number, and how to see one live.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokenrouter::{
    app::App,
    config::{Revision, Severity},
    server::{Daemon, Options},
};
use tokio::time::{Instant, timeout};

use crate::world::{Ask, KEY, PATIENCE, Reply, World, eventually, within};

/// How long a save may take to be live where the watch sees it.
pub const WATCHED: Duration = Duration::from_secs(1);
/// The same where only the poll sees it.
pub const POLLED: Duration = Duration::from_secs(4);

/// The key that comes and goes with the text of this number.
pub fn key(number: usize) -> String {
    format!("sk-save-{number:016}")
}

/// The line that all texts of this number end with. Even numbers make texts of the same size.
pub fn last_line(number: usize) -> String {
    format!("# number {number:05}{}", "!".repeat(number % 2))
}

/// A config with an echo, the key of the world, and the key of this number.
pub fn text(number: usize) -> String {
    let (key, last) = (key(number), last_line(number));
    format!(
        r#"listen_addr = "127.0.0.1:0"
auto_detect_local_servers = false
default_provider = "echo"

[[incoming_tokens]]
id = "tester"
name = "Tester"
role = "admin"
key = "{KEY}"

[[incoming_tokens]]
id = "numbered"
role = "inferrer"
key = "{key}"

[[providers]]
name = "echo"
provider_type = "echo"

{last}
"#
    )
}

/// A torod whose config is at this path, with its other directories in `root`.
pub async fn start_at(root: &Path, path: PathBuf, watch: bool) -> Daemon {
    let (state_dir, cache_dir) = (root.join("state"), root.join("cache"));
    let options = Options { config: path, state_dir, cache_dir, watch, read_only: false };
    let daemon = Daemon::start(options).await.expect("torod starts");
    eventually("torod is ready", || daemon.app().is_ready()).await;
    daemon
}

/// A world over this text.
pub async fn over(text: &str, watch: bool) -> World {
    World::start_in(tempfile::tempdir().unwrap(), text, watch).await
}

/// Waits until this text is live; how long that took.
pub async fn live(app: &App, text: impl AsRef<[u8]>, limit: Duration) -> Duration {
    let (begin, wanted) = (Instant::now(), Revision::of(text));
    within(limit, "the saved text is live", || app.live.snapshot().revision == wanted).await;
    begin.elapsed()
}

/// Waits until the text on disk is refused with this code.
pub async fn refused(app: &App, code: &str, limit: Duration) {
    within(limit, &format!("the problem `{code}` is known"), || {
        app.live.disk().0.iter().any(|it| it.severity == Severity::Error && it.code == code)
    })
    .await;
}

/// How many problems of the text on disk keep it from going live.
pub fn errors(app: &App) -> usize {
    app.live.disk().0.iter().filter(|it| it.severity == Severity::Error).count()
}

/// `GET /admin/api/config/status`.
pub async fn status(world: &World) -> Value {
    let reply = world.get("/admin/api/config/status").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

/// Has the file read now, whatever else is under way; what came of it.
pub async fn reload(world: &World) -> Value {
    let reply = world.ask("POST", "/admin/api/config/reload").send().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

/// `GET /v1/models` with this key.
pub async fn models_as(addr: SocketAddr, key: &str) -> Reply {
    let ask = Ask::new(addr, "GET", "/v1/models");
    ask.header("authorization", format!("Bearer {key}")).send().await
}

/// Writes beside and renames over, as careful programs do.
pub fn replace(path: &Path, bytes: impl AsRef<[u8]>) {
    let fresh = path.with_extension("fresh");
    fs::write(&fresh, bytes).unwrap();
    fs::rename(fresh, path).unwrap();
}

/// How long some saves took to be live.
#[derive(Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// Prints the middle and the worst.
    pub fn report(mut self, what: &str) {
        self.0.sort();
        let (middle, worst) = (self.0[self.0.len() / 2], self.0[self.0.len() - 1]);
        let (middle, worst) = (middle.as_millis(), worst.as_millis());
        eprintln!(
            "live after a save, {what}: p50 {middle} ms, max {worst} ms, of {}",
            self.0.len()
        );
    }
}

/// One connection that is kept for many requests: it is never opened again.
#[derive(Debug)]
pub struct Kept {
    send: SendRequest<Full<Bytes>>,
    addr: SocketAddr,
    key: String,
}

impl Kept {
    pub async fn open(addr: SocketAddr, key: &str) -> Self {
        let socket = tokio::net::TcpStream::connect(addr).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let (send, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.unwrap();
        tokio::spawn(connection);
        Self { send, addr, key: key.to_owned() }
    }

    /// Status, generation and body; an error when the connection is gone.
    pub async fn ask(
        &mut self,
        method: &str,
        path: &str,
        body: String,
    ) -> Result<(u16, u64, Bytes), String> {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.addr.to_string())
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        let whole = async {
            self.send.ready().await?;
            let reply = self.send.send_request(request).await?;
            let generation = reply.headers().get("x-torod-generation").cloned();
            let generation = generation.and_then(|it| it.to_str().ok()?.parse().ok()).unwrap_or(0);
            let status = reply.status().as_u16();
            Ok((status, generation, reply.into_body().collect().await?.to_bytes()))
        };
        let whole = timeout(PATIENCE, whole).await.map_err(|_| "no reply in time".to_owned())?;
        whole.map_err(|it: hyper::Error| format!("{it:?}"))
    }
}
