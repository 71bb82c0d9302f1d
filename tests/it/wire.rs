//! Bytes that no decent client sends, and whether what comes back is HTTP at all.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout_at},
};

use crate::client::{find, parse_head, position};

/// What came back on one connection.
#[derive(Debug)]
pub struct Exchange {
    pub bytes: Vec<u8>,
    /// torod closed the connection in time.
    pub closed: bool,
}

/// Sends the bytes, and reads until the connection ends or the time is over.
pub async fn exchange(addr: SocketAddr, bytes: impl AsRef<[u8]>, time: Duration) -> Exchange {
    let mut socket = TcpStream::connect(addr).await.unwrap();
    let until = Instant::now() + time;
    // torod may hang up before it has read all.
    let _ = timeout_at(until, socket.write_all(bytes.as_ref())).await;
    let (bytes, closed) = read_until(&mut socket, until).await;
    Exchange { bytes, closed }
}

/// All that comes until the end of the connection, or until the time is over.
pub async fn read_until(socket: &mut TcpStream, until: Instant) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    loop {
        match timeout_at(until, socket.read_buf(&mut bytes)).await {
            Ok(Ok(1..)) => {}
            Ok(_) => return (bytes, true),
            Err(_) => return (bytes, false),
        }
    }
}

/// One reply of several on a connection.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// The replies that these bytes are; an error when they are anything else.
pub fn answers(mut bytes: &[u8]) -> Result<Vec<Answer>, String> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let end = position(bytes, b"\r\n\r\n").ok_or_else(|| wrong("half a head", bytes))?;
        let (first, headers) = parse_head(&bytes[..end]);
        let status = first.strip_prefix("HTTP/1.").and_then(|it| it.get(2..5)?.parse().ok());
        let status: u16 = status.ok_or_else(|| wrong("no status line", bytes))?;
        bytes = &bytes[end + 4..];
        let chunked = find(&headers, "transfer-encoding").is_some();
        let length = find(&headers, "content-length").map(str::parse::<usize>);
        let body = match length {
            _ if status < 200 || status == 204 || status == 304 => Vec::new(),
            Some(_) if chunked => return Err(wrong("two framings", bytes)),
            None if chunked => chunks(&mut bytes)?,
            None => std::mem::take(&mut bytes).to_vec(),
            Some(Ok(length)) => {
                let body = bytes.get(..length).ok_or_else(|| wrong("half a body", bytes))?;
                bytes = &bytes[length..];
                body.to_vec()
            }
            Some(Err(_)) => return Err(wrong("a length that is none", bytes)),
        };
        if status >= 200 {
            found.push(Answer { status, headers, body });
        }
    }
    Ok(found)
}

fn chunks(bytes: &mut &[u8]) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        let end = position(bytes, b"\r\n").ok_or_else(|| wrong("half a chunk", bytes))?;
        let size = std::str::from_utf8(&bytes[..end]).ok();
        let size = size.and_then(|it| usize::from_str_radix(it, 16).ok());
        let size = size.ok_or_else(|| wrong("a size that is none", bytes))?;
        let whole = end + 2 + size + 2;
        let data = bytes.get(end + 2..whole).ok_or_else(|| wrong("half a chunk", bytes))?;
        body.extend_from_slice(&data[..size]);
        *bytes = &bytes[whole..];
        if size == 0 {
            return Ok(body);
        }
    }
}

fn wrong(what: &str, bytes: &[u8]) -> String {
    format!("{what}: {:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(300)]))
}
