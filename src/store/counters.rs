//! What is spent and what is reserved. Budgets do not act yet: only requests in flight are counted.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// A cheap handle.
#[derive(Debug, Clone, Default)]
pub struct Counters(Arc<AtomicU64>);

impl Counters {
    /// Takes room for one request; dropping the hold gives it back.
    pub fn reserve(&self) -> Hold {
        self.0.fetch_add(1, Ordering::Relaxed);
        Hold(self.clone())
    }

    pub fn in_flight(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Room that one request takes.
#[derive(Debug)]
pub struct Hold(Counters);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
