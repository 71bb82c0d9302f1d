#!/usr/bin/env bash
# Runs cargo's tests in full counts and in release mode, then the benchmark, and prints a table of
# what ran and for how long. Takes far longer than tests/all.sh, which runs a tenth of it.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tests/steps.sh
. tests/steps.sh

export TOROD_TEST_SCALE=${TOROD_TEST_SCALE:-1}

need_rust
begun=$SECONDS
cargo_tests --release --all-targets
tests_took=$((SECONDS - begun))

say "cargo bench --bench gateway"
begun=$SECONDS
bench=ok
cargo bench --bench gateway 2>&1 | tee "$logs/bench.log" || bench=FAILED
bench_took=$((SECONDS - begun))
if [ "$bench" = ok ]; then
    passed=$((passed + 1))
else
    fail "the benchmark ended early"
fi

say "what ran (counts at $TOROD_TEST_SCALE)"
row='| %-44s | %7s | %7s | %9s |\n'
# shellcheck disable=SC2059
{
    printf "$row" target passed failed seconds
    printf "$row" -------------------------------------------- ------- ------- ---------
    awk -v row="$row" '
        $1 == "Running" { name = $2 == "unittests" ? $3 : $2 }
        /^test result: / {
            for (n = 2; n <= NF; n++) {
                if ($n == "passed;") ok = $(n - 1)
                if ($n == "failed;") bad = $(n - 1)
                if ($n == "in") seconds = $(n + 1)
            }
            sub("s$", "", seconds)
            printf row, name, ok, bad, seconds
        }' "$logs/cargo-test.log"
    printf "$row" "all of cargo test, build included" "" "" "$tests_took"
    printf "$row" "benchmark ($bench), build included" "" "" "$bench_took"
}

finish
