//! A provider that does as its script says, on a real socket and by hand, so that it can misbehave.

use std::{
    collections::VecDeque,
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, Interest, Ready},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf},
};

use crate::client::{find, parse_head, position};
pub use crate::script::{Gate, Script};

/// A request as it came in.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// With its query.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Null when the body is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The value of `model`; empty when there is none.
    pub fn model(&self) -> String {
        self.json()["model"].as_str().unwrap_or_default().to_owned()
    }
}

type Play = dyn Fn(&Request) -> Script + Send + Sync;

/// A handle on the provider; it answers as long as the test's runtime lives.
#[derive(Clone)]
pub struct Scripted {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    play: Box<Play>,
    early: bool,
    models: Mutex<Vec<String>>,
    list: Mutex<Option<Script>>,
    requests: Mutex<Vec<Arc<Request>>>,
    lists: AtomicUsize,
    connections: AtomicUsize,
    open: AtomicUsize,
    gone: AtomicUsize,
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scripted({})", self.addr)
    }
}

impl Scripted {
    /// A provider that asks `play` what to do about each request. `GET .../models` is answered by
    /// itself with the models of [`Self::set_models`], and is no hit.
    pub async fn start(play: impl Fn(&Request) -> Script + Send + Sync + 'static) -> Self {
        Self::listen(Box::new(play), false).await
    }

    /// One that does the same about each request.
    pub async fn always(script: Script) -> Self {
        Self::start(move |_| script.clone()).await
    }

    /// One that plays these scripts in turn, and the last again and again.
    pub async fn in_turn(scripts: impl IntoIterator<Item = Script>) -> Self {
        let scripts = Mutex::new(scripts.into_iter().collect::<VecDeque<_>>());
        Self::start(move |_| {
            let mut scripts = scripts.lock().unwrap();
            if scripts.len() > 1 { scripts.pop_front().unwrap() } else { scripts[0].clone() }
        })
        .await
    }

    /// One that plays as soon as it has the head, and never reads a body.
    pub async fn early(play: impl Fn(&Request) -> Script + Send + Sync + 'static) -> Self {
        Self::listen(Box::new(play), true).await
    }

    /// A base URL at which nobody listens, as long as the socket lives.
    pub fn refused() -> (String, tokio::net::TcpSocket) {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        (format!("http://{}/v1", socket.local_addr().unwrap()), socket)
    }

