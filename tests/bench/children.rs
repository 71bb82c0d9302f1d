//! The processes of a run: started with room for sockets, ended with the run.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// How long a server may take to come up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// A command that may open thousands of sockets, as far as this machine lets it.
pub(crate) fn roomy(program: impl AsRef<OsStr>) -> Command {
    const RAISE: &str =
        r#"ulimit -n 8192 2>/dev/null || ulimit -n "$(ulimit -Hn)"; exec "$0" "$@""#;
    let mut command = Command::new("sh");
    command.arg("-c").arg(RAISE).arg(program);
    command
}

/// A child process; dropping it ends it.
pub(crate) struct Server(Child);

impl Server {
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Self> {
        Ok(Self(command.spawn().context("cannot start a server")?))
    }

    /// Starts this program again as one of its own servers, which prints its port.
    pub(crate) fn own(words: &[&str]) -> anyhow::Result<(Self, SocketAddr)> {
        let own = std::env::current_exe()?;
        let mut command = roomy(own);
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut server = Self::start(&mut command)?;
        let mut line = String::new();
        BufReader::new(server.0.stdout.take().context("no stdout")?).read_line(&mut line)?;
        let port: u16 = line.trim().parse().with_context(|| format!("`{words:?}` has no port"))?;
        Ok((server, SocketAddr::from(([127, 0, 0, 1], port))))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Server {
    /// Asks first, so that nginx takes its workers with it.
    fn drop(&mut self) {
        let mut ask = Command::new("sh");
        ask.args(["-c", r#"kill -TERM "$0""#, &self.pid().to_string()]);
        if self.is_running() && ask.status().is_ok_and(|it| it.success()) {
            let begun = Instant::now();
            while self.is_running() && begun.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The port in the line that a log file gets once the server listens.
pub(crate) async fn logged_port(log: &Path, server: &mut Server) -> anyhow::Result<u16> {
    const BEFORE: &str = "listening on http://127.0.0.1:";
    let begun = Instant::now();
    loop {
        let text = std::fs::read_to_string(log)?;
        if let Some((_, after)) = text.split_once(BEFORE) {
            // Its line may be half written: digits count once something follows them.
            let digits = after.bytes().take_while(u8::is_ascii_digit).count();
            if digits < after.len() {
                return after[..digits].parse().context("no port in the log");
            }
        }
        if !server.is_running() || begun.elapsed() > PATIENCE {
            anyhow::bail!("the server does not listen; its log says:\n{text}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
