//! Both command lines: the only place that prints.

mod exit;
mod paths;
mod toro;
mod torod;
mod ui;

pub use toro::toro;
pub use torod::torod;
