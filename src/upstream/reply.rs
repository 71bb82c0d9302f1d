//! What a provider answers: a head and frames.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;

use super::{connection::Http1Body, echo::EchoBody};

/// The head of a reply and the frames that follow it.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: ReplyBody,
}

/// Where the frames come from. Dropping it drops the connection.
#[derive(Debug)]
pub enum ReplyBody {
    Http1(Box<Http1Body>),
    Hyper(hyper::body::Incoming),
    Echo(Box<EchoBody>),
    /// Already read.
    Whole(Option<Bytes>),
}

/// The stream of a reply broke.
#[derive(Debug, thiserror::Error)]
#[error("the reply broke off")]
pub struct Broke(#[source] pub Box<dyn std::error::Error + Send + Sync>);

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Broke;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broke>>> {
        match self.get_mut() {
            Self::Http1(body) => Pin::new(body.as_mut()).poll_frame(context),
            Self::Hyper(body) => {
                let frame = ready!(Pin::new(body).poll_frame(context));
                Poll::Ready(frame.map(|it| it.map_err(|it| Broke(it.into()))))
            }
            Self::Echo(body) => Pin::new(body.as_mut()).poll_frame(context),
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|it| Ok(Frame::data(it)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end_stream(),
            Self::Hyper(body) => body.is_end_stream(),
            Self::Echo(_) => false,
            Self::Whole(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(body) => body.size_hint(),
            Self::Hyper(body) => body.size_hint(),
            Self::Echo(_) => SizeHint::default(),
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |it| it.len() as u64))
            }
        }
    }
}

impl ReplyBody {
    /// Reads it to its end, at most `limit` bytes and `idle` between two frames. What is over the
    /// limit is cut off and `false` says so; a break is an error.
    pub async fn read(&mut self, limit: usize, idle: Duration) -> Result<(Bytes, bool), Broke> {
        let mut read = BytesMut::new();
        loop {
            let frame = tokio::time::timeout(idle, self.frame())
                .await
                .map_err(|_| Broke("no byte within the idle limit".into()))?;
            let Some(frame) = frame else { return Ok((read.freeze(), true)) };
            if let Ok(data) = frame?.into_data() {
                let room = limit - read.len();
                read.extend_from_slice(&data[..data.len().min(room)]);
                if data.len() > room {
                    return Ok((read.freeze(), false));
                }
            }
        }
    }
}
