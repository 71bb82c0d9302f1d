//! What an attempt's outcome means for the attempts after it.

/// What to do after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The reply goes to the client.
    Done,
    /// The next target may do better; without one, this reply goes to the client.
    TryNext,
}

impl Verdict {
    /// By the status of a reply. The same request fails the same way elsewhere for what is the
    /// client's fault, so only the provider's own trouble moves on.
    pub fn of_status(status: u16) -> Self {
        match status {
            401 | 402 | 404 | 408 | 429 | 500.. => Self::TryNext,
            _ => Self::Done,
        }
    }
}
