"""Runs llama.cpp's own HTTP server on loopback: serve.py --model FILE --port N

The wheel `xllamacpp` carries that server, so nothing is compiled. It answers chat, completions,
responses, embeddings and /props as llama.cpp does. The word `llama` in this file's path and the
`--port` on its command line are what a search through running processes finds.

It ends with its standard input, so a test that dies leaves no server behind.
"""

import argparse
import os
import sys

import xllamacpp


def parameters(model: str, port: int) -> xllamacpp.CommonParams:
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = 4096
    params.n_parallel = 4
    params.warmup = False
    params.cpuparams.n_threads = 2
    # Without a pooling type the server refuses embeddings in OpenAI's shape.
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    # The same prompt gives the same answer in every run.
    params.sampling.temp = 0.0
    return params


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--port", type=int, required=True)
    args = parser.parse_args()
    server = xllamacpp.Server(parameters(args.model, args.port))
    print(f"serving on {server.listening_address}", flush=True)
    sys.stdin.buffer.read()
    # The server's own threads do not end with the interpreter.
    os._exit(0)


if __name__ == "__main__":
    main()
