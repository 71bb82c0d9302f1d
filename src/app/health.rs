//! How each provider was when its model list was loaded last. Kept beside the snapshots: it changes
//! nothing of what a request sees.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    catalog::{Credential, Provider},
    upstream::{error::Kind, models::ListError, probe},
};

/// One look.
#[derive(Debug, Clone)]
pub struct Look {
    pub at: jiff::Timestamp,
    pub response: Duration,
    /// What stood in the way, in words; none when the list was loaded.
    pub trouble: Option<(Kind, String)>,
}

/// The last look at each provider, by name.
#[derive(Debug, Default)]
pub struct Health(Mutex<HashMap<Arc<str>, Looked>>);

/// A look, and at what.
type Looked = (Arc<Provider>, Look);

impl Health {
    pub(super) fn note(
        &self,
        provider: &Arc<Provider>,
        response: Duration,
        error: Option<&ListError>,
    ) {
        let trouble = error.map(probe::trouble).map(|it| (it.kind, it.words));
        let look = Look { at: jiff::Timestamp::now(), response, trouble };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(Arc::clone(&provider.name), (Arc::clone(provider), look));
    }

    /// The last look at this provider as it is configured now.
    pub fn of(&self, provider: &Provider) -> Option<Look> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (seen, look) = all.get(&provider.name)?;
        seen.is_same_service(provider).then(|| look.clone())
    }

    /// The Go original's word for it.
    pub fn word(&self, provider: &Provider) -> &'static str {
        if !provider.enabled {
            return "disabled";
        }
        if provider.is_echo() {
            return "online";
        }
        if provider.credential == Credential::Unresolved {
            return "auth problem";
        }
        match self.of(provider).map(|it| it.trouble.map(|it| it.0)) {
            None => "unknown",
            Some(None) => "online",
            Some(Some(Kind::Auth)) => "auth problem",
            Some(Some(Kind::Blocked | Kind::Egress)) => "blocked",
            Some(Some(_)) => "offline",
        }
    }
}
