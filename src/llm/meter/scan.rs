//! A scanner that is fed a JSON text in any pieces and keeps the few values that the meter wants.

use super::{Found, usage::Counts};

/// A value longer than this is not kept: usage objects have a few hundred bytes.
const MAX_VALUE: usize = 64 * 1024;
const MAX_KEY: usize = 24;

/// Objects whose members count as the top level's own.
const PARENTS: [&str; 3] = ["response", "message", "x_groq"];
const WANTED: [&str; 6] = ["usage", "usageMetadata", "timings", "time_info", "id", "error"];

#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "a scanner is in several states at once")]
pub(super) struct Scan {
    depth: u32,
    /// Depth 2 is inside one of [`PARENTS`].
    in_parent: bool,
    in_string: bool,
    escaped: bool,
    /// The string being read may be a key of interest.
    reading_key: bool,
    /// The next string at this depth is a key, not a value.
    wants_key: bool,
    key: Vec<u8>,
    /// The value being kept: its key, the depth at which it began.
    keeping: Option<(&'static str, u32)>,
    value: Vec<u8>,
    kept: Vec<(&'static str, u32, Vec<u8>)>,
}

impl Scan {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while at < bytes.len() {
            if self.in_string {
                at = self.string(bytes, at);
            } else {
                self.structural(bytes[at]);
                at += 1;
            }
        }
    }

    /// Reads on in a string; returns where the next byte to look at is.
    fn string(&mut self, bytes: &[u8], at: usize) -> usize {
        let mut end = at;
        if std::mem::take(&mut self.escaped) {
            end += 1;
        }
        let done = loop {
            match memchr::memchr2(b'"', b'\\', bytes.get(end..).unwrap_or_default()) {
                None => break false,
                Some(found) if bytes[end + found] == b'"' => {
                    end += found + 1;
                    break true;
                }
                Some(found) => {
                    end += found + 2;
                    if end > bytes.len() {
                        self.escaped = true;
                        break false;
                    }
                }
            }
        };
        let end = if done { end } else { bytes.len() };
        self.keep(&bytes[at..end]);
        if self.reading_key && self.key.len() <= MAX_KEY {
            self.key.extend_from_slice(&bytes[at..end][..(end - at).min(MAX_KEY + 2)]);
        }
        if done {
            self.in_string = false;
        }
        end
    }

    fn structural(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.in_string = true;
                self.reading_key = self.wants_key && self.is_near() && self.keeping.is_none();
                self.wants_key = false;
                self.key.clear();
                self.keep(b"\"");
            }
            b':' if self.reading_key => {
                self.reading_key = false;
                let key = self.key.strip_suffix(b"\"").unwrap_or_default();
                if let Some(wanted) = WANTED.iter().find(|it| it.as_bytes() == key) {
                    self.keeping = Some((wanted, self.depth));
                    self.value.clear();
                } else if self.depth == 1 {
                    self.in_parent = PARENTS.iter().any(|it| it.as_bytes() == key);
                }
            }
            b'{' | b'[' => {
                self.keep(&[byte]);
                self.depth += 1;
                self.wants_key = byte == b'{';
                self.reading_key = false;
            }
            b'}' | b']' => {
                self.close_at(self.depth);
                self.depth = self.depth.saturating_sub(1);
                self.keep(&[byte]);
                self.wants_key = false;
            }
            b',' => {
                self.close_at(self.depth);
                self.keep(b",");
                self.wants_key = self.is_near();
                if self.depth == 1 {
                    self.in_parent = false;
                }
            }
            _ => self.keep(&[byte]),
        }
    }

    fn is_near(&self) -> bool {
        self.depth == 1 || self.depth == 2 && self.in_parent
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.keeping.is_some() && self.value.len() <= MAX_VALUE {
            self.value.extend_from_slice(bytes);
        }
    }

    /// A comma or a closing bracket at the depth where a value began is its end.
    fn close_at(&mut self, depth: u32) {
        if self.keeping.as_ref().is_some_and(|it| it.1 == depth) {
            let value = std::mem::take(&mut self.value);
            if let Some((key, depth)) = self.keeping.take().filter(|_| value.len() <= MAX_VALUE) {
                self.kept.push((key, depth, value));
            }
        }
    }

    pub(super) fn is_error(&self) -> bool {
        self.kept
            .iter()
            .any(|it| it.0 == "error" && !matches!(&*it.2, b"null" | b"false" | b" null"))
    }

    pub(super) fn take_into(&mut self, counts: &mut Counts, found: &mut Found) {
        for (key, depth, value) in self.kept.drain(..) {
            match key {
                "id" if found.id.is_none() || depth == 2 => {
                    found.id = serde_json::from_slice(&value).ok().or(found.id.take());
                }
                "usage" | "usageMetadata" | "timings" | "time_info" => counts.report(&value),
                _ => {}
            }
        }
    }
}
