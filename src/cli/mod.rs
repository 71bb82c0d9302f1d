//! Both command lines: the only place that prints.

mod exit;
mod paths;
mod toro;
mod torod;
mod ui;

pub use toro::toro;
pub use torod::torod;

/// For commands that ask over a network: one thread, for as long as they wait.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    anyhow::Context::context(
        tokio::runtime::Builder::new_current_thread().enable_all().build(),
        "cannot start",
    )
}
