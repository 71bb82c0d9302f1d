//! Files that an edit displaced: an editor that had opened one before may write to it after.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    editor::{PATIENCE, QUIET},
    source::MAX_BYTES,
};
use crate::base::file::held::Held;

/// An editor that has opened a file writes to it within this.
const HELD_FOR: Duration = Duration::from_secs(3);
/// Each is read again before each edit.
const MAX_HELD: usize = 16;

#[derive(Debug)]
struct Displaced {
    held: Held,
    since: Instant,
    /// It was written to, and nobody has taken that yet.
    is_touched: bool,
}

impl Displaced {
    fn look(&mut self) {
        if !self.held.look_again(MAX_BYTES).unwrap_or(true) {
            (self.is_touched, self.since) = (true, Instant::now());
        }
    }

    fn is_quiet(&self) -> bool {
        self.since.elapsed() >= QUIET
    }

    fn is_old(&self) -> bool {
        self.since.elapsed() >= HELD_FOR
    }
}

/// The oldest first.
#[derive(Debug, Default)]
pub(super) struct Late(VecDeque<Displaced>);

impl Late {
    pub(super) fn push(&mut self, displaced: Option<Held>) {
        let fresh = |held| Displaced { held, since: Instant::now(), is_touched: false };
        self.0.extend(displaced.map(fresh));
        if self.0.len() > MAX_HELD {
            self.0.pop_front();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether any was written to; forgets those that nobody writes to any more.
    pub(super) fn is_touched(&mut self) -> bool {
        self.0.iter_mut().for_each(Displaced::look);
        self.0.retain(|it| it.is_touched || !it.is_old());
        self.0.iter().any(|it| it.is_touched)
    }

    /// What was saved into them, once it stands still. A text that does not load may be half of a
    /// save, so it is waited for as long as the file is held.
    pub(super) fn look(&mut self, loads: impl Fn(&[u8]) -> bool) -> Vec<Vec<u8>> {
        let begin = Instant::now();
        while self.is_touched()
            && self.0.iter().any(|it| it.is_touched && !it.is_quiet())
            && begin.elapsed() < PATIENCE
        {
            std::thread::sleep(QUIET / 5);
        }
        let mut saves = Vec::new();
        for it in self.0.iter_mut().filter(|it| it.is_touched && it.is_quiet()) {
            if loads(&it.held.bytes) || it.is_old() {
                (it.is_touched, it.since) = (false, Instant::now());
                saves.push(it.held.bytes.clone());
            }
        }
        saves
    }
}
