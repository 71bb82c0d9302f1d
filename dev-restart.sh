#!/usr/bin/env bash
# Rebuilds torod whenever a source file changes and restarts it, but only if the build succeeds.
# Arguments go to torod, `serve` without any: ./dev-restart.sh serve --config my.toml
# Variables: POLL_SECONDS (1), STOP_TIMEOUT_SECONDS (30), BIN_PATH (where the running copy lies).
set -euo pipefail
cd "$(dirname "$0")"

poll_seconds=${POLL_SECONDS:-1}
stop_seconds=${STOP_TIMEOUT_SECONDS:-30}
target=${CARGO_TARGET_DIR:-target}
# The build replaces its own output, so what runs is a copy.
binary=${BIN_PATH:-$target/dev-restart/torod}
server=

[ $# -gt 0 ] || set -- serve

say() { printf '[dev-restart] %s\n' "$*" >&2; }

digest=(sha256sum)
command -v sha256sum >/dev/null 2>&1 || digest=(shasum -a 256)

# One digest over names and contents of everything that torod is built from. An editor may take a
# file away while this reads; the next look sees what it left.
fingerprint() {
    { find src assets Cargo.toml Cargo.lock -type f -print0 2>/dev/null || true; } |
        LC_ALL=C sort -z | { xargs -0 "${digest[@]}" 2>/dev/null || true; } | "${digest[@]}"
}

running() { [ -n "$server" ] && kill -0 "$server" 2>/dev/null; }

stop() {
    if running; then
        say "stopping torod (up to ${stop_seconds} s)"
        kill -TERM "$server" 2>/dev/null || true
        local left=$((stop_seconds * 10))
        while running && [ "$left" -gt 0 ]; do
            sleep 0.1
            left=$((left - 1))
        done
        if running; then
            say "torod did not end in time: killing it"
            kill -KILL "$server" 2>/dev/null || true
        fi
    fi
    [ -z "$server" ] || wait "$server" 2>/dev/null || true
    server=
}

start() {
    mkdir -p "$(dirname "$binary")"
    cp "$target/debug/torod" "$binary.new"
    mv "$binary.new" "$binary"
    say "starting torod $*"
    "$binary" "$@" > >(exec sed -u 's/^/[server] /') 2>&1 &
    server=$!
}

build() {
    say "building"
    cargo build --bin torod
}

trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

seen=$(fingerprint)
if build; then start "$@"; else say "the build failed: waiting for a change"; fi

while sleep "$poll_seconds"; do
    if [ -n "$server" ] && ! running; then
        wait "$server" && code=0 || code=$?
        say "torod ended with $code: waiting for a change"
        server=
    fi
    now=$(fingerprint)
    [ "$now" != "$seen" ] || continue
    seen=$now
    if build; then
        stop
        start "$@"
    else
        say "the build failed: what runs stays"
    fi
done
