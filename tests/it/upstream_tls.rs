//! Providers over TLS: what is trusted, and which HTTP is spoken.

use std::{
    convert::Infallible,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    client::PATIENCE,
    process::{Torod, directory, program},
    samples::{CHAT, DONE, STOP, USAGE, delta},
    world::CONFIG,
};

/// Somebody who signs certificates.
type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn acceptor(authority: &Authority, name: &str, protocols: &[&str]) -> TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// What came: over which connection, in which version, for which path.
type Seen = Arc<Mutex<Vec<(usize, Version, String)>>>;

/// A provider that serves well, once a client trusts it.
async fn provider(acceptor: TlsAcceptor) -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let (kept, count) = (Arc::clone(&seen), Arc::new(AtomicUsize::new(0)));
    let addr = on_each(move |socket| {
        let (seen, acceptor) = (Arc::clone(&kept), acceptor.clone());
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            if let Ok(stream) = acceptor.accept(socket).await {
                serve(stream, number, seen).await;
            }
        }
    })
    .await;
    (addr, seen)
}

/// Does this with each connection.
async fn on_each<F>(play: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(play(socket));
        }
    });
    addr
}

async fn serve(stream: TlsStream<TcpStream>, number: usize, seen: Seen) {
    let is_two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(move |request: Request<Incoming>| {
        let path = request.uri().path().to_owned();
        seen.lock().unwrap().push((number, request.version(), path));
        answer(request)
    });
    let io = TokioIo::new(stream);
    // How a connection ends is the client's affair.
    let _ = if is_two {
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder.serve_connection(io, service).await
    } else {
        hyper::server::conn::http1::Builder::new().serve_connection(io, service).await
    };
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_list = request.uri().path().ends_with("/models");
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let wants_stream = String::from_utf8_lossy(&body).contains("\"stream\":true");
    let (kind, text) = match (is_list, wants_stream) {
        (true, _) => ("application/json", r#"{"data":[{"id":"m"}]}"#.to_owned()),
        (_, true) => ("text/event-stream", events()),
        _ => ("application/json", CHAT.to_owned()),
    };
    Ok(Response::builder().header("content-type", kind).body(text.into()).unwrap())
}

/// More than one record of TLS holds.
fn events() -> String {
    (0..500).map(|it| delta(&it.to_string())).collect::<String>() + STOP + USAGE + DONE
}

/// A torod that trusts this authority alone, with this provider.
async fn torod(trusted: &Authority, addr: SocketAddr) -> Torod {
    let base = format!("https://localhost:{}/v1", addr.port());
    let dir = directory(&CONFIG.replace("{scripted}", &base), &[]);
    let roots = dir.path().join("roots.pem");
    std::fs::write(&roots, trusted.pem()).unwrap();
    let mut command = program(&dir);
    command.env("SSL_CERT_FILE", roots).env("SSL_CERT_DIR", Path::new("/nowhere"));
    Torod::launch(dir, command).listens().await
}

/// Waits until the models of the provider are known.
async fn is_listed(torod: &Torod) {
    let until = Instant::now() + PATIENCE;
    while !torod.ask("GET", "/v1/models").send().await.text().contains("\"scripted/m\"") {
        assert!(Instant::now() < until, "the list is not loaded: {}", torod.said());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_two_agree_on_is_spoken() {
    let authority = authority("ours");
    for (protocols, version) in [
        (&["h2", "http/1.1"][..], Version::HTTP_2),
        (&["http/1.1"], Version::HTTP_11),
        (&[], Version::HTTP_11),
    ] {
        let (addr, seen) = provider(acceptor(&authority, "localhost", protocols)).await;
        let torod = torod(&authority, addr).await;
        is_listed(&torod).await;
        for _ in 0..5 {
            let reply = torod.chat("scripted/m").await;
            assert_eq!((reply.status, reply.text()), (200, CHAT.to_owned()), "{protocols:?}");
            let reply = torod.chatting("scripted/m", true).send().await;
            assert!(!reply.broken, "{protocols:?}");
            let shown = (events(), events().replace(USAGE, ""));
            assert!([&shown.0, &shown.1].contains(&&reply.text()), "{:.3000}", reply.text());
        }
        let seen = seen.lock().unwrap().clone();
        assert!(seen.iter().all(|it| it.1 == version), "{protocols:?}: {seen:?}");
        let chats: Vec<_> = seen.iter().filter(|it| !it.2.ends_with("/models")).collect();
        assert_eq!(chats.len(), 10);
        // The first exchange finds out what is spoken; HTTP/1.1 then goes its own way.
        let own = usize::from(version == Version::HTTP_11);
        assert!(chats[1..].iter().all(|it| it.0 == own), "{protocols:?}: {seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_cannot_be_trusted_gets_nothing() {
    let (trusted, other) = (authority("ours"), authority("theirs"));
    let (unknown, unknown_seen) = provider(acceptor(&other, "localhost", &[])).await;
    let (misnamed, misnamed_seen) = provider(acceptor(&trusted, "other.test", &[])).await;
    for (addr, why) in [(unknown, "UnknownIssuer"), (misnamed, "not valid for name")] {
        let torod = torod(&trusted, addr).await;
        for _ in 0..2 {
            let reply = torod.chat("scripted/m").await;
            assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_tls"));
            is_discreet(&reply.text(), addr);
        }
        torod.says(why).await;
        let said = torod.said();
        let (_, rest) = said.split_once('\n').expect("the line of its own address");
        is_discreet(rest, addr);
    }
    assert!(unknown_seen.lock().unwrap().is_empty() && misnamed_seen.lock().unwrap().is_empty());
}

/// No URL, no address, no credential.
fn is_discreet(text: &str, addr: SocketAddr) {
    for secret in ["://", &format!(":{}", addr.port()), "up-secret"] {
        assert!(!text.contains(secret), "`{secret}` is in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_goes_wrong_is_an_error() {
    let trusted = authority("ours");
    let drops = on_each(|mut socket| async move {
        let _ = socket.read(&mut [0; 4096]).await;
    })
    .await;
    let speaks_plain = on_each(|mut socket| async move {
        let _ = socket.read(&mut [0; 4096]).await;
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    })
    .await;
    let resets = on_each(|socket| async move {
        socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
    })
    .await;
    let unreachable = "upstream_unreachable";
    for (addr, code) in
        [(drops, unreachable), (speaks_plain, "upstream_tls"), (resets, unreachable)]
    {
        let torod = torod(&trusted, addr).await;
        let reply = torod.chat("scripted/m").await;
        assert_eq!((reply.status, reply.code().as_str()), (502, code));
        is_discreet(&reply.text(), addr);
    }
}