    async fn listen(play: Box<Play>, early: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            play,
            early,
            models: Mutex::new(vec!["m".to_owned()]),
            list: Mutex::default(),
            requests: Mutex::default(),
            lists: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            gone: AtomicUsize::new(0),
        });
        let inner = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                inner.connections.fetch_add(1, Ordering::SeqCst);
                inner.open.fetch_add(1, Ordering::SeqCst);
                let inner = Arc::clone(&inner);
                tokio::spawn(async move {
                    inner.serve(socket).await;
                    inner.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { addr, shared }
    }

    /// `http://127.0.0.1:PORT`, without a path.
    pub fn root(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// `http://127.0.0.1:PORT/v1`.
    pub fn base(&self) -> String {
        self.root() + "/v1"
    }

    /// What `GET .../models` answers from now on; `["m"]` at first.
    pub fn set_models(&self, models: &[&str]) {
        *self.shared.models.lock().unwrap() = models.iter().map(|&it| it.to_owned()).collect();
    }

    /// What is done about `GET .../models` from now on, instead of listing models.
    pub fn set_list(&self, script: Script) {
        *self.shared.list.lock().unwrap() = Some(script);
    }

    /// All requests but those for the list of models, in order.
    pub fn requests(&self) -> Vec<Arc<Request>> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// The last request; panics when there was none.
    pub fn last(&self) -> Arc<Request> {
        self.requests().pop().expect("the provider was asked")
    }

    /// How many requests came, those for the list of models apart.
    pub fn hits(&self) -> usize {
        self.shared.requests.lock().unwrap().len()
    }

    /// How often the list of models was asked for.
    pub fn lists(&self) -> usize {
        self.shared.lists.load(Ordering::SeqCst)
    }

    /// How many connections were ever accepted.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many connections are open now, idle ones too.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// How many times the other side went away before its script was done.
    pub fn gone(&self) -> usize {
        self.shared.gone.load(Ordering::SeqCst)
    }
}

impl Shared {
    async fn serve(&self, socket: TcpStream) {
        let _ = socket.set_nodelay(true);
        let (mut read, mut write) = socket.into_split();
        let mut buffer = Vec::new();
        while let Some(request) = read_request(&mut read, &mut buffer, self.early).await {
            let script = self.script(request);
            let kept = tokio::select! {
                biased;
                kept = script.run(&mut write) => kept,
                () = hung_up(&read) => None,
            };
            match kept {
                Some(true) if !self.early => {}
                Some(_) => break,
                None => {
                    self.gone.fetch_add(1, Ordering::SeqCst);
                    break;
                }
            }
        }
        // Without this, dropping it would send a FIN before the reset that a script asked for.
        write.forget();
    }

    fn script(&self, request: Request) -> Script {
        if request.method == "GET" && request.path.split('?').next().unwrap().ends_with("/models") {
            self.lists.fetch_add(1, Ordering::SeqCst);
            if let Some(script) = self.list.lock().unwrap().clone() {
                return script;
            }
            let models = self.models.lock().unwrap().clone();
            let named = |key: &str| models.iter().map(|it| json!({ key: it })).collect::<Vec<_>>();
            let list = json!({"object": "list", "data": named("id"), "models": named("name")});
            return Script::json(200, list.to_string());
        }
        let request = Arc::new(request);
        self.requests.lock().unwrap().push(Arc::clone(&request));
        (self.play)(&request)
    }
}

/// Resolves when the other side has closed its end.
async fn hung_up(read: &OwnedReadHalf) {
    let socket: &TcpStream = read.as_ref();
    let mut byte = [0; 1];
    // Bytes that nobody reads hide the end behind them; only the kernel's own word is left then.
    while matches!(socket.peek(&mut byte).await, Ok(1..)) {
        if socket.ready(Interest::READABLE).await.is_ok_and(Ready::is_read_closed) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn read_request(
    read: &mut OwnedReadHalf,
    buffer: &mut Vec<u8>,
    early: bool,
) -> Option<Request> {
    let end = loop {
        if let Some(end) = position(buffer, b"\r\n\r\n") {
            break end;
        }
        more(read, buffer).await?;
    };
    let (first, headers) = parse_head(&buffer[..end]);
    buffer.drain(..end + 4);
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut request = Request { method, path, headers, body: Vec::new() };
    if !early {
        request.body = read_body(&request, read, buffer).await?;
    }
    Some(request)
}

async fn read_body(
    request: &Request,
    read: &mut OwnedReadHalf,
    buffer: &mut Vec<u8>,
) -> Option<Vec<u8>> {
    if request.header("transfer-encoding").is_none() {
        let length = request.header("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
        while buffer.len() < length {
            more(read, buffer).await?;
        }
        return Some(buffer.drain(..length).collect());
    }
    let mut body = Vec::new();
    loop {
        let end = loop {
            match position(buffer, b"\r\n") {
                Some(end) => break end,
                None => more(read, buffer).await?,
            }
        };
        let size = usize::from_str_radix(std::str::from_utf8(&buffer[..end]).ok()?, 16).ok()?;
        let whole = end + 2 + size + 2;
        while buffer.len() < whole {
            more(read, buffer).await?;
        }
        body.extend_from_slice(&buffer[end + 2..whole - 2]);
        buffer.drain(..whole);
        if size == 0 {
            return Some(body);
        }
    }
}

/// None when the connection has ended.
async fn more(read: &mut OwnedReadHalf, buffer: &mut Vec<u8>) -> Option<()> {
    (read.read_buf(buffer).await.ok()? > 0).then_some(())
}
