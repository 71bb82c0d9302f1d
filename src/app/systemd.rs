//! What systemd is told of the process's state. Without systemd this does nothing.

use sd_notify::NotifyState;

/// A reload comes with its time, as systemd wants it.
pub fn tell(state: NotifyState<'_>) {
    let is_reload = matches!(state, NotifyState::Reloading);
    let clock = is_reload.then(|| NotifyState::monotonic_usec_now().ok()).flatten();
    let states: Vec<_> = std::iter::once(state).chain(clock).collect();
    if let Err(error) = sd_notify::notify(&states) {
        tracing::warn!(%error, "systemd was not told");
    }
}
