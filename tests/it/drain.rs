//! A stop waits for what runs.
