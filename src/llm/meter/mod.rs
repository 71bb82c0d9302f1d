//! Usage, ids and the end of an answer, read from bytes on their way to the client.
//!
//! A stream is cut into events and only those that mention usage are looked into; a whole reply
//! goes through a scanner that keeps nothing but the values it is after.

mod scan;
mod usage;

use std::{sync::LazyLock, time::Duration};

use memchr::memmem::Finder;

use super::{
    Protocol,
    sse::{self, Frames, Piece},
};
use crate::base::{Usage, Usd};
use scan::Scan;
use usage::Counts;

/// What was read from a reply so far.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub struct Found {
    pub usage: Option<Usage>,
    /// What the provider says that it cost.
    pub cost: Option<Usd>,
    /// The usage is a guess from the size of the answer: the provider reported none.
    pub estimated: bool,
    /// The provider's own time for the prompt, and for the answer.
    pub prompt_time: Option<Duration>,
    pub generation_time: Option<Duration>,
    pub id: Option<String>,
    /// The answer says of itself that it is complete.
    pub complete: bool,
    /// Nothing follows: a stream's very last mark was seen.
    pub ended: bool,
    /// The provider ended the stream with an error event of its own.
    pub failed: bool,
    /// Events of a stream that carried data.
    pub events: u64,
}

/// Reads one reply as it passes.
#[derive(Debug)]
pub struct Meter {
    protocol: Protocol,
    kind: Kind,
    counts: Counts,
    found: Found,
    bytes: u64,
}

#[derive(Debug)]
enum Kind {
    Whole(Box<Scan>),
    Stream(Frames),
    /// Neither JSON nor a stream of events: audio, images, HTML.
    Opaque,
}

impl Meter {
    pub fn whole(protocol: Protocol) -> Self {
        Self::new(protocol, Kind::Whole(Box::default()))
    }

    pub fn stream(protocol: Protocol) -> Self {
        Self::new(protocol, Kind::Stream(Frames::default()))
    }

    pub fn opaque(protocol: Protocol) -> Self {
        Self::new(protocol, Kind::Opaque)
    }

    fn new(protocol: Protocol, kind: Kind) -> Self {
        Self { protocol, kind, counts: Counts::default(), found: Found::default(), bytes: 0 }
    }

    pub fn is_stream(&self) -> bool {
        matches!(self.kind, Kind::Stream(_))
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let Self { protocol, kind, counts, found, .. } = self;
        match kind {
            Kind::Whole(scan) => {
                scan.feed(bytes);
                scan.take_into(counts, found);
            }
            Kind::Stream(frames) => frames.feed(bytes, |piece| match piece {
                Piece::Event(event) => look(*protocol, event, counts, found),
                Piece::Part(_) => found.events += 1,
            }),
            Kind::Opaque => {}
        }
    }

    /// Whether the stream ended where its protocol lets it end.
    pub fn is_complete(&self) -> bool {
        self.found.complete || self.found.failed
    }

    /// Whether a stream's last mark was seen, after which nothing comes.
    pub fn has_ended(&self) -> bool {
        self.found.ended || self.found.failed
    }

    pub fn events(&self) -> u64 {
        self.found.events
    }

    pub fn id(&self) -> Option<&str> {
        self.found.id.as_deref()
    }

    /// All that was found; usage is guessed when there was an answer without it.
    ///
    /// `request_bytes` is the size of the request's body, `answered` whether the reply was a 2xx.
    pub fn finish(mut self, request_bytes: usize, answered: bool) -> Found {
        match &mut self.kind {
            Kind::Whole(_) | Kind::Opaque => self.found.complete = true,
            Kind::Stream(frames) => {
                let rest = frames.finish();
                look(self.protocol, &rest, &mut self.counts, &mut self.found);
            }
        }
        self.found.usage = self.counts.usage(self.protocol);
        (self.found.prompt_time, self.found.generation_time) = self.counts.times();
        self.found.cost = self.counts.cost();
        let output = match self.kind {
            // Most providers send a token an event.
            Kind::Stream(_) => self.found.events,
            Kind::Whole(_) => self.bytes / 4,
            Kind::Opaque => return self.found,
        };
        if self.found.usage.is_none() && answered && self.bytes > 0 {
            self.found.estimated = true;
            let input = request_bytes as u64 / 4;
            self.found.usage = Some(Usage { input, output, ..Usage::default() });
        }
        self.found
    }
}

