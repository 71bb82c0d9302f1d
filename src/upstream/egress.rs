//! Where torod may connect to, decided on the address that a connection really goes to: after the
//! name was looked up, and for addresses that are written out.
//!
//! Link-local addresses, the metadata services of clouds, multicast and broadcast are nobody's
//! model server and are never connected to; private and loopback ones are, unless the file says
//! `egress = "public"`.

use std::{
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
    vec,
};

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};

/// What an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    Public,
    /// Of this machine or of a network of somebody's own.
    Private,
    /// No model server, whoever asks.
    Never,
}

/// A connection that was not opened because of where it would have gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("torod does not connect to link-local, metadata, multicast or broadcast addresses")]
    Never,
    #[error("`egress = \"public\"` does not let torod connect to private or loopback addresses")]
    Private,
}

/// A name without an address.
#[derive(Debug, thiserror::Error)]
#[error("the host's name has no address")]
pub struct NoName(#[source] io::Error);

/// Metadata services outside of the link-local ranges: Alibaba, Azure, Oracle; AWS, Google.
const METADATA_V4: [[u8; 4]; 3] = [[100, 100, 100, 200], [168, 63, 129, 16], [192, 0, 0, 192]];
const METADATA_V6: [[u16; 8]; 2] =
    [[0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]];

/// Where an address leads.
pub fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(it) => reach_v4(it),
        IpAddr::V6(it) => reach_v6(it),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    let bytes = address.octets();
    if bytes[0] == 0
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || METADATA_V4.contains(&bytes)
    {
        return Reach::Never;
    }
    let is_private = address.is_loopback()
        || address.is_private()
        || address.is_documentation()
        || bytes[0] >= 240
        || matches!(bytes, [100, 64..=127, ..] | [192, 0, 0, _] | [198, 18..=19, ..]);
    if is_private { Reach::Private } else { Reach::Public }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    let words = address.segments();
    if address.is_unspecified()
        || address.is_multicast()
        || address.is_unicast_link_local()
        || METADATA_V6.contains(&words)
    {
        return Reach::Never;
    }
    if address.is_loopback() {
        return Reach::Private;
    }
    if let Some((embedded, least)) = embedded(words) {
        return reach_v4(embedded).max(least);
    }
    let is_private = address.is_unique_local()
        || words[0] & 0xffc0 == 0xfec0
        || words[0] == 0x2001 && (words[1] == 0 || words[1] == 0xdb8)
        || words[0] == 0x100;
    if is_private { Reach::Private } else { Reach::Public }
}

/// The IPv4 address inside of an IPv6 one, and what the whole is at least.
fn embedded(words: [u16; 8]) -> Option<(Ipv4Addr, Reach)> {
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match words {
        // Mapped; the same behind a translator (NAT64); 6to4.
        [0, 0, 0, 0, 0, 0xffff, a, b]
        | [0, 0, 0, 0, 0xffff, 0, a, b]
        | [0x64, 0xff9b, 0, 0, 0, 0, a, b]
        | [0x2002, a, b, ..] => Some((v4(a, b), Reach::Public)),
        // Compatible, long out of use; a translator of somebody's own.
        [0, 0, 0, 0, 0, 0, a, b] | [0x64, 0xff9b, 1, _, _, _, a, b] => {
            Some((v4(a, b), Reach::Private))
        }
        _ => None,
    }
}

/// Whether a connection may go there.
pub(super) fn check(address: IpAddr, public_only: bool) -> Result<(), Refused> {
    match reach(address) {
        Reach::Never => Err(Refused::Never),
        Reach::Private if public_only => Err(Refused::Private),
        _ => Ok(()),
    }
}

/// A host that is an address, as `http::Uri` writes it.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host).parse().ok()
}

/// Looks names up and lets through only the addresses that may be connected to.
#[derive(Debug, Clone)]
pub(super) struct Resolver<R = GaiResolver> {
    pub(super) inner: R,
    pub(super) public_only: bool,
}

