# shellcheck shell=bash
# The steps of tests/all.sh and tests/long.sh, which source this file. It counts into `passed` and
# `failed`, and installs what a step needs unless TOROD_TEST_NO_INSTALL=1 says that it may not.

target=${CARGO_TARGET_DIR:-$PWD/target}
case $target in /*) ;; *) target=$PWD/$target ;; esac
environment=$target/test-env
logs=$target/test-logs
mkdir -p "$environment" "$logs"

export CARGO_TERM_COLOR=never
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
export PYTHONDONTWRITEBYTECODE=1

passed=0
failed=0
child=

say() { printf '\n== %s\n' "$*"; }

have() { command -v "$1" >/dev/null 2>&1; }

may_install() { [ "${TOROD_TEST_NO_INSTALL:-}" != 1 ]; }

# Counts one failure and says why.
fail() {
    printf 'FAIL %s\n' "$*"
    failed=$((failed + 1))
}

# Stops the script that runs, which stops its own servers.
stop_child() {
    if [ -n "$child" ]; then
        kill "$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
        child=
    fi
}
trap stop_child EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Prints the closing line and ends with what it says.
finish() {
    printf '\n%d passed, %d failed\n' "$passed" "$failed"
    [ "$failed" -eq 0 ] || exit 1
    exit 0
}

# apt_install PACKAGE...: as root, or by a sudo that asks for nothing.
apt_install() {
    local as_root=()
    if ! may_install; then
        echo "may not install $*: TOROD_TEST_NO_INSTALL is set"
        return 1
    elif ! have apt-get; then
        echo "cannot install $*: there is no apt-get here"
        return 1
    elif [ "$(id -u)" -ne 0 ]; then
        if ! have sudo || ! sudo -n true 2>/dev/null; then
            echo "may not install $*: neither root nor a sudo without a password"
            return 1
        fi
        as_root=(sudo -n)
    fi
    echo "installing $* with apt-get"
    "${as_root[@]}" apt-get update -qq &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# need_rust: cargo and a C compiler, which one dependency is built with.
need_rust() {
    if ! have cargo; then
        fail "cargo is missing: install Rust 1.94 or newer with rustup (packages of systems are older)"
        finish
    fi
    have cc || apt_install gcc libc6-dev || {
        fail "a C compiler is missing"
        finish
    }
}

# need_python: an interpreter that can make environments.
need_python() {
    if have python3 && python3 -c 'import ensurepip, venv' 2>/dev/null; then
        return
    fi
    apt_install python3 python3-venv
}

# environment_with NAME PIN...: a Python environment that holds exactly these packages.
environment_with() {
    local dir=$environment/$1
    shift
    # The stamp is written last: an install that was cut off is done again.
    if [ "$(cat "$dir/installed" 2>/dev/null)" = "$*" ]; then
        return
    fi
    if ! may_install; then
        echo "may not install $*: TOROD_TEST_NO_INSTALL is set"
        return 1
    fi
    echo "installing $* with pip into $dir"
    rm -rf "$dir"
    python3 -m venv "$dir" && "$dir/bin/pip" install --quiet "$@" &&
        printf '%s\n' "$*" >"$dir/installed"
}

# llama_server: the real inference server and its model.
llama_server() {
    [ -f "$environment/llama/model.gguf" ] || may_install || {
        echo "may not fetch the llama.cpp server: TOROD_TEST_NO_INSTALL is set"
        return 1
    }
    tests/sdk/llama/fetch.sh "$environment/llama"
}

# cargo_tests ARGUMENT...: runs `cargo test` and counts what its binaries report.
cargo_tests() {
    local log=$logs/cargo-test.log status=0 ok bad
    say "cargo test $* (counts at ${TOROD_TEST_SCALE})"
    cargo test "$@" --no-fail-fast 2>&1 | tee "$log" || status=$?
    read -r ok bad < <(awk '
        /^test result: / {
            for (n = 2; n <= NF; n++) {
                if ($n == "passed;") ok += $(n - 1)
                if ($n == "failed;") bad += $(n - 1)
            }
        }
        END { print ok + 0, bad + 0 }' "$log")
    passed=$((passed + ok))
    failed=$((failed + bad))
    if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
        fail "cargo test ended with $status: it did not compile, or a test binary died"
    elif [ "$ok" -eq 0 ]; then
        fail "cargo test ran nothing"
    fi
}

# checks NAME COMMAND...: runs a script that prints `ok` and `FAIL` lines and counts them.
checks() {
    local name=$1 log=$logs/$1.log status=0 ok bad
    say "$name"
    shift
    "$@" >"$log" 2>&1 &
    child=$!
    wait "$child" || status=$?
    child=
    cat "$log"
    ok=$(grep -c '^ok ' "$log" || true)
    bad=$(grep -c '^FAIL ' "$log" || true)
    passed=$((passed + ok))
    failed=$((failed + bad))
    if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
        fail "$name ended with $status"
    elif [ "$ok" -eq 0 ] && [ "$bad" -eq 0 ]; then
        fail "$name checked nothing"
    fi
}
