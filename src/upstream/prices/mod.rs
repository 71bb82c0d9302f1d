//! What providers say that their models cost: each source in a file of its own, behind one trait.

mod cerebras;
pub mod metadata;
mod zen;

use std::{collections::BTreeMap, time::Duration};

use super::{Upstream, UpstreamError, models, models::ListError};
use crate::catalog::{Credential, Price, PriceSource, Provider};

/// By the provider's own id.
pub type Prices = BTreeMap<String, Price>;

/// All sources of one provider together; each has its own limit besides.
const LIMIT: Duration = Duration::from_secs(45);

/// Somebody who knows what some provider's models cost.
trait Source: Sync {
    fn kind(&self) -> PriceSource;

    /// Where it is for this provider; none when it knows nothing of it.
    fn url(&self, provider: &Provider) -> Option<String>;

    /// Whether the provider's credential goes there.
    fn is_private(&self) -> bool;

    /// None for what is not in a form that is known.
    fn read(&self, bytes: &[u8], provider: &Provider) -> Option<Prices>;
}

const SOURCES: [&dyn Source; 3] = [&metadata::Metadata, &zen::Zen, &cerebras::Cerebras];

/// Why no prices were learned.
#[derive(Debug, thiserror::Error)]
pub enum PriceError {
    #[error(transparent)]
    List(#[from] ListError),
    #[error("the sources took longer than 45 s")]
    Slow,
}

/// Whether prices come from somewhere else than the model list, which is loaded anyway.
pub fn asks_apart(provider: &Provider) -> bool {
    provider.preset.name == metadata::XAI
        || [&zen::Zen as &dyn Source, &cerebras::Cerebras]
            .iter()
            .any(|it| it.url(provider).is_some())
}

/// Asks the sources in the order of trust; the first that has prices wins. None when all answer
/// and none has any.
pub async fn load(
    upstream: &Upstream,
    provider: &Provider,
    trusted: &[PriceSource],
) -> Result<Option<(PriceSource, Prices)>, PriceError> {
    let asked = tokio::time::timeout(LIMIT, ask(upstream, provider, trusted));
    asked.await.map_err(|_| PriceError::Slow)?
}

async fn ask(
    upstream: &Upstream,
    provider: &Provider,
    trusted: &[PriceSource],
) -> Result<Option<(PriceSource, Prices)>, PriceError> {
    let mut failed = None;
    let sources = trusted.iter().filter_map(|kind| SOURCES.iter().find(|it| it.kind() == *kind));
    for source in sources {
        let Some(url) = source.url(provider) else { continue };
        let stranger =
            Provider { credential: Credential::None, headers: Vec::new(), ..provider.clone() };
        let asker = if source.is_private() { provider } else { &stranger };
        if asker.credential == Credential::Unresolved {
            failed = Some(UpstreamError::NoCredential.into());
            continue;
        }
        let read = match models::fetch(upstream, asker, &url).await {
            Ok(bytes) => source.read(&bytes, provider).ok_or(ListError::Shape),
            Err(error) => Err(error),
        };
        match read {
            Ok(prices) if !prices.is_empty() => return Ok(Some((source.kind(), prices))),
            Ok(_) => {}
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(None), |it| Err(it.into()))
}
