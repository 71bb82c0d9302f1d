//! Which provider made which response, and for whom: follow-ups go where the response is.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

/// So many ids are remembered; the oldest go first.
const KEPT: usize = 20_000;

/// Where a response is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    pub provider: Arc<str>,
    /// The key that made it; none for a caller that needs no key.
    pub key: Option<Arc<str>>,
}

#[derive(Debug, Default)]
struct Map {
    by_id: HashMap<Arc<str>, Made>,
    order: VecDeque<Arc<str>>,
}

/// A cheap handle on a bounded map.
#[derive(Debug, Clone, Default)]
pub struct Responses(Arc<Mutex<Map>>);

impl Responses {
    pub fn remember(&self, id: &str, made: Made) {
        if id.len() > 256 {
            return;
        }
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id: Arc<str> = id.into();
        if map.by_id.insert(Arc::clone(&id), made).is_none() {
            map.order.push_back(id);
        }
        if map.order.len() > KEPT
            && let Some(oldest) = map.order.pop_front()
        {
            map.by_id.remove(&oldest);
        }
    }

    pub fn find(&self, id: &str) -> Option<Made> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).by_id.get(id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_forgets_the_oldest() {
        let responses = Responses::default();
        let made = Made { provider: "p".into(), key: None };
        for at in 0..=KEPT {
            responses.remember(&format!("resp_{at}"), made.clone());
        }
        assert_eq!(responses.find("resp_0"), None);
        assert_eq!(responses.find("resp_1"), Some(made));
    }
}
