//! An HTTP/1.1 client on a bare socket, so that a test sees the bytes that torod sent.

use std::{fmt::Write as _, net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// No exchange of a test takes longer.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A request in the making. It goes out as it stands: one connection each, no header is hidden.
#[derive(Debug, Clone)]
pub struct Ask {
    addr: SocketAddr,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Ask {
    pub fn new(addr: SocketAddr, method: &str, path: &str) -> Self {
        let headers = vec![("host".to_owned(), addr.to_string())];
        Self { addr, method: method.to_owned(), path: path.to_owned(), headers, body: None }
    }

    /// Adds a header, beside others of its name.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Takes all headers of the name away.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(it, _)| !it.eq_ignore_ascii_case(name));
        self
    }

    /// Puts the header in the place of others of its name.
    pub fn with(self, name: &str, value: impl Into<String>) -> Self {
        self.without(name).header(name, value)
    }

    /// The bytes of the body; `content-length` is added when it is sent.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// What goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        if let Some(body) = &self.body {
            let _ = write!(text, "content-length: {}\r\n", body.len());
        }
        text += "\r\n";
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(self.body.as_deref().unwrap_or_default());
        bytes
    }

    /// The whole reply.
    pub async fn send(self) -> Reply {
        self.open().await.rest().await
    }

    /// The head of the reply, and then its pieces.
    pub async fn open(self) -> Stream {
        let socket = TcpStream::connect(self.addr).await.expect("torod listens");
        socket.set_nodelay(true).unwrap();
        let (mut read, mut write) = socket.into_split();
        // A server may answer before it has read all; so writing must not hold up reading.
        let bytes = self.bytes();
        let writing = tokio::spawn(async move {
            let done = write.write_all(&bytes).await.is_ok();
            (write, done)
        });
        let mut buffer = Vec::new();
        let head = timeout(PATIENCE, read_head(&mut read, &mut buffer));
        let head = head.await.expect("a head in time");
        let (status, headers) = head.expect("a whole head before the end of the connection");
        let framing = framing(&self.method, status, &headers);
        Stream { status, headers, framing, buffer, read, writing: Some(writing), broken: false }
    }
}

type Written = tokio::task::JoinHandle<(tokio::net::tcp::OwnedWriteHalf, bool)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Left(usize),
    Chunked,
    UntilClose,
    Done,
}

/// A reply that is still coming.
#[derive(Debug)]
pub struct Stream {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// The connection ended before the body did, or its framing was wrong.
    pub broken: bool,
    framing: Framing,
    buffer: Vec<u8>,
    read: tokio::net::tcp::OwnedReadHalf,
    writing: Option<Written>,
}

impl Stream {
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// What came next: a chunk of a chunked body, else what one read brought. `None` at the end.
    pub async fn piece(&mut self) -> Option<Vec<u8>> {
        timeout(PATIENCE, self.next()).await.expect("a piece in time")
    }

    /// The pieces until their text holds `mark`; panics when they end before.
    pub async fn until(&mut self, mark: &str) -> String {
        let mut bytes = Vec::new();
        loop {
            let piece = self.piece().await;
            let so_far = String::from_utf8_lossy(&bytes).into_owned();
            bytes.extend(piece.unwrap_or_else(|| panic!("no `{mark}` in `{so_far}`")));
            let text = String::from_utf8_lossy(&bytes);
            if text.contains(mark) {
                return text.into_owned();
            }
        }
    }

    /// All that is still to come.
    pub async fn rest(mut self) -> Reply {
        let mut body = Vec::new();
        while let Some(piece) = self.piece().await {
            body.extend(piece);
        }
        let Self { status, headers, broken, .. } = self;
        Reply { status, headers, body, broken }
    }

    /// Hangs up. Both halves must go, else the socket stays open.
    pub async fn hang_up(mut self) {
        if let Some(writing) = self.writing.take() {
            writing.abort();
            let _ = writing.await;
        }
    }

