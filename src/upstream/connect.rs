//! Opening a connection: name, socket and TLS within one limit that the file can change at any
//! time.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{
    client::legacy::connect::{HttpConnector, dns::GaiResolver},
    rt::TokioIo,
};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;

use super::egress::{self, Resolver};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Opens connections to providers.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    inner: HttpsConnector<HttpConnector<Resolver>>,
    limit_seconds: Arc<AtomicU64>,
    public_only: bool,
}

/// No connection in time.
#[derive(Debug, thiserror::Error)]
#[error("not connected within {0} s")]
pub struct TooSlow(u64);

impl Connector {
    /// `any_version`: HTTP/2 is offered beside HTTP/1.1.
    pub(super) fn new(
        tls: &ClientConfig,
        any_version: bool,
        limit_seconds: &Arc<AtomicU64>,
        public_only: bool,
    ) -> Self {
        let resolver = Resolver { inner: GaiResolver::new(), public_only };
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // A provider that stops reading must not keep a large body in memory.
        tcp.set_tcp_user_timeout(Some(Duration::from_mins(1)));
        tcp.set_keepalive(Some(Duration::from_mins(1)));
        let inner = HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http();
        let inner = if any_version {
            inner.enable_all_versions().wrap_connector(tcp)
        } else {
            inner.enable_http1().wrap_connector(tcp)
        };
        Self { inner, limit_seconds: Arc::clone(limit_seconds), public_only }
    }
}

/// The machine's own roots, so that a company's authority is trusted; without any, the embedded
/// ones.
pub(super) fn tls() -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

impl tower_service::Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // Nobody looks up a host that is an address, so the resolver does not see it.
        if let Some(address) = uri.host().and_then(egress::literal)
            && let Err(refused) = egress::check(address, self.public_only)
        {
            return Box::pin(std::future::ready(Err(refused.into())));
        }
        let limit = Duration::from_secs(self.limit_seconds.load(Ordering::Relaxed));
        let opening = self.inner.call(uri);
        Box::pin(async move {
            match tokio::time::timeout(limit, opening).await {
                Ok(opened) => opened,
                Err(_) => Err(TooSlow(limit.as_secs()).into()),
            }
        })
    }
}

/// Whether somebody listens on a Unix socket.
pub fn is_listening(path: &std::path::Path) -> bool {
    std::os::unix::net::UnixStream::connect(path).is_ok()
}
