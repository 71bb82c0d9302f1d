//! Secrets are read again and never shown.
