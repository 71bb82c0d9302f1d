//! Roles, and what each of them may do.

use serde::{Deserialize, Serialize};

/// What a key is for. Each role may do all that those before it may.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Default,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Calls models.
    #[default]
    Inferrer,
    /// Also makes keys below its own.
    Keymaster,
    /// Also reads and changes everything else.
    Admin,
}

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Nothing: liveness, the way to the admin page.
    Public,
    /// A live key, or a caller that needs none.
    Infer,
    /// A live key of the role keymaster.
    DelegateKeys,
    /// A live key of the role admin.
    Administer,
}

impl Role {
    pub fn may(self, right: Right) -> bool {
        match right {
            Right::Public | Right::Infer => true,
            Right::DelegateKeys => self >= Self::Keymaster,
            Right::Administer => self == Self::Admin,
        }
    }
}
