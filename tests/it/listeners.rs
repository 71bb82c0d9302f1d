//! Listeners follow the config.