impl<R, A> tower_service::Service<Name> for Resolver<R>
where
    R: tower_service::Service<Name, Response = A, Error = io::Error>,
    R::Future: Send + 'static,
    A: Iterator<Item = SocketAddr>,
{
    type Response = vec::IntoIter<SocketAddr>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (looking, public_only) = (self.inner.call(name), self.public_only);
        Box::pin(async move {
            let found: Vec<SocketAddr> = looking.await.map_err(NoName)?.collect();
            let mut refused = None;
            let allowed = found.into_iter().filter(|it| {
                let checked = check(it.ip(), public_only);
                refused = refused.or(checked.err());
                checked.is_ok()
            });
            let allowed: Vec<_> = allowed.collect();
            match refused.filter(|_| allowed.is_empty()) {
                Some(refused) => Err(refused.into()),
                None => Ok(allowed.into_iter()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_what_it_leads_to() {
        use Reach::{Never, Private, Public};
        for (text, wanted) in [
            ("169.254.169.254", Never),
            ("169.254.0.1", Never),
            ("::ffff:169.254.169.254", Never),
            ("::ffff:0:169.254.169.254", Never),
            ("::169.254.169.254", Never),
            ("64:ff9b::169.254.169.254", Never),
            ("64:ff9b:1::169.254.169.254", Never),
            ("2002:a9fe:a9fe::1", Never),
            ("fd00:ec2::254", Never),
            ("fd20:ce::254", Never),
            ("fe80::1", Never),
            ("febf::1", Never),
            ("100.100.100.200", Never),
            ("168.63.129.16", Never),
            ("0.0.0.0", Never),
            ("0.1.2.3", Never),
            ("::", Never),
            ("224.0.0.1", Never),
            ("239.255.255.255", Never),
            ("ff02::1", Never),
            ("255.255.255.255", Never),
            ("::ffff:255.255.255.255", Never),
            ("127.0.0.1", Private),
            ("127.255.0.1", Private),
            ("::1", Private),
            ("::ffff:127.0.0.1", Private),
            ("10.0.0.1", Private),
            ("172.16.0.1", Private),
            ("172.31.255.255", Private),
            ("192.168.1.1", Private),
            ("100.64.0.1", Private),
            ("198.18.0.1", Private),
            ("240.0.0.1", Private),
            ("fc00::1", Private),
            ("fd12:3456::1", Private),
            ("fec0::1", Private),
            ("::8.8.8.8", Private),
            ("64:ff9b::10.0.0.1", Private),
            ("2002:a00:1::1", Private),
            ("2001:db8::1", Private),
            ("2001::1", Private),
            ("8.8.8.8", Public),
            ("172.32.0.1", Public),
            ("100.128.0.1", Public),
            ("::ffff:8.8.8.8", Public),
            ("64:ff9b::8.8.8.8", Public),
            ("2606:4700::1111", Public),
        ] {
            assert_eq!(reach(text.parse().unwrap()), wanted, "{text}");
        }
    }

    #[test]
    fn every_spelling_of_an_address_is_that_address() {
        let metadata: IpAddr = [169, 254, 169, 254].into();
        for (text, wanted) in [
            ("http://169.254.169.254/latest", Some(metadata)),
            ("http://0xA9FEA9FE/", Some(metadata)),
            ("http://2852039166/", Some(metadata)),
            ("http://0251.0376.0251.0376/", Some(metadata)),
            ("http://169.254.43518/", Some(metadata)),
            ("http://169.254.169.254./", Some(metadata)),
            ("http://\u{ff11}69.254.169.254/", Some(metadata)),
            ("http://[::ffff:a9fe:a9fe]/", "::ffff:169.254.169.254".parse().ok()),
            ("http://[fd00:ec2::254]:80/", "fd00:ec2::254".parse().ok()),
            ("http://metadata.google.internal/", None),
        ] {
            let uri: http::Uri = url::Url::parse(text).unwrap().as_str().parse().unwrap();
            assert_eq!(uri.host().and_then(literal), wanted, "{text}");
        }
    }

    #[tokio::test]
    async fn a_name_is_as_good_as_its_addresses() {
        use tower_service::Service as _;

        /// What every name stands for.
        #[derive(Clone)]
        struct Fixed(Vec<SocketAddr>);
        impl tower_service::Service<Name> for Fixed {
            type Response = vec::IntoIter<SocketAddr>;
            type Error = io::Error;
            type Future = std::future::Ready<io::Result<Self::Response>>;
            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }
            fn call(&mut self, _: Name) -> Self::Future {
                std::future::ready(Ok(self.0.clone().into_iter()))
            }
        }

        for (addresses, public_only, wanted) in [
            (&["169.254.169.254"][..], false, Err(Refused::Never)),
            (&["fd00:ec2::254", "169.254.169.254"], false, Err(Refused::Never)),
            (&["::ffff:169.254.169.254"], true, Err(Refused::Never)),
            (&["127.0.0.1"], false, Ok(1)),
            (&["127.0.0.1"], true, Err(Refused::Private)),
            (&["10.0.0.1", "::1"], true, Err(Refused::Private)),
            // One good address does not open the way to the others.
            (&["169.254.169.254", "8.8.8.8"], false, Ok(1)),
            (&["10.0.0.1", "8.8.8.8"], true, Ok(1)),
            (&["10.0.0.1", "8.8.8.8"], false, Ok(2)),
            (&[], false, Ok(0)),
        ] {
            let inner = Fixed(
                addresses.iter().map(|it| (it.parse::<IpAddr>().unwrap(), 0).into()).collect(),
            );
            let mut resolver = Resolver { inner, public_only };
            let found = resolver.call("any.example".parse().unwrap()).await;
            let found = found
                .map(Iterator::count)
                .map_err(|it| *it.downcast::<Refused>().expect("a refusal, not another error"));
            assert_eq!(found, wanted, "{addresses:?} {public_only}");
        }
    }
}
