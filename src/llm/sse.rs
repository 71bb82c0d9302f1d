//! Server-sent events as raw bytes: where one ends, whatever the network cut.

/// An event longer than this is passed on without being looked into.
pub(crate) const MAX_EVENT: usize = 256 * 1024;

/// A piece of a stream; the pieces joined are the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// One whole event with the blank line that ends it.
    Event(&'a [u8]),
    /// A part of an event that is too long to hold.
    Part(&'a [u8]),
}

/// Cuts a stream into events. Holds at most [`MAX_EVENT`] bytes and looks at each byte once.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    carry: Vec<u8>,
    looked_at: usize,
    skipping: bool,
}

impl Frames {
    pub(crate) fn feed(&mut self, chunk: &[u8], mut each: impl FnMut(Piece<'_>)) {
        if self.carry.is_empty() {
            let (used, looked_at) = cut(chunk, 0, &mut self.skipping, &mut each);
            self.looked_at = looked_at - used;
            self.carry.extend_from_slice(&chunk[used..]);
        } else {
            let mut held = std::mem::take(&mut self.carry);
            held.extend_from_slice(chunk);
            let (used, looked_at) = cut(&held, self.looked_at, &mut self.skipping, &mut each);
            self.looked_at = looked_at - used;
            held.drain(..used);
            self.carry = held;
        }
        if self.carry.len() > MAX_EVENT {
            // The last bytes may be half of a line end, so they stay.
            let keep = self.carry.split_off(self.carry.len() - 3);
            each(Piece::Part(&self.carry));
            self.skipping = true;
            self.looked_at = 0;
            self.carry = keep;
        }
        if self.carry.is_empty() && self.carry.capacity() > 16 * 1024 {
            self.carry = Vec::new();
        }
    }

    /// What is left when the stream ends: an event without its blank line.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.carry)
    }

    pub(crate) fn is_between_events(&self) -> bool {
        self.carry.is_empty()
    }
}

/// Hands over each event of `bytes`; returns how many bytes were handed over and looked at.
fn cut(
    bytes: &[u8],
    mut at: usize,
    skipping: &mut bool,
    each: &mut impl FnMut(Piece<'_>),
) -> (usize, usize) {
    let mut from = 0;
    while let Some(found) = memchr::memchr2(b'\n', b'\r', &bytes[at..]) {
        let first = at + found;
        let Some(second) = line_end(bytes, first) else { return (from, first) };
        if second >= bytes.len() {
            return (from, first);
        }
        if !matches!(bytes[second], b'\n' | b'\r') {
            at = second;
            continue;
        }
        let Some(end) = line_end(bytes, second) else { return (from, first) };
        let piece = &bytes[from..end];
        each(if std::mem::take(skipping) { Piece::Part(piece) } else { Piece::Event(piece) });
        (from, at) = (end, end);
    }
    (from, bytes.len())
}

/// Where the line end that begins at `at` is over; none when a `\r` is the last byte so far.
fn line_end(bytes: &[u8], at: usize) -> Option<usize> {
    match (bytes[at], bytes.get(at + 1)) {
        (b'\r', None) => None,
        (b'\r', Some(b'\n')) => Some(at + 2),
        _ => Some(at + 1),
    }
}

/// The payload of an event that has one `data` line; a comment or a longer event has none.
pub(crate) fn data(event: &[u8]) -> Option<&[u8]> {
    let mut found = None;
    for line in event.split(|it| matches!(it, b'\n' | b'\r')) {
        let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        let Some(rest) = line.strip_prefix(b"data:") else { continue };
        if found.is_some() {
            return None;
        }
        found = Some(rest.strip_prefix(b" ").unwrap_or(rest));
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events(chunks: &[&[u8]]) -> (Vec<Vec<u8>>, Vec<u8>) {
        let (mut frames, mut found) = (Frames::default(), Vec::new());
        for chunk in chunks {
            frames.feed(chunk, |it| match it {
                Piece::Event(it) | Piece::Part(it) => found.push(it.to_vec()),
            });
        }
        (found, frames.finish())
    }

    #[test]
    fn each_kind_of_line_end_ends_an_event() {
        for (text, count, rest) in [
            ("data: a\n\ndata: b\n\n", 2, ""),
            ("data: a\r\n\r\ndata: b\r\n\r\n", 2, ""),
            ("data: a\r\rdata: b\r\r", 1, "data: b\r\r"), // the last `\r` may be half of `\r\n`
            (": ping\n\ndata: a\n", 1, "data: a\n"),
            ("data: \u{2028}\n\n", 1, ""),
        ] {
            let (found, left) = events(&[text.as_bytes()]);
            assert_eq!((found.len(), left.as_slice()), (count, rest.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn an_endless_event_is_passed_in_parts_and_the_next_one_is_whole() {
        let mut text = vec![b'x'; 3 * MAX_EVENT];
        text.extend_from_slice(b"\n\ndata: a\n\n");
        let (mut frames, mut whole, mut all) = (Frames::default(), Vec::new(), Vec::new());
        for chunk in text.chunks(1400) {
            frames.feed(chunk, |piece| match piece {
                Piece::Event(it) => {
                    whole.push(it.to_vec());
                    all.extend_from_slice(it);
                }
                Piece::Part(it) => all.extend_from_slice(it),
            });
            assert!(frames.carry.len() <= MAX_EVENT + 1400);
        }
        assert_eq!(whole, [b"data: a\n\n".to_vec()]);
        assert!(all == text);
    }

    proptest! {
        #[test]
        fn events_do_not_depend_on_where_the_network_cuts(
            lines in proptest::collection::vec("(data: [a-zé]{0,9}|: c|)(\n|\r\n|\r)", 0..12),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let text = lines.concat();
            let mut at: Vec<usize> = cuts.iter().map(|it| it.index(text.len() + 1)).collect();
            at.sort_unstable();
            let mut chunks = Vec::new();
            let mut from = 0;
            for it in at {
                chunks.push(&text.as_bytes()[from..it]);
                from = it;
            }
            chunks.push(&text.as_bytes()[from..]);
            let whole = events(&[text.as_bytes()]);
            prop_assert_eq!(whole.0.concat().len() + whole.1.len(), text.len());
            prop_assert_eq!(events(&chunks), whole);
        }
    }
}
