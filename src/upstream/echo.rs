//! Plays the script of the built-in echo provider as if it came over a connection.

use std::{
    collections::VecDeque,
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep};

use super::{Reply, ReplyBody, reply::Broke};
use crate::llm::echo;

/// Answers a request to `path`.
pub async fn send(
    path: &str,
    body: &[u8],
    first_byte: Duration,
) -> Result<Reply, super::UpstreamError> {
    let script = echo::answer(path, body);
    if !script.wait.is_zero() {
        tokio::time::sleep(script.wait.min(first_byte)).await;
        if script.wait >= first_byte {
            return Err(super::UpstreamError::Silent(first_byte.as_secs()));
        }
    }
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(script.content_type));
    if script.status == 429 {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    let body = if script.pieces.len() == 1 && !script.cut {
        ReplyBody::Whole(script.pieces.into_iter().next().map(Into::into))
    } else {
        ReplyBody::Echo(Box::new(EchoBody {
            pieces: script.pieces.into(),
            tick: script.tick,
            cut: script.cut,
            timer: None,
        }))
    };
    let status = StatusCode::from_u16(script.status).unwrap_or(StatusCode::OK);
    Ok(Reply { status, headers, body })
}

/// The pieces of a script, each after its pause.
#[derive(Debug)]
pub struct EchoBody {
    pieces: VecDeque<String>,
    tick: Duration,
    cut: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Body for EchoBody {
    type Data = Bytes;
    type Error = Broke;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broke>>> {
        if let Some(timer) = &mut self.timer {
            ready!(timer.as_mut().poll(context));
        }
        let Some(piece) = self.pieces.pop_front() else {
            let cut = std::mem::take(&mut self.cut);
            return Poll::Ready(cut.then(|| Err(Broke("the echo was asked to break off".into()))));
        };
        if !self.tick.is_zero() {
            let next = Instant::now() + self.tick;
            match &mut self.timer {
                Some(timer) => timer.as_mut().reset(next),
                none => *none = Some(Box::pin(tokio::time::sleep_until(next))),
            }
        }
        Poll::Ready(Some(Ok(Frame::data(piece.into()))))
    }
}
