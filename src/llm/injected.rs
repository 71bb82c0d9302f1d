//! Takes back what an injected `stream_options.include_usage` brought into a stream: the chunk
//! that has nothing but usage, and the keys `"usage": null` of the others.

use bytes::{Bytes, BytesMut};
use memchr::memmem;

use super::{
    json,
    sse::{self, Frames, Piece},
};

/// Streams pass through it as whole events; what it does not understand passes unchanged.
#[derive(Debug, Default)]
pub struct Filter {
    frames: Frames,
}

impl Filter {
    /// The bytes that may go on now.
    pub fn feed(&mut self, chunk: Bytes) -> Bytes {
        let ends_event = chunk.ends_with(b"\n\n") || chunk.ends_with(b"\r\n\r\n");
        if self.frames.is_between_events() && ends_event && !mentions_usage(&chunk) {
            return chunk;
        }
        let mut out = BytesMut::with_capacity(chunk.len());
        self.frames.feed(&chunk, |piece| match piece {
            Piece::Event(event) => keep(event, &mut out),
            Piece::Part(part) => out.extend_from_slice(part),
        });
        out.freeze()
    }

    /// What is held when the stream ends.
    pub fn finish(&mut self) -> Bytes {
        let mut out = BytesMut::new();
        keep(&self.frames.finish(), &mut out);
        out.freeze()
    }
}

fn mentions_usage(bytes: &[u8]) -> bool {
    memmem::find(bytes, b"\"usage\"").is_some()
}

/// Copies what the client should see of one event.
fn keep(event: &[u8], out: &mut BytesMut) {
    let edit = mentions_usage(event).then(|| edit(event)).flatten();
    match edit {
        None => out.extend_from_slice(event),
        Some(Edit::Drop) => {}
        Some(Edit::Cut(from, to)) => {
            out.extend_from_slice(&event[..from]);
            out.extend_from_slice(&event[to..]);
        }
    }
}

enum Edit {
    Drop,
    Cut(usize, usize),
}

/// How most providers write it: the last `}` of a JSON text closes the top level, so what stands
/// right before it is the top level's own.
const LAST_MEMBER: &[u8] = b",\"usage\":null}";

fn edit(event: &[u8]) -> Option<Edit> {
    let end = event.trim_ascii_end().len();
    if event[..end].ends_with(LAST_MEMBER) && sse::data(event).is_some() {
        return Some(Edit::Cut(end - LAST_MEMBER.len(), end - 1));
    }
    let data = std::str::from_utf8(sse::data(event)?).ok()?;
    let members = json::members(data).ok()?;
    let at = members.iter().position(|it| it.0 == "usage")?;
    let usage = members[at].1;
    if usage.starts_with('{') {
        let empty = |it: &str| it.len() >= 2 && it[1..it.len() - 1].trim().is_empty();
        let alone =
            members.iter().any(|(key, it)| key == "choices" && it.starts_with('[') && empty(it));
        return alone.then_some(Edit::Drop);
    }
    if usage != "null" {
        return None;
    }
    // The member reaches from its key's quote to the comma that follows it, or, as the last one,
    // from the comma before it.
    let value = json::span(data, usage);
    let key = data[..value.start].rfind("\"usage\"")?;
    let (mut from, mut to) = (key, value.end);
    let rest = &data[to..];
    if let Some(comma) =
        rest.find(|it: char| !it.is_ascii_whitespace()).filter(|it| rest[*it..].starts_with(','))
    {
        to += comma + 1;
    } else if let Some(comma) = data[..key]
        .rfind(|it: char| !it.is_ascii_whitespace())
        .filter(|it| data[*it..].starts_with(','))
    {
        from = comma;
    }
    let start = data.as_ptr().addr() - event.as_ptr().addr();
    Some(Edit::Cut(start + from, start + to))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ASKED: &str = concat!(
        "data: {\"id\":\"1\",\"choices\":[{\"delta\":{\"content\":\"a \\\"usage\\\":null\"}}],\"usage\":null}\n\n",
        ": comment\n\n",
        "data: {\"usage\": null, \"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\r\n\r\n",
        "data: {\"choices\":[ ],\"usage\":{\"prompt_tokens\":1}}\n\n",
        "data: {\"choices\":[{}],\"usage\":{\"prompt_tokens\":1}}\n\n",
        "data: [DONE]\n\n",
    );
    const SEEN: &str = concat!(
        "data: {\"id\":\"1\",\"choices\":[{\"delta\":{\"content\":\"a \\\"usage\\\":null\"}}]}\n\n",
        ": comment\n\n",
        "data: { \"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\r\n\r\n",
        "data: {\"choices\":[{}],\"usage\":{\"prompt_tokens\":1}}\n\n",
        "data: [DONE]\n\n",
    );

    fn filtered(chunks: &[&[u8]]) -> String {
        let mut filter = Filter::default();
        let mut out = Vec::new();
        for chunk in chunks {
            out.extend_from_slice(&filter.feed(Bytes::copy_from_slice(chunk)));
        }
        out.extend_from_slice(&filter.finish());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_client_sees_the_stream_it_asked_for() {
        assert_eq!(filtered(&[ASKED.as_bytes()]), SEEN);
        let cut = "data: {\"choices\":[],\"usage\":";
        assert_eq!(filtered(&[cut.as_bytes()]), cut, "a torn end passes");
    }

    proptest! {
        #[test]
        fn it_does_not_depend_on_where_the_network_cuts(cut in 0..ASKED.len(), size in 1..40_usize) {
            let (head, tail) = ASKED.as_bytes().split_at(cut);
            let mut chunks = vec![head];
            chunks.extend(tail.chunks(size));
            prop_assert_eq!(filtered(&chunks), SEEN);
        }

        #[test]
        fn no_bytes_panic(stream in any::<Vec<u8>>()) {
            Filter::default().feed(stream.into());
        }
    }
}
