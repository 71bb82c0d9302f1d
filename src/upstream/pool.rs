//! Connections that wait for their next request.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::connection::Connection;

/// Providers close what is idle after about a minute.
const IDLE: Duration = Duration::from_mins(1);
const MOST: usize = 256;

/// Where a connection leads: what a credential is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) is_tls: bool,
    pub(super) authority: Box<str>,
}

type Waiting = HashMap<Box<str>, VecDeque<(Instant, Box<Connection>)>>;

/// By scheme, then by authority.
#[derive(Debug, Default)]
pub(super) struct Pool([Mutex<Waiting>; 2]);

impl Pool {
    fn of(&self, is_tls: bool) -> MutexGuard<'_, Waiting> {
        self.0[usize::from(is_tls)].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that was used last, if it still stands.
    pub(super) fn take(&self, is_tls: bool, authority: &str) -> Option<Box<Connection>> {
        loop {
            let (since, mut connection) = self.of(is_tls).get_mut(authority)?.pop_back()?;
            if since.elapsed() < IDLE && connection.is_fresh() {
                return Some(connection);
            }
        }
    }

    pub(super) fn put(&self, connection: Box<Connection>) {
        let mut waiting = self.of(connection.origin.is_tls);
        let at = Instant::now();
        match waiting.get_mut(&connection.origin.authority) {
            Some(list) if list.len() < MOST => list.push_back((at, connection)),
            Some(_) => {}
            None => {
                let authority = connection.origin.authority.clone();
                waiting.insert(authority, VecDeque::from([(at, connection)]));
            }
        }
    }

    /// Closes what waited too long, or was closed by its provider.
    pub(super) fn sweep(&self) {
        for is_tls in [false, true] {
            self.of(is_tls).retain(|_, list| {
                list.retain_mut(|(since, it)| since.elapsed() < IDLE && it.is_fresh());
                !list.is_empty()
            });
        }
    }
}
