//! Providers that answer garbage.
