//! Keeps the state database from growing for ever, as `[usage]` says.

use std::{sync::Arc, time::Duration};

use super::App;
use crate::store::Keep;

const EVERY: Duration = Duration::from_mins(10);

/// The task: a while after the start, and again and again.
pub async fn keep_pruned(app: Arc<App>) {
    loop {
        tokio::time::sleep(EVERY).await;
        let config = Arc::clone(&app.live.snapshot().config);
        // Days of sums outlive the entries that they sum up.
        let keep = Keep { raw: config.raw_days, sums: config.rollup_days.max(config.raw_days) };
        match app.store.prune(keep, jiff::Timestamp::now()).await {
            Ok(0) => {}
            Ok(rows) => tracing::debug!(rows, "old usage was removed"),
            Err(error) => tracing::warn!(%error, "old usage cannot be removed now"),
        }
    }
}
