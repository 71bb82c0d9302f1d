//! Every background task: spawned here, told to end here, awaited at shutdown.

use std::future::Future;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A cheap handle on the set of tasks.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    end: CancellationToken,
}

impl Tasks {
    pub fn new() -> Self {
        Self::default()
    }

    /// A task that ends by itself, or looks at [`Self::ended`].
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn<F: Future<Output = ()> + Send + 'static>(&self, task: F) {
        tokio::spawn(self.tracker.track_future(task));
    }

    /// A task that is dropped when the process ends.
    pub fn spawn_until_end<F: Future<Output = ()> + Send + 'static>(&self, task: F) {
        let end = self.end.clone();
        self.spawn(async move {
            tokio::select! {
                () = end.cancelled() => {}
                () = task => {}
            }
        });
    }

    /// Resolves when the process is to end.
    pub fn ended(&self) -> CancellationToken {
        self.end.clone()
    }

    pub fn count(&self) -> usize {
        self.tracker.len()
    }

    /// Tells all tasks to end, and waits for them.
    pub async fn end(&self) {
        self.end.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}
