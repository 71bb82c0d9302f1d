//! The program itself, in a process and a directory of its own.

use std::{
    io::Read as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{
    client::{Ask, Reply},
    scripted::Scripted,
    world::{KEY, chat_body, eventually, fill, within},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_torod");

/// A running torod. It is killed when it is dropped.
#[derive(Debug)]
pub struct Torod {
    pub dir: TempDir,
    /// The first address that it listens on; port 0 until [`Self::listens`].
    pub addr: SocketAddr,
    child: Child,
    said: Arc<Mutex<Vec<u8>>>,
    listening: JoinHandle<()>,
}

/// The program for this directory.
pub fn program(dir: &TempDir) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments(dir.path()));
    command
}

/// The program for this directory, started by a shell that does something first.
pub fn program_after(dir: &TempDir, first: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{first}\nexec \"$@\""), "sh", PROGRAM]);
    command.args(arguments(dir.path()));
    command
}

fn arguments(dir: &Path) -> Vec<PathBuf> {
    let under = |name: &str| dir.join(name);
    let words = ["serve", "--config", "--state-dir", "--cache-dir"].map(PathBuf::from);
    let [serve, config, state, cache] = words;
    vec![serve, config, under("torod.toml"), state, under("state"), cache, under("cache")]
}

/// A directory with this config, `{name}` filled in.
pub fn directory(text: &str, providers: &[(&str, &Scripted)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("torod.toml"), fill(text, providers)).unwrap();
    dir
}

impl Torod {
    /// This config, and torod listens.
    pub async fn start(text: &str, providers: &[(&str, &Scripted)]) -> Self {
        let dir = directory(text, providers);
        let command = program(&dir);
        Self::launch(dir, command).listens().await
    }

    /// Starts the command, and keeps what it says on stderr.
    pub fn launch(dir: TempDir, mut command: Command) -> Self {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut pipe = child.stderr.take().unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&said);
        let listening = std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(read @ 1..) = pipe.read(&mut buffer) {
                kept.lock().unwrap().extend_from_slice(&buffer[..read]);
            }
        });
        Self { dir, addr: ([127, 0, 0, 1], 0).into(), child, said, listening }
    }

    /// Waits until it says where it listens.
    pub async fn listens(mut self) -> Self {
        let mark = "listening on http://";
        let line = |said: &str| {
            let (_, rest) = said.split_once(mark)?;
            let end = rest.find(|it: char| it.is_whitespace() || it == '"' || it == '\u{1b}')?;
            rest[..end].trim_end_matches('/').parse().ok()
        };
        let mut addr = None;
        eventually("torod listens", || {
            addr = line(&self.said());
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() || addr.is_some(), "{ended:?}: {}", self.said());
            addr.is_some()
        })
        .await;
        self.addr = addr.unwrap();
        self
    }

    /// What it has said on stderr so far.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().unwrap()).into_owned()
    }

    pub async fn says(&self, mark: &str) {
        eventually(&format!("torod says `{mark}`"), || self.said().contains(mark)).await;
    }

    pub fn ask(&self, method: &str, path: &str) -> Ask {
        self.bare(method, path).header("authorization", format!("Bearer {KEY}"))
    }

    /// Without a key.
    pub fn bare(&self, method: &str, path: &str) -> Ask {
        Ask::new(self.addr, method, path)
    }

    pub fn posting(&self, path: &str, body: impl AsRef<[u8]>) -> Ask {
        self.ask("POST", path).header("content-type", "application/json").body(body.as_ref())
    }

    pub async fn chat(&self, model: &str) -> Reply {
        self.posting("/v1/chat/completions", chat_body(model, false)).send().await
    }

    pub fn chatting(&self, model: &str, stream: bool) -> Ask {
        self.posting("/v1/chat/completions", chat_body(model, stream))
    }

    /// The same once more, after its end.
    pub async fn again(mut self) -> Self {
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap());
        let command = program(&dir);
        Self::launch(dir, command).listens().await
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end, and for what it said before.
    pub async fn ended(&mut self, time: Duration) -> ExitStatus {
        let mut status = None;
        within(time, "torod ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        // Its last words may still be in the pipe, which a child of it may hold open.
        let until = Instant::now() + Duration::from_secs(1);
        while !self.listening.is_finished() && Instant::now() < until {
            sleep(Duration::from_millis(5)).await;
        }
        status.unwrap()
    }

    /// The most memory that it ever had, in MB.
    pub fn peak(&self) -> usize {
        let text = std::fs::read_to_string(self.proc("status")).unwrap();
        let line = text.lines().find_map(|it| it.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() / 1024
    }

    /// The time that it spent on a processor, in hundredths of a second.
    pub fn cpu(&self) -> u64 {
        let text = std::fs::read_to_string(self.proc("stat")).unwrap();
        // The name in parentheses may hold anything.
        let (_, rest) = text.rsplit_once(") ").unwrap();
        let field = |at: usize| rest.split(' ').nth(at).unwrap().parse::<u64>().unwrap();
        field(11) + field(12)
    }

    /// How many files it has open.
    pub fn files(&self) -> usize {
        std::fs::read_dir(self.proc("fd")).unwrap().count()
    }

    fn proc(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.child.id()))
    }
}

impl Drop for Torod {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("torod said:\n{}", self.said());
        }
    }
}
