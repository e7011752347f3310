"""Writes fuzz/corpus/{request,messages,yaml}: a body of each route, messages of each kind, and a full server.yaml."""

import json
import pathlib

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"
USER = {"role": "user", "content": "hello"}
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}}}}
CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "abcdefghi", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}]}
SAMPLING = {"temperature": 0.5, "top_p": 0.9, "top_k": 40, "min_p": 0.05, "typical_p": 1, "xtc_probability": 0, "dry_multiplier": 0.8, "mirostat_tau": 0, "repetition_penalty": 1.1,
            "presence_penalty": -2, "frequency_penalty": 2, "penalty_range": 64, "logit_bias": {"5": -100, "7": 1.5}, "seed": -1, "n": 2, "stop": ["a", "\u00e9"], "max_tokens": 4, "min_tokens": 1}

# the first byte is the route: chat, completions, embeddings, tokenize, detokenize, apply-template
REQUESTS = [
    (0, {"model": "m", "messages": [{"role": "system", "content": "s"}, USER], "stream": True, "stream_options": {"include_usage": True}, "logprobs": True, "top_logprobs": 3, "user": "u", **SAMPLING}),
    (0, {"messages": [USER, CALL, {"role": "tool", "tool_call_id": "abcdefghi", "content": "1"}], "tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": True, "response_format": {"type": "text"}}),
    (0, {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}], "chat_template_kwargs": {"enable_thinking": False}, "reasoning_effort": "low", "max_completion_tokens": 9, "metadata": {}, "store": False, "service_tier": "auto", "modalities": ["text"]}),
    (1, {"prompt": ["a", "b"], "echo": True, "logprobs": 5, "best_of": 3, **SAMPLING}),
    (1, {"prompt": [[1, 2], [3]], "max_tokens": 0, "suffix": None}),
    (1, {"prompt": [1, 2, 3], "ignore_eos": True, "skip_special_tokens": False}),
    (2, {"input": ["a", "b"], "encoding_format": "base64", "pooling": "last", "normalize": False}),
    (3, {"content": "x", "add_special": False, "parse_special": False, "with_pieces": True}),
    (3, {"messages": [USER], "add_generation_prompt": False}),
    (4, {"tokens": [1, 2, 3], "skip_special_tokens": True}),
    (5, {"messages": [USER], "documents": [{"text": "d"}], "continue_final_message": True}),
]
MESSAGES = [
    {"messages": [{"role": "system", "content": " s "}, USER, {"role": "assistant", "content": "<think>why</think>a"}, USER]},
    {"messages": [USER, CALL, {"role": "tool", "name": "f", "content": "1"}], "tools": [TOOL], "chat_template_kwargs": {"enable_thinking": True}},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}], "documents": [{"title": "t"}], "add_generation_prompt": False},
    {"messages": [{"role": "assistant", "content": "x", "reasoning_content": "r"}], "continue_final_message": True, "chat_template_kwargs": {"bos_token": "", "now": 0}},
]
YAML = """server: {host: "127.0.0.1", port: 11535, allow_hosts: [a, b], cors_origins: ["*"], no_key_needed: false, tls_cert: c, tls_key: k}
runtime:
  memory_limit: 24G
  idle_unload_seconds: 600
  backends:
    - {name: cpu, threads: 8, precision: exact, kv_type: q8_0, prefix_cache: true}
    - {name: mlx, device: gpu, compile: true, lazy_eval: false}
limits: {queue: 256, body_bytes: 32M, drain_seconds: 30}
models:
  - path: org/name
    id: x
    aliases: [gpt, y]
    backend: cpu
    context: 4096
    preload: false
    chat_template: "{{ messages }}"
  - {path: ./two, max_seqs: 4, kv_limit: 1G, prefill_chunk: 64, memory_limit: 2G, cpu_isa: portable}
keys:
  - {name: a, sha256: %s, scopes: [infer, admin], requests_per_minute: 60, tokens_per_minute: 1, concurrent: 2, priority: -5}
""" % ("9f" * 32)


def write(kind, items):
    folder = CORPUS / kind
    folder.mkdir(parents=True, exist_ok=True)
    for i, data in enumerate(items):
        (folder / f"seed-{i:02d}").write_bytes(data)


write("request", [bytes([route]) + json.dumps(body).encode() for route, body in REQUESTS])
write("messages", [bytes([i]) + json.dumps(body).encode() for i in range(4) for body in MESSAGES])
write("yaml", [YAML.encode(), b"models: []\n", b'server:\n  host: "::1"\n  port: 0\n', b"keys: [{name: a}]\n", b"a: &x 1\nb: *x\n"])
