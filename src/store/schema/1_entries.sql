-- Entries, their sums, and the names that sums are made for.

-- 0 stands for no name. Names that a caller makes up are not here: they would never end.
CREATE TABLE names (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

-- One row an admitted request. The id begins with the time, so that new rows come last and times are
-- ranges of ids. Times are in microseconds, money in pico-dollars.
CREATE TABLE entries (
    id BLOB PRIMARY KEY,
    at INTEGER NOT NULL,
    request_id TEXT NOT NULL,
    generation INTEGER NOT NULL,
    key INTEGER NOT NULL,
    key_name INTEGER NOT NULL,
    parent INTEGER NOT NULL,
    provider INTEGER NOT NULL,
    requested_model TEXT NOT NULL,
    upstream_model TEXT,
    protocol TEXT NOT NULL,
    stream INTEGER NOT NULL,
    status INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    input INTEGER,
    cache_read INTEGER,
    cache_write_5m INTEGER,
    cache_write_1h INTEGER,
    audio_input INTEGER,
    output INTEGER,
    reasoning INTEGER,
    audio_output INTEGER,
    estimated INTEGER NOT NULL,
    ttfb INTEGER,
    duration INTEGER NOT NULL,
    prompt_time INTEGER,
    generation_time INTEGER,
    cost INTEGER,
    price_source INTEGER NOT NULL,
    reported_cost INTEGER,
    client_type INTEGER NOT NULL,
    conversation TEXT,
    tags TEXT,
    user_agent TEXT,
    client_ip TEXT
) WITHOUT ROWID;

CREATE INDEX entries_by_key ON entries (key);

-- Sums over 300 s, an hour and a day: a long period is answered from few rows, a short one exactly.
CREATE TABLE sums (
    span INTEGER NOT NULL,
    at INTEGER NOT NULL,
    key INTEGER NOT NULL,
    provider INTEGER NOT NULL,
    model INTEGER NOT NULL,
    client_type INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    input INTEGER NOT NULL,
    cache_read INTEGER NOT NULL,
    cache_write_5m INTEGER NOT NULL,
    cache_write_1h INTEGER NOT NULL,
    audio_input INTEGER NOT NULL,
    output INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    audio_output INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    duration INTEGER NOT NULL,
    ttfb INTEGER NOT NULL,
    answered INTEGER NOT NULL,
    prompt_timed INTEGER NOT NULL,
    prompt_time INTEGER NOT NULL,
    generation_timed INTEGER NOT NULL,
    generation_time INTEGER NOT NULL,
    PRIMARY KEY (span, at, key, provider, model, client_type)
) WITHOUT ROWID;

-- The same for what has too many values: user agents and addresses. Only the first of each span stay.
CREATE TABLE tops (
    span INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    name TEXT NOT NULL,
    requests INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    PRIMARY KEY (span, at, kind, name)
) WITHOUT ROWID;
