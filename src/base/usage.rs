//! Tokens of one reply in disjoint classes: no token is counted twice.

use serde::{Deserialize, Serialize};

/// Counts of tokens. `input` excludes what was read from or written to a cache, `output` excludes
/// reasoning and audio, so that each class can be priced alone and the sum is the total.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub input: u64,
    pub cache_read: u64,
    pub cache_write_5m: u64,
    pub cache_write_1h: u64,
    pub audio_input: u64,
    pub output: u64,
    pub reasoning: u64,
    pub audio_output: u64,
}

impl Usage {
    /// All tokens that went to the model.
    pub fn prompt(&self) -> u64 {
        [self.input, self.cache_read, self.cache_write_5m, self.cache_write_1h, self.audio_input]
            .into_iter()
            .fold(0, u64::saturating_add)
    }

    /// All tokens that the model made.
    pub fn completion(&self) -> u64 {
        self.output.saturating_add(self.reasoning).saturating_add(self.audio_output)
    }

    pub fn total(&self) -> u64 {
        self.prompt().saturating_add(self.completion())
    }

    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.input, other.input),
            (&mut self.cache_read, other.cache_read),
            (&mut self.cache_write_5m, other.cache_write_5m),
            (&mut self.cache_write_1h, other.cache_write_1h),
            (&mut self.audio_input, other.audio_input),
            (&mut self.output, other.output),
            (&mut self.reasoning, other.reasoning),
            (&mut self.audio_output, other.audio_output),
        ] {
            *mine = mine.saturating_add(theirs);
        }
    }
}
