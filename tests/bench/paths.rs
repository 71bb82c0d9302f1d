//! The ways to the provider: directly, through nginx, through the bare proxy, through `torod`.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::children::{self, PATIENCE, Server};
use crate::load::{self, KEY, KEY_SHA256};

/// One way; its server ends when it is dropped.
pub(crate) struct Hop {
    pub(crate) name: &'static str,
    pub(crate) addr: SocketAddr,
    server: Option<Server>,
}

impl Hop {
    /// The process in the middle; none on the direct way.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Server::pid)
    }
}

/// Everything that runs; the ways end before the provider, and the directory goes last.
pub(crate) struct Site {
    pub(crate) hops: Vec<Hop>,
    pub(crate) file: TorodFile,
    /// Why a way is missing.
    pub(crate) notes: Vec<String>,
    _provider: Server,
    _dir: TempDir,
}

impl Site {
    pub(crate) async fn start(log_level: &str) -> anyhow::Result<Self> {
        let dir = TempDir::with_prefix("torod-bench-")?;
        let (provider, direct) = Server::own(&["upstream"])?;
        let mut hops = vec![Hop { name: "direct", addr: direct, server: None }];
        let mut notes = Vec::new();
        match nginx(dir.path(), direct).await {
            Ok(hop) => hops.push(hop),
            Err(error) => notes.push(format!("no nginx in this run: {error:#}")),
        }
        let (bare, addr) = Server::own(&["bare", &direct.to_string()])?;
        hops.push(Hop { name: "bare hyper", addr, server: Some(bare) });
        let mut file = TorodFile {
            path: dir.path().join("torod.toml"),
            provider: direct,
            port: 0,
            log_level: log_level.to_owned(),
        };
        hops.push(torod(dir.path(), &mut file).await?);
        Ok(Self { hops, file, notes, _provider: provider, _dir: dir })
    }

    pub(crate) fn torod(&self) -> &Hop {
        self.hops.last().expect("`start` puts torod last")
    }
}

/// The file that `torod` follows in this run.
pub(crate) struct TorodFile {
    pub(crate) path: PathBuf,
    provider: SocketAddr,
    port: u16,
    log_level: String,
}

impl TorodFile {
    /// The text with `added` keys more than the one that all requests carry.
    pub(crate) fn text(&self, added: usize) -> String {
        let Self { provider, port, log_level, .. } = self;
        let mut text = format!(
            r#"listen_addr = "127.0.0.1:{port}"
default_provider = "scripted"
auto_detect_local_servers = false

[logs]
level = "{log_level}"

[[providers]]
name = "scripted"
provider_type = "openai-compatible"
base_url = "http://{provider}/v1"
api_key = "bench-credential"

[[providers]]
name = "metered"
provider_type = "openai-compatible"
base_url = "http://{provider}/v1"
api_key = "bench-credential"
include_usage = true

[[incoming_tokens]]
id = "bench"
name = "Benchmark"
role = "inferrer"
key_hash = "sha256:{KEY_SHA256}"
"#
        );
        for n in 1..=added {
            let key = Self::added_key(n);
            let fields =
                [("id", &key), ("name", &key), ("role", &"inferrer".into()), ("key", &key)];
            text.push_str("\n[[incoming_tokens]]\n");
            text.extend(fields.map(|(name, value)| format!("{name} = \"{value}\"\n")));
        }
        text
    }

    pub(crate) fn added_key(n: usize) -> String {
        format!("sk-bench-added-{n}")
    }
}

/// First with its log in a file, which says why if it does not start and which port was free; then
/// again on that port with the log in `/dev/null`, since a disk is not what is measured.
async fn torod(dir: &Path, file: &mut TorodFile) -> anyhow::Result<Hop> {
    let log = dir.join("torod.log");
    fs::write(&file.path, file.text(0))?;
    let mut trial = Server::start(torod_command(dir, &file.path).stderr(File::create(&log)?))?;
    file.port = children::logged_port(&log, &mut trial).await?;
    drop(trial);
    fs::write(&file.path, file.text(0))?;
    let mut server = Server::start(torod_command(dir, &file.path).stderr(Stdio::null()))?;
    let addr = SocketAddr::from(([127, 0, 0, 1], file.port));
    until_ready("torod", &mut server, async || {
        let mut sender = load::connect(addr).await.ok()?;
        let response = load::look(&mut sender, "/readyz", KEY).await.ok()?;
        response.status().is_success().then_some(())
    })
    .await?;
    Ok(Hop { name: "torod", addr, server: Some(server) })
}

fn torod_command(dir: &Path, file: &Path) -> Command {
    let mut command = children::roomy(env!("CARGO_BIN_EXE_torod"));
    command.arg("serve").arg("--config").arg(file);
    command.arg("--state-dir").arg(dir.join("state"));
    command.arg("--cache-dir").arg(dir.join("cache"));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

async fn nginx(dir: &Path, upstream: SocketAddr) -> anyhow::Result<Hop> {
    let version = Command::new("nginx").arg("-v").stderr(Stdio::null()).status();
    version.context("`nginx` is not on `PATH`")?;
    let dir = dir.join("nginx");
    fs::create_dir(&dir)?;
    let addr = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
    let config = dir.join("nginx.conf");
    fs::write(&config, nginx_conf(&dir, addr, upstream)?)?;
    let log = dir.join("start.log");
    let mut command = children::roomy("nginx");
    command.arg("-p").arg(&dir).arg("-c").arg(&config);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
    let mut server = Server::start(&mut command)?;
    until_ready("nginx", &mut server, async || load::connect(addr).await.ok().map(drop))
        .await
        .with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
    Ok(Hop { name: "nginx", addr, server: Some(server) })
}

/// Two workers, bytes passed on as they come, upstream connections kept.
fn nginx_conf(dir: &Path, addr: SocketAddr, upstream: SocketAddr) -> anyhow::Result<String> {
    use std::os::unix::fs::MetadataExt as _;
    // Started by root, its workers would be somebody who may not enter the run's directory.
    let user = if fs::metadata("/proc/self")?.uid() == 0 { "user root root;" } else { "" };
    let dir = dir.display();
    Ok(format!(
        "{user}
daemon off;
worker_processes 2;
worker_rlimit_nofile 8192;
pid {dir}/nginx.pid;
error_log {dir}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    keepalive_requests 1000000000;
    upstream provider {{
        server {upstream};
        keepalive 64;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {addr};
        location / {{
            proxy_pass http://provider;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_buffering off;
            proxy_read_timeout 300s;
        }}
    }}
}}
"
    ))
}

async fn until_ready(
    name: &str,
    server: &mut Server,
    check: impl AsyncFn() -> Option<()>,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    while check().await.is_none() {
        if !server.is_running() || begun.elapsed() > PATIENCE {
            bail!("`{name}` did not get ready");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