/// Texts whose presence in an event says something; a quote inside a JSON string is escaped, so
/// none of them can be part of what the model said.
struct Marks {
    usage: Finder<'static>,
    ends: [(Protocol, Finder<'static>); 6],
    error: Finder<'static>,
}

static MARKS: LazyLock<Marks> = LazyLock::new(|| Marks {
    usage: Finder::new("\"usage"),
    ends: [
        (Protocol::Chat, Finder::new("\"finish_reason\":\"")),
        (Protocol::Chat, Finder::new("\"finish_reason\": \"")),
        (Protocol::Responses, Finder::new("\"response.completed\"")),
        (Protocol::Responses, Finder::new("\"response.incomplete\"")),
        (Protocol::Messages, Finder::new("\"message_stop\"")),
        (Protocol::Gemini, Finder::new("\"finishReason\"")),
    ],
    error: Finder::new("\"error\""),
});

fn look(protocol: Protocol, event: &[u8], counts: &mut Counts, found: &mut Found) {
    let Some(data) = sse::data(event) else { return };
    if data == b"[DONE]" {
        (found.complete, found.ended) = (true, true);
        return;
    }
    found.events += 1;
    let first = found.events == 1;
    let marks = &*MARKS;
    if first || reports_usage(&marks.usage, data) {
        let mut scan = Scan::default();
        scan.feed(data);
        scan.take_into(counts, found);
    }
    if !found.complete {
        found.complete =
            marks.ends.iter().any(|(of, it)| *of == protocol && it.find(data).is_some());
        // Chat has `[DONE]` after its last chunk; the others have their last event.
        found.ended = found.complete && protocol != Protocol::Chat;
    }
    if marks.error.find(&data[..data.len().min(64)]).is_some()
        || data.starts_with(b"{\"type\":\"response.failed\"")
    {
        let mut scan = Scan::default();
        scan.feed(data);
        found.failed |= scan.is_error();
    }
}

/// Usage, and not only the `"usage":null` that every other chunk of a stream may hold.
fn reports_usage(usage: &Finder<'_>, data: &[u8]) -> bool {
    usage.find_iter(data).any(|at| !data[at..].starts_with(b"\"usage\":null"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usage(input: u64, cache_read: u64, output: u64, reasoning: u64) -> Usage {
        Usage { input, cache_read, output, reasoning, ..Usage::default() }
    }

    fn whole(protocol: Protocol, body: &str) -> Found {
        let mut meter = Meter::whole(protocol);
        meter.feed(body.as_bytes());
        meter.finish(40, true)
    }

    fn stream(protocol: Protocol, body: &str, size: usize) -> Found {
        let mut meter = Meter::stream(protocol);
        body.as_bytes().chunks(size).for_each(|it| meter.feed(it));
        meter.finish(40, true)
    }

    #[test]
    fn times_are_found_wherever_a_provider_puts_them() {
        let groq = r#"{"usage":{"prompt_tokens":1,"completion_tokens":2,"queue_time":0.5,"prompt_time":0.25,"completion_time":1.5,"total_time":1.75}}"#;
        let cerebras = r#"{"usage":{"prompt_tokens":1,"completion_tokens":2},"time_info":{"queue_time":0.5,"prompt_time":0.25,"completion_time":1.5,"total_time":2.25}}"#;
        let llama =
            r#"{"timings":{"prompt_n":1,"prompt_ms":250.0,"predicted_n":2,"predicted_ms":1500}}"#;
        for body in [groq, cerebras, llama] {
            for found in [
                whole(Protocol::Chat, body),
                stream(Protocol::Chat, &format!("data: {body}\n\ndata: [DONE]\n\n"), 7),
            ] {
                let times = (found.prompt_time, found.generation_time);
                let wanted = [250, 1500].map(|it| Some(Duration::from_millis(it)));
                assert_eq!(times, wanted.into(), "{body}");
            }
        }
    }

    #[test]
    fn usage_is_found_wherever_a_provider_puts_it() {
        use Protocol::{Chat, Gemini, Messages, Responses};
        for (protocol, body, wanted) in [
            (
                Chat,
                r#"{"id":"c1","usage":{"prompt_tokens":10,"completion_tokens":7,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":2}}}"#,
                usage(6, 4, 5, 2),
            ),
            (
                Chat,
                r#"{"usage":{"prompt_tokens":10,"completion_tokens":7,"prompt_cache_hit_tokens":4,"prompt_cache_miss_tokens":6}}"#,
                usage(6, 4, 7, 0),
            ),
            (
                Chat,
                r#"{"usage":{"prompt_tokens":10,"completion_tokens":7,"cached_tokens":3}}"#,
                usage(7, 3, 7, 0),
            ),
            // Reasoning that is not a part of the completion: the total tells.
            (
                Chat,
                r#"{"usage":{"prompt_tokens":10,"completion_tokens":7,"total_tokens":22,"completion_tokens_details":{"reasoning_tokens":5}}}"#,
                usage(10, 0, 7, 5),
            ),
            (
                Chat,
                r#"{"x_groq":{"usage":{"prompt_tokens":1,"completion_tokens":2}}}"#,
                usage(1, 0, 2, 0),
            ),
            (Chat, r#"{"timings":{"prompt_n":3,"predicted_n":4}}"#, usage(3, 0, 4, 0)),
            (
                Chat,
                r#"{"object":"list","usage":{"prompt_tokens":5,"total_tokens":5}}"#,
                usage(5, 0, 0, 0),
            ),
            (
                Responses,
                r#"{"id":"resp_1","usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":4},"output_tokens":7,"output_tokens_details":{"reasoning_tokens":2}}}"#,
                usage(6, 4, 5, 2),
            ),
            (
                Messages,
                r#"{"usage":{"input_tokens":10,"cache_read_input_tokens":4,"output_tokens":7}}"#,
                usage(10, 4, 7, 0),
            ),
            (
                Gemini,
                r#"{"usageMetadata":{"promptTokenCount":10,"cachedContentTokenCount":4,"candidatesTokenCount":7,"thoughtsTokenCount":2,"toolUsePromptTokenCount":1}}"#,
                usage(7, 4, 7, 2),
            ),
        ] {
            let found = whole(protocol, body);
            assert_eq!(found.usage, Some(wanted), "{body}");
            assert!(!found.estimated);
        }
        let write = whole(
            Messages,
            r#"{"usage":{"input_tokens":1,"cache_creation_input_tokens":9,"cache_creation":{"ephemeral_5m_input_tokens":4,"ephemeral_1h_input_tokens":5},"output_tokens":0}}"#,
        );
        assert_eq!(write.usage.map(|it| (it.cache_write_5m, it.cache_write_1h)), Some((4, 5)));
    }

    #[test]
    fn what_the_model_says_about_usage_is_not_usage() {
        let body = r#"{"choices":[{"message":{"content":"\"usage\":{\"prompt_tokens\":9}","tool_calls":[{"usage":{"prompt_tokens":8}}]}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
        assert_eq!(whole(Protocol::Chat, body).usage, Some(usage(1, 0, 2, 0)));
    }

    #[test]
    fn an_answer_without_usage_is_estimated_and_marked() {
        let found = whole(Protocol::Chat, r#"{"choices":[]}"#);
        assert_eq!((found.estimated, found.usage.map(|it| it.input)), (true, Some(10)));
        assert_eq!(
            Meter::whole(Protocol::Chat).finish(40, true).usage,
            None,
            "no answer, no guess"
        );
        let mut meter = Meter::whole(Protocol::Chat);
        meter.feed(b"{\"error\":{}}");
        assert_eq!(meter.finish(40, false).usage, None, "an error is no answer");
    }

    const CHAT: &str = concat!(
        "data: {\"id\":\"c1\",\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n: ping\n\n",
        "data: {\"id\":\"c1\",\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n",
    );
    const MESSAGES: &str = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":4,\"output_tokens\":1}}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":7}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );
    const RESPONSES: &str = concat!(
        "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"object\":\"response\",\"id\":\"resp_1\",\"usage\":null}}\n\n",
        "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"output\":[{\"usage\":{\"input_tokens\":9}}],\"error\":null,\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}}\n\n",
    );
    const GEMINI: &str = concat!(
        "data: {\"candidates\":[],\"usageMetadata\":{\"promptTokenCount\":5,\"candidatesTokenCount\":1}}\r\n\r\n",
        "data: {\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":5,\"candidatesTokenCount\":6}}\r\n\r\n",
    );

    proptest! {
        #[test]
        fn a_stream_is_read_alike_however_it_is_cut(size in 1..400_usize) {
            for (protocol, body, id, wanted) in [
                (Protocol::Chat, CHAT, Some("c1"), usage(1, 0, 2, 0)),
                (Protocol::Messages, MESSAGES, Some("msg_1"), usage(10, 4, 7, 0)),
                (Protocol::Responses, RESPONSES, Some("resp_1"), usage(3, 0, 4, 0)),
                (Protocol::Gemini, GEMINI, None, usage(5, 0, 6, 0)),
            ] {
                let found = stream(protocol, body, size);
                prop_assert_eq!(found.usage, Some(wanted));
                prop_assert_eq!(found.id.as_deref(), id);
                prop_assert!(found.complete && !found.failed);
            }
        }

        #[test]
        fn no_bytes_panic(bytes in any::<Vec<u8>>()) {
            for mut meter in [Meter::whole(Protocol::Chat), Meter::stream(Protocol::Messages)] {
                meter.feed(&bytes);
                meter.finish(0, true);
            }
        }
    }

    #[test]
    fn an_end_without_its_mark_is_not_complete() {
        let cut = "data: {\"id\":\"c1\",\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n";
        assert!(!stream(Protocol::Chat, cut, 9).complete);
        let failed = "data: {\"error\":{\"message\":\"x\"}}\n\n";
        assert!(stream(Protocol::Chat, failed, 99).failed);
        let said = "data: {\"choices\":[{\"delta\":{\"content\":\"\\\"error\\\"\"}}]}\n\n";
        assert!(!stream(Protocol::Chat, said, 99).failed);
    }
}