    async fn next(&mut self) -> Option<Vec<u8>> {
        match self.framing {
            Framing::Done | Framing::Left(0) => None,
            Framing::Chunked => match self.chunk().await {
                Some(chunk) if chunk.is_empty() => {
                    self.framing = Framing::Done;
                    None
                }
                Some(chunk) => Some(chunk),
                None => self.fail(),
            },
            Framing::UntilClose => {
                if self.buffer.is_empty() && !self.more().await {
                    self.framing = Framing::Done;
                    return None;
                }
                Some(std::mem::take(&mut self.buffer))
            }
            Framing::Left(left) => {
                if self.buffer.is_empty() && !self.more().await {
                    return self.fail();
                }
                let piece: Vec<u8> = self.buffer.drain(..left.min(self.buffer.len())).collect();
                self.framing = Framing::Left(left - piece.len());
                Some(piece)
            }
        }
    }

    fn fail(&mut self) -> Option<Vec<u8>> {
        (self.broken, self.framing) = (true, Framing::Done);
        None
    }

    async fn chunk(&mut self) -> Option<Vec<u8>> {
        let end = loop {
            if let Some(at) = position(&self.buffer, b"\r\n") {
                break at;
            }
            if !self.more().await {
                return None;
            }
        };
        let size = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        let whole = end + 2 + size + 2;
        while self.buffer.len() < whole {
            if !self.more().await {
                return None;
            }
        }
        let chunk = self.buffer[end + 2..whole - 2].to_vec();
        self.buffer.drain(..whole);
        Some(chunk)
    }

    /// False when the connection has ended.
    async fn more(&mut self) -> bool {
        matches!(self.read.read_buf(&mut self.buffer).await, Ok(n) if n > 0)
    }
}

/// A reply that came whole.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The connection ended before the body did.
    pub broken: bool,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|it| panic!("{it}: {} `{text}`", self.status))
    }

    /// `error.code` of OpenAI's shape; empty when there is none.
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The `data:` values of a stream, in order.
    pub fn events(&self) -> Vec<String> {
        let text = self.text();
        text.lines().filter_map(|it| it.strip_prefix("data:")).map(|it| it.trim().into()).collect()
    }
}

/// The value of the first header of that name.
pub fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, it)| it.as_str())
}

pub fn position(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|it| it == part)
}

/// Start line and header lines of a head without its empty line.
pub fn parse_head(head: &[u8]) -> (String, Vec<(String, String)>) {
    let text = String::from_utf8_lossy(head).into_owned();
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default().to_owned();
    let pair = |it: &str| it.split_once(':').map(|(a, b)| (a.to_owned(), b.trim().to_owned()));
    (first, lines.filter_map(pair).collect())
}

type Head = (u16, Vec<(String, String)>);

/// The first head that is not a 1xx; `None` when the connection ends before.
async fn read_head(
    read: &mut tokio::net::tcp::OwnedReadHalf,
    buffer: &mut Vec<u8>,
) -> Option<Head> {
    loop {
        if let Some(end) = position(buffer, b"\r\n\r\n") {
            let (first, headers) = parse_head(&buffer[..end]);
            buffer.drain(..end + 4);
            let status: u16 = first.split(' ').nth(1)?.parse().ok()?;
            if status == 101 || status >= 200 {
                return Some((status, headers));
            }
        } else if read.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

fn framing(method: &str, status: u16, headers: &[(String, String)]) -> Framing {
    if method == "HEAD" || status == 101 || status == 204 || status == 304 {
        return Framing::Done;
    }
    if find(headers, "transfer-encoding").is_some_and(|it| it.contains("chunked")) {
        return Framing::Chunked;
    }
    match find(headers, "content-length").and_then(|it| it.parse().ok()) {
        Some(length) => Framing::Left(length),
        None => Framing::UntilClose,
    }
}
