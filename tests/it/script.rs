//! What a scripted provider does about one request, step by step.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpStream, tcp::OwnedWriteHalf},
    sync::Semaphore,
};

/// Holds a script until a test opens it; each opening lets one through.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    pub fn open(&self) {
        self.0.add_permits(1);
    }

    pub async fn pass(&self) {
        self.0.acquire().await.unwrap().forget();
    }
}

#[derive(Debug, Clone)]
enum Step {
    Bytes(Vec<u8>),
    Pause(Duration),
    Gate(Gate),
    Open(Gate),
    Endless(Vec<u8>, Duration),
    Hang,
    Cut,
    Reset,
}

/// What is done about one request, step by step. After the last step the connection is kept.
#[derive(Debug, Clone, Default)]
pub struct Script(Vec<Step>);

impl Script {
    pub fn new() -> Self {
        Self::default()
    }

    /// A whole JSON reply.
    pub fn json(status: u16, body: impl AsRef<[u8]>) -> Self {
        Self::whole(status, &[("content-type", "application/json")], body)
    }

    /// A whole reply with `content-length` and these headers.
    pub fn whole(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let length = body.as_ref().len().to_string();
        let mut headers = headers.to_vec();
        headers.push(("content-length", &length));
        Self::new().head(status, &headers).bytes(body)
    }

    /// A page for people.
    pub fn html(status: u16, text: &str) -> Self {
        Self::whole(status, &[("content-type", "text/html")], format!("<html>{text}</html>"))
    }

    /// A chunked event stream of these pieces, one chunk each, and its proper end.
    pub fn sse(pieces: &[&str]) -> Self {
        pieces.iter().fold(Self::sse_head(), Self::chunk).last_chunk()
    }

    /// The head of a chunked event stream; `chunk` and `last_chunk` follow.
    pub fn sse_head() -> Self {
        let kind = ("content-type", "text/event-stream");
        Self::new().head(200, &[kind, ("transfer-encoding", "chunked")])
    }

    /// A head with these headers alone.
    pub fn head(self, status: u16, headers: &[(&str, &str)]) -> Self {
        let mut text = format!("HTTP/1.1 {status} Scripted\r\n");
        for (name, value) in headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        self.bytes(text + "\r\n")
    }

    /// These bytes as they are.
    pub fn bytes(self, bytes: impl AsRef<[u8]>) -> Self {
        self.step(Step::Bytes(bytes.as_ref().to_vec()))
    }

    /// One chunk of a chunked body.
    pub fn chunk(self, bytes: impl AsRef<[u8]>) -> Self {
        let mut framed = format!("{:x}\r\n", bytes.as_ref().len()).into_bytes();
        framed.extend_from_slice(bytes.as_ref());
        framed.extend_from_slice(b"\r\n");
        self.bytes(framed)
    }

    pub fn last_chunk(self) -> Self {
        self.bytes("0\r\n\r\n")
    }

    /// What this other script does.
    pub fn then(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    pub fn pause(self, time: Duration) -> Self {
        self.step(Step::Pause(time))
    }

    pub fn gate(self, gate: &Gate) -> Self {
        self.step(Step::Gate(gate.clone()))
    }

    /// Opens a gate, at which a test may wait.
    pub fn open(self, gate: &Gate) -> Self {
        self.step(Step::Open(gate.clone()))
    }

    /// These bytes again and again, with a pause between, until the other side has gone.
    pub fn endless(self, bytes: impl AsRef<[u8]>, pause: Duration) -> Self {
        self.step(Step::Endless(bytes.as_ref().to_vec(), pause))
    }

    /// Nothing more, and the connection stays open.
    pub fn hang(self) -> Self {
        self.step(Step::Hang)
    }

    /// The connection ends here.
    pub fn cut(self) -> Self {
        self.step(Step::Cut)
    }

    /// The connection is reset here.
    pub fn reset(self) -> Self {
        self.step(Step::Reset)
    }

    /// Whether the connection is kept; `None` when the other side is gone.
    pub async fn run(self, write: &mut OwnedWriteHalf) -> Option<bool> {
        for step in self.0 {
            match step {
                Step::Bytes(bytes) => write.write_all(&bytes).await.ok()?,
                Step::Pause(time) => tokio::time::sleep(time).await,
                Step::Gate(gate) => gate.pass().await,
                Step::Open(gate) => gate.open(),
                Step::Hang => std::future::pending().await,
                Step::Cut => return Some(false),
                Step::Reset => {
                    let socket: &TcpStream = write.as_ref();
                    socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO)).unwrap();
                    return Some(false);
                }
                Step::Endless(bytes, pause) => loop {
                    write.write_all(&bytes).await.ok()?;
                    tokio::time::sleep(pause).await;
                },
            }
        }
        Some(true)
    }

    fn step(mut self, step: Step) -> Self {
        self.0.push(step);
        self
    }
}
