#!/usr/bin/env bash
# Runs all tests: cargo's, with counts at a tenth, and those with the real SDKs and a real
# inference server. Installs what is missing, starts and stops every server, and ends with the line
# `N passed, N failed`. Variables: TOROD_TEST_SCALE (0.1), TOROD_TEST_NO_INSTALL=1, CARGO_TARGET_DIR.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tests/steps.sh
. tests/steps.sh

export TOROD_TEST_SCALE=${TOROD_TEST_SCALE:-0.1}
openai=openai==2.54.0
anthropic=anthropic==2.13.0

need_rust
cargo_tests --all-targets

say "cargo build"
if ! cargo build --bins; then
    fail "torod does not build"
    finish
fi
export TOROD_BIN=$target/debug/torod

if need_python; then
    sdk=tests/sdk
    checks first_start python3 $sdk/first_start.py
    checks five_mistakes python3 $sdk/five_mistakes.py
    checks hot_edit python3 $sdk/hot_edit.py
    if environment_with openai "$openai"; then
        python=$environment/openai/bin/python
        checks openai_echo "$python" $sdk/openai_sdk.py echo
        checks openai_scripted "$python" $sdk/openai_sdk.py scripted
        if llama_server; then
            checks openai_llama env TOROD_LLAMA_DIR="$environment/llama" \
                "$python" $sdk/openai_sdk.py llama
        else
            fail "openai_llama was not run: the llama.cpp server is not installed"
        fi
    else
        fail "openai_* were not run: the OpenAI SDK is not installed"
    fi
    if environment_with anthropic "$anthropic"; then
        checks anthropic "$environment/anthropic/bin/python" $sdk/anthropic_sdk.py
    else
        fail "anthropic was not run: the Anthropic SDK is not installed"
    fi
else
    fail "the SDK tests were not run: Python 3 with venv is missing"
fi

finish
