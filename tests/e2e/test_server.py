"""`wick serve` with the clients that people have: openai (sync, async, streams), litellm, langchain-openai, lm-eval; and what the
server promises besides: keys, limits, models on demand, drain, metrics, configuration, client commands."""
import asyncio
import base64
import hashlib
import json
import os
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

import pytest

from server_common import ROOT, TEMPLATE, WICK, Server, eventually, make_model, sse_events

pytestmark = pytest.mark.skipif(not WICK, reason="WICK_BIN is not set")
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
KEY = "test-key-0123456789"
MESSAGES = [{"role": "user", "content": "the quick brown fox"}]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    tokenizer = make_model(folder / "tiny")
    make_model(folder / "other", seed=7)
    return folder, tokenizer


@pytest.fixture(scope="module")
def server(models):
    with Server(models[0] / "tiny", "--model-dir", models[0]) as s:
        yield s


def wick(*args, env=None, **kw):
    return subprocess.run([WICK, *map(str, args)], capture_output=True, text=True, timeout=60, env={**os.environ, **(env or {})}, **kw)


@pytest.fixture(scope="module")
def client(server):
    openai = pytest.importorskip("openai")
    return openai.OpenAI(base_url=server.url, api_key="none", max_retries=0)


# --- the openai client
def test_openai_chat(client):
    r = client.chat.completions.create(model="tiny", messages=MESSAGES, temperature=0, max_tokens=6)
    assert r.object == "chat.completion" and r.choices[0].finish_reason == "length" and r.usage.completion_tokens == 6
    assert r.choices[0].message.role == "assistant" and r.choices[0].message.content
    again = client.chat.completions.create(model="tiny", messages=MESSAGES, temperature=0, max_completion_tokens=6)
    assert again.choices[0].message.content == r.choices[0].message.content
    assert again.usage.prompt_tokens_details.cached_tokens > 0


def test_openai_stream_gives_the_same(client):
    whole = client.chat.completions.create(model="tiny", messages=MESSAGES, temperature=0, max_tokens=20)
    chunks = list(client.chat.completions.create(model="tiny", messages=MESSAGES, temperature=0, max_tokens=20, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == whole.choices[0].message.content
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["length"]
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 20 and all(c.usage is None for c in chunks[:-1])


def test_openai_choices_seeds_and_logprobs(client):
    ask = dict(model="tiny", messages=MESSAGES, temperature=1, max_tokens=8)
    a = client.chat.completions.create(**ask, n=3, seed=11, logprobs=True, top_logprobs=4)
    b = client.chat.completions.create(**ask, n=3, seed=11)
    assert [c.message.content for c in a.choices] == [c.message.content for c in b.choices]
    assert len({c.message.content for c in a.choices}) > 1 and [c.index for c in a.choices] == [0, 1, 2]
    one = client.chat.completions.create(**ask, seed=12)
    assert one.choices[0].message.content == a.choices[1].message.content
    for token in a.choices[0].logprobs.content:
        assert token.logprob <= 0 and len(token.top_logprobs) == 4
        assert [t.logprob for t in token.top_logprobs] == sorted((t.logprob for t in token.top_logprobs), reverse=True)
    parts = {0: "", 1: "", 2: ""}
    for c in client.chat.completions.create(**ask, n=3, seed=11, stream=True):
        parts[c.choices[0].index] += c.choices[0].delta.content or ""
    assert list(parts.values()) == [c.message.content for c in a.choices]


def test_openai_completions(client):
    r = client.completions.create(model="tiny", prompt=["the quick", "pack my"], temperature=0, max_tokens=4, n=1)
    assert [c.index for c in r.choices] == [0, 1]
    alone = client.completions.create(model="tiny", prompt="pack my", temperature=0, max_tokens=4)
    assert alone.choices[0].text == r.choices[1].text
    text = "".join(c.choices[0].text for c in client.completions.create(model="tiny", prompt="pack my", temperature=0, max_tokens=4, stream=True))
    assert text == alone.choices[0].text
    best = client.completions.create(model="tiny", prompt="pack my", temperature=1, seed=5, max_tokens=6, n=2, best_of=6, logprobs=0)
    mean = [sum(c.logprobs.token_logprobs) / len(c.logprobs.token_logprobs) for c in best.choices]
    assert mean == sorted(mean, reverse=True) and best.usage.completion_tokens >= 30


def test_openai_embeddings(client, server):
    a = client.embeddings.create(model="tiny", input=["fox", "dog"])  # base64 on the wire
    b = client.embeddings.create(model="tiny", input="fox", encoding_format="float")
    assert len(a.data) == 2 and a.data[0].embedding == pytest.approx(b.data[0].embedding, abs=1e-6)
    assert sum(x * x for x in b.data[0].embedding) == pytest.approx(1, abs=1e-5)
    raw = server.post("/v1/embeddings", {"input": "fox", "encoding_format": "base64"})[2]["data"][0]["embedding"]
    assert len(base64.b64decode(raw)) == 4 * len(b.data[0].embedding)
    assert struct.unpack("<f", base64.b64decode(raw)[:4])[0] == pytest.approx(b.data[0].embedding[0], abs=1e-6)
    pooled = [server.post("/v1/embeddings", {"input": "fox jumps over", "pooling": p})[2]["data"][0]["embedding"] for p in ("mean", "last", "first")]
    assert pooled[0] != pooled[1] != pooled[2]


def test_openai_models_and_errors(client):
    openai = pytest.importorskip("openai")
    assert [m.id for m in client.models.list()] == ["tiny"] and client.models.retrieve("tiny").id == "tiny"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nope")
    with pytest.raises(openai.BadRequestError, match="temperature"):
        client.chat.completions.create(model="tiny", messages=MESSAGES, temperature=200)
    with pytest.raises(openai.BadRequestError, match="response_format"):
        client.chat.completions.create(model="tiny", messages=MESSAGES, response_format={"type": "json_objects"})


def test_openai_async(server):
    openai = pytest.importorskip("openai")

    async def run():
        async with openai.AsyncOpenAI(base_url=server.url, api_key="none", max_retries=0) as c:
            async def one(i):
                stream = await c.chat.completions.create(model="tiny", messages=[{"role": "user", "content": f"number {i}"}], temperature=0, max_tokens=12, stream=True)
                return "".join([x.choices[0].delta.content or "" async for x in stream])
            together = await asyncio.gather(*(one(i) for i in range(24)))
            assert together == [await one(i) for i in range(24)]
    asyncio.run(run())


def test_litellm(server):
    litellm = pytest.importorskip("litellm")
    r = litellm.completion(model="openai/tiny", api_base=server.url, api_key="none", messages=MESSAGES, temperature=0, max_tokens=5)
    text = "".join(c.choices[0].delta.content or "" for c in
                   litellm.completion(model="openai/tiny", api_base=server.url, api_key="none", messages=MESSAGES, temperature=0, max_tokens=5, stream=True))
    assert r.choices[0].message.content == text


def test_langchain(server):
    lc = pytest.importorskip("langchain_openai")
    chat = lc.ChatOpenAI(base_url=server.url, api_key="none", model="tiny", temperature=0, max_tokens=5)
    whole = chat.invoke("the quick brown fox").content
    assert whole and "".join(c.content for c in chat.stream("the quick brown fox")) == whole
    vectors = lc.OpenAIEmbeddings(base_url=server.url, api_key="none", model="tiny", check_embedding_ctx_length=False).embed_documents(["a", "b"])
    assert len(vectors) == 2


# --- lm-eval, on a task made here
def test_lm_eval(server, models, tmp_path):
    pytest.importorskip("lm_eval")
    (tmp_path / "t.yaml").write_text(json.dumps({
        "task": "wick_choice", "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(tmp_path / "d.jsonl")}}, "test_split": "test", "output_type": "multiple_choice",
        "doc_to_text": "{{q}}", "doc_to_target": "{{gold}}", "doc_to_choice": "{{choices}}", "metric_list": [{"metric": "acc"}]}))
    tokenizer = models[1]
    docs = []
    for q, choices in [("the quick brown", ["fox", "zebras", "liquor"]), ("pack my box with", ["five", "dozen", "jumps"]), ("how vexingly", ["quick", "daft", "dog"])]:
        scores = []
        for c in choices:
            ids, ctx = tokenizer.encode(q + " " + c, add_special_tokens=False).ids, len(tokenizer.encode(q, add_special_tokens=False).ids)
            lp = server.post("/v1/completions", {"prompt": ids, "echo": True, "max_tokens": 0, "logprobs": 1})[2]["choices"][0]["logprobs"]["token_logprobs"]
            scores.append(sum(lp[ctx:]))
        docs.append({"q": q, "choices": choices, "gold": scores.index(max(scores))})
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(d) + "\n" for d in docs))
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "OPENAI_API_KEY": "none", "HF_HOME": str(tmp_path / "hf")}
    code = ("import sys, json, lm_eval\nfrom lm_eval.tasks import TaskManager\n"
            "r = lm_eval.simple_evaluate(model='local-completions', model_args=dict(model='tiny', base_url=sys.argv[1] + '/completions', tokenizer_backend='huggingface', tokenizer=sys.argv[2],"
            "tokenized_requests=True, num_concurrent=2, max_retries=1), tasks=['wick_choice'], task_manager=TaskManager(include_path=sys.argv[3], include_defaults=False))\n"
            "print('ACC', r['results']['wick_choice']['acc,none'])")
    r = subprocess.run([sys.executable, "-c", code, server.url, str(models[0] / "tiny"), str(tmp_path)], capture_output=True, text=True, timeout=240, env=env)
    assert "ACC 1.0" in r.stdout, r.stdout[-2000:] + r.stderr[-3000:]


# --- what is honoured
def test_stop_bias_penalty_and_min_tokens(server):
    full = server.chat(max_tokens=24)[2]["choices"][0]["message"]["content"]
    part = full[2:4]
    got = server.chat(max_tokens=24, stop=[part])[2]["choices"][0]
    assert got["message"]["content"] == full[:full.index(part)] and got["finish_reason"] == "stop"
    streamed = server.chat(max_tokens=24, stop=part, stream=True)[2]
    text = "".join(json.loads(e)["choices"][0]["delta"].get("content", "") for e in sse_events(streamed) if e != "[DONE]")
    assert text == full[:full.index(part)]
    forced = server.chat(max_tokens=3, logit_bias={"75": 100})[2]["choices"][0]["message"]["content"]
    assert forced == "hhh"
    assert server.chat(max_tokens=3, logit_bias={"75": 100}, frequency_penalty=2, presence_penalty=2)[0] == 200
    ended = server.chat(max_tokens=8, logit_bias={"1": 100})[2]
    assert ended["choices"][0]["finish_reason"] == "stop" and ended["usage"]["completion_tokens"] == 1
    assert server.chat(max_tokens=8, logit_bias={"1": 100}, min_tokens=4)[2]["usage"]["completion_tokens"] == 5
    assert server.chat(max_tokens=8, logit_bias={"1": 100}, ignore_eos=True)[2]["usage"]["completion_tokens"] == 8


def test_echo_and_prompt_logprobs(server, models):
    ids = models[1].encode("the quick brown fox", add_special_tokens=False).ids
    r = server.post("/v1/completions", {"prompt": ids, "echo": True, "logprobs": 2, "max_tokens": 1, "temperature": 0})[2]["choices"][0]
    lp = r["logprobs"]
    assert len(lp["tokens"]) == len(ids) + 1 == len(lp["token_logprobs"]) == len(lp["top_logprobs"]) == len(lp["text_offset"])
    assert lp["token_logprobs"][0] is None and all(x <= 0 for x in lp["token_logprobs"][1:]) and r["text"].startswith("the quick brown fox")
    assert "".join(lp["tokens"][:len(ids)]) == "the quick brown fox"
    for token, logprob, top in list(zip(lp["tokens"], lp["token_logprobs"], lp["top_logprobs"]))[1:]:
        assert len(top) >= 2 and max(top.values()) >= logprob - 1e-6 and (token not in top or top[token] == pytest.approx(logprob))
    none = server.post("/v1/completions", {"prompt": ids, "echo": True, "logprobs": 2, "max_tokens": 0})[2]["choices"][0]
    assert none["logprobs"]["token_logprobs"][1:] == pytest.approx(lp["token_logprobs"][1:-1]) and none["text"] == "the quick brown fox"
    text = server.post("/v1/completions", {"prompt": "the quick", "echo": True, "max_tokens": 2, "temperature": 0})[2]["choices"][0]["text"]
    stream = server.post("/v1/completions", {"prompt": "the quick", "echo": True, "max_tokens": 2, "temperature": 0, "stream": True, "logprobs": 1})[2]
    events = [json.loads(e) for e in sse_events(stream) if e != "[DONE]"]
    assert "".join(e["choices"][0]["text"] for e in events) == text
    assert sum(len(e["choices"][0]["logprobs"]["tokens"]) for e in events if e["choices"][0]["logprobs"]) == 5


def test_tokenize_detokenize_template(server, models):
    tokenizer = models[1]
    for text in ("hello", "naïve café 日本語 <|end|>", ""):
        assert server.post("/tokenize", {"content": text})[2]["tokens"] == tokenizer.encode(text).ids
        ids = server.post("/tokenize", {"prompt": text, "add_special": False})[2]["tokens"]
        assert ids == tokenizer.encode(text, add_special_tokens=False).ids
        assert server.post("/detokenize", {"tokens": ids})[2]["content"] == text
    plain = server.post("/tokenize", {"content": "<|end|>", "add_special": False, "parse_special": False})[2]["tokens"]
    assert len(plain) > 1
    import jinja2
    want = jinja2.Environment(trim_blocks=True, lstrip_blocks=True).from_string(TEMPLATE).render(messages=MESSAGES, add_generation_prompt=True, bos_token="<|bos|>")
    assert server.post("/v1/apply-template", {"messages": MESSAGES})[2]["prompt"] == want
    # llama.cpp's route says what its chat does: thinking unless it is switched off, and a last answer is gone on with
    assert server.post("/apply-template", {"messages": MESSAGES})[2]["prompt"] == want + "<think>\n"
    assert server.post("/apply-template", {"messages": MESSAGES, "enable_thinking": False})[2]["prompt"] == want
    assert server.post("/apply-template", {"messages": [*MESSAGES, {"role": "assistant", "content": "It is"}]})[2]["prompt"].endswith("<|start|>assistant\nIt is")
    assert server.post("/tokenize", {"messages": MESSAGES})[2]["tokens"] == tokenizer.encode(want, add_special_tokens=False).ids


def test_reasoning_is_split(server):
    r = server.chat(max_tokens=6, chat_template_kwargs={"enable_thinking": True})[2]["choices"][0]["message"]
    if "reasoning_content" in r:  # the template's traits say that it thinks: all six tokens are inside
        assert r["content"] == "" and r["reasoning_content"]


# --- tool calls: a token of the vocabulary is a whole call, and a bias makes the model say it
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Köln", "days": 3}}\n</tool_call>'
THOUGHT = "<think>\nhmm\n</think>\n\n"
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}}}]
TOOL_TEMPLATE = ("{% if tools %}<|start|>system\nTools:\n{% for t in tools %}{{ t | tojson }}\n{% endfor %}Answer with <tool_call>\n{\"name\": ..., \"arguments\": ...}\n</tool_call>"
                 "<|end|>\n{% endif %}{% for m in messages %}<|start|>{{ m.role }}\n{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}"
                 "{% if m.content %}{{ m.content }}{% endif %}{% if m.tool_calls %}{% for c in m.tool_calls %}"
                 "<tool_call>\n{\"name\": \"{{ c.function.name }}\", \"arguments\": {{ c.function.arguments | tojson }}}\n</tool_call>{% endfor %}{% endif %}"
                 "<|end|>\n{% endfor %}{% if add_generation_prompt %}<|start|>assistant\n{% endif %}")


@pytest.fixture(scope="module")
def tool_server(models, tmp_path_factory):
    import shutil
    folder = tmp_path_factory.mktemp("tools") / "tooled"
    shutil.copytree(models[0] / "tiny", folder)
    from tokenizers import Tokenizer
    t = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = {}
    doc = json.loads((folder / "tokenizer.json").read_text())
    drop = sorted(doc["model"]["vocab"], key=doc["model"]["vocab"].get)[-2:]
    if t.get_vocab_size() > 510:  # make room: the model has 512 rows
        for piece in drop:
            del doc["model"]["vocab"][piece]
        doc["model"]["merges"] = [m for m in doc["model"]["merges"] if "".join(m if isinstance(m, list) else m.split(" ")) not in drop]
        (folder / "tokenizer.json").write_text(json.dumps(doc))
        t = Tokenizer.from_file(str(folder / "tokenizer.json"))
    t.add_tokens([CALL, THOUGHT])
    t.save(str(folder / "tokenizer.json"))
    ids = {CALL: t.token_to_id(CALL), THOUGHT: t.token_to_id(THOUGHT)}
    assert max(ids.values()) < 512
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": TOOL_TEMPLATE}))
    with Server(folder) as s:
        yield s, ids


def test_tool_calls(tool_server):
    s, ids = tool_server
    ask = dict(tools=TOOLS, max_tokens=2, logit_bias={str(ids[CALL]): 100})
    choice = s.chat(**ask)[2]["choices"][0]
    assert choice["message"]["content"] is None and choice["finish_reason"] in ("tool_calls", "length")
    calls = choice["message"]["tool_calls"]
    assert len(calls) == 2 and calls[0]["type"] == "function" and calls[0]["id"] != calls[1]["id"] and len(calls[0]["id"]) == 9
    assert calls[0]["function"]["name"] == "weather" and json.loads(calls[0]["function"]["arguments"]) == {"city": "Köln", "days": 3}
    events = [json.loads(e) for e in sse_events(s.chat(**ask, stream=True)[2]) if e != "[DONE]"]
    streamed = [c for e in events for c in e["choices"][0]["delta"].get("tool_calls", [])]
    assert [c["function"]["name"] for c in streamed if "id" in c] == [c["function"]["name"] for c in calls]
    for i, call in enumerate(calls):  # the first chunk of a call names it, the others bring its arguments
        assert "".join(c["function"]["arguments"] for c in streamed if c["index"] == i) == call["function"]["arguments"]
    assert not any(e["choices"][0]["delta"].get("content") for e in events)
    none = s.chat(**ask | {"tool_choice": "none"})[2]["choices"][0]["message"]
    assert "tool_calls" not in none and none["content"] == CALL * 2
    plain = s.chat(max_tokens=1, logit_bias={str(ids[CALL]): 100})[2]["choices"][0]["message"]
    assert plain["content"] == CALL
    answer = s.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": calls, "content": None}, {"role": "tool", "tool_call_id": calls[0]["id"], "content": "rain"}],
                                             "tools": TOOLS, "max_tokens": 3})
    assert answer[0] == 200


def test_reasoning_before_text(tool_server):
    s, ids = tool_server
    ask = dict(max_tokens=1, logit_bias={str(ids[THOUGHT]): 100})
    message = s.chat(**ask)[2]["choices"][0]["message"]
    assert message["reasoning_content"].strip().startswith("hmm") and "<think>" not in message["content"]
    events = [json.loads(e)["choices"][0]["delta"] for e in sse_events(s.chat(**ask, stream=True)[2]) if e != "[DONE]"]
    assert "".join(d.get("reasoning_content", "") for d in events) == message["reasoning_content"]


def test_keepalive_and_sse_framing(server):
    status, headers, text = server.chat(stream=True, max_tokens=3)
    assert status == 200 and headers["content-type"].startswith("text/event-stream")
    assert text.endswith("data: [DONE]\n\n") and all(b.startswith(("data: ", ": ")) for b in text.rstrip("\n").split("\n\n"))


def test_metrics(server):
    server.chat()
    text = server.get("/metrics")[2]
    types = dict(re.findall(r"# TYPE (\S+) (\S+)", text))
    assert types["wick_time_to_first_token_seconds"] == "histogram" and types["wick_generated_tokens_total"] == "counter"
    for line in text.splitlines():
        assert line.startswith("#") or re.fullmatch(r'[a-z_:]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [-+0-9.e]+', line), line
    count = lambda: float(re.search(r'wick_requests_total\{model="tiny"\} (\S+)', server.get("/metrics")[2]).group(1))
    before = count()
    server.chat(n=2)
    assert count() == before + 2


def test_health(server):
    for path in ("/livez", "/readyz", "/healthz", "/health"):
        assert server.get(path)[0] == 200
    assert server.request("HEAD", "/livez")[0] == 200


# --- keys
@pytest.fixture(scope="module")
def keyed(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    (folder / "k").write_text("# keys\nfile-key-abcdefgh\n")
    (folder / "k").chmod(0o600)
    (folder / "server.yaml").write_text(json.dumps({"models": [{"path": str(models[0] / "tiny"), "id": "one", "aliases": ["gpt-x"]}, {"path": str(models[0] / "other"), "preload": False}], "keys": [
        {"name": "slow", "sha256": hashlib.sha256(b"slow-key-1234").hexdigest(), "requests_per_minute": 2},
        {"name": "watch", "sha256": hashlib.sha256(b"watch-key-1234").hexdigest(), "scopes": ["metrics"]},
        {"name": "tok", "sha256": hashlib.sha256(b"tok-key-12345").hexdigest(), "tokens_per_minute": 10}], "server": {"cors_origins": ["https://app.example"], "allow_hosts": ["wick.internal"]}}))
    with Server("--config", folder / "server.yaml", "--api-key-file", folder / "k", env={"WICK_API_KEY": KEY}) as s:
        yield s


def auth(key):
    return {"Authorization": "Bearer " + key}


@pytest.mark.parametrize("path", ["/v1/models", "/metrics", "/status", "/admin/models", "/v1/models/one"])
def test_routes_need_a_key(keyed, path):
    for headers in ({}, auth("wrong"), auth(KEY + "x"), auth(KEY[:-1]), {"Authorization": "Basic " + KEY}, {"Authorization": KEY}):
        status, h, body = keyed.get(path, headers=headers)
        assert status == 401 and h["www-authenticate"].startswith("Bearer") and body["error"]["type"] == "authentication_error"
    assert keyed.get(path + "?api_key=" + KEY)[0] == 401
    assert keyed.get(path, headers=auth(KEY))[0] == 200


def test_scopes_and_open_routes(keyed):
    assert keyed.get("/livez")[0] == 200 and keyed.get("/readyz")[0] == 200
    assert keyed.get("/metrics", headers=auth("watch-key-1234"))[0] == 200
    assert keyed.get("/v1/models", headers=auth("watch-key-1234"))[0] == 403
    assert keyed.get("/admin/keys", headers=auth("slow-key-1234"))[0] == 403
    assert keyed.post("/v1/chat/completions", {"messages": MESSAGES})[0] == 401


def test_rate_limits(keyed):
    ask = lambda key: keyed.post("/v1/completions", {"prompt": "x", "max_tokens": 6}, headers=auth(key))
    assert [ask("slow-key-1234")[0] for _ in range(3)] == [200, 200, 429]
    status, headers, body = ask("slow-key-1234")
    assert status == 429 and 1 <= int(headers["retry-after"]) <= 60 and body["error"]["code"] == "rate_limit_exceeded"
    assert ask("tok-key-12345")[0] == 200 and ask("tok-key-12345")[0] == 200 and eventually(lambda: ask("tok-key-12345")[0] == 429, 20)


def test_keys_at_run_time(keyed):
    admin = auth(KEY)
    made = keyed.post("/admin/keys", {"name": "new", "concurrent": 3}, headers=admin)[2]
    assert keyed.get("/v1/models", headers=auth(made["key"]))[0] == 200 and keyed.get("/status", headers=auth(made["key"]))[0] == 403
    assert keyed.post("/admin/keys", {"name": "new"}, headers=admin)[0] == 400
    listed = keyed.get("/admin/keys", headers=admin)[2]["data"]
    assert {"WICK_API_KEY", "file-1", "slow", "new"} <= {k["name"] for k in listed} and made["key"] not in json.dumps(listed)
    assert keyed.post("/admin/keys/limits", {"name": "new", "requests_per_minute": 1}, headers=admin)[0] == 200
    assert keyed.request("DELETE", "/admin/keys/new", headers=admin)[0] == 200
    assert keyed.get("/v1/models", headers=auth(made["key"]))[0] == 401 and keyed.request("DELETE", "/admin/keys/new", headers=admin)[0] == 404
    assert keyed.request("DELETE", "/admin/keys/WICK_API_KEY", headers=admin)[0] == 400


def test_cors_and_hosts_when_configured(keyed):
    origin = {"Origin": "https://app.example"}
    status, h, _ = keyed.request("OPTIONS", "/v1/models", headers=origin | {"Access-Control-Request-Method": "GET"})
    assert status == 200 and h["access-control-allow-origin"] == origin["Origin"]
    assert keyed.get("/v1/models", headers=origin | auth(KEY))[1]["access-control-allow-origin"] == origin["Origin"]
    assert keyed.get("/v1/models", headers=auth(KEY) | {"Origin": "https://other.example"})[0] == 403
    for host in ("wick.internal:80", "host.docker.internal"):  # who must show a key may come by any name
        assert keyed.get("/livez", headers={"Host": host})[0] == 200


# --- models
def test_models_on_demand_and_aliases(keyed):
    admin = auth(KEY)
    state = lambda: {m["id"]: m["state"] for m in keyed.get("/v1/models", headers=admin)[2]["data"]}
    ask = lambda model: keyed.post("/v1/completions", {"prompt": "x", "max_tokens": 2, "temperature": 0, **({"model": model} if model else {})}, headers=admin)
    assert state() == {"one": "ready", "other": "unloaded"}
    assert ask("gpt-x")[2]["model"] == "one" and ask(None)[2]["model"] == "one"
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(ask("other"))) for _ in range(12)]
    [t.start() for t in threads], [t.join() for t in threads]
    assert all(a[0] == 200 and a[2]["model"] == "other" for a in answers) and len({a[2]["choices"][0]["text"] for a in answers}) == 1
    assert keyed.post("/admin/models/default", {"model": "other"}, headers=admin)[0] == 200 and ask(None)[2]["model"] == "other"
    assert keyed.post("/admin/models/default", {"model": "one"}, headers=admin)[0] == 200
    assert keyed.post("/admin/models/unload", {"model": "other"}, headers=admin)[0] == 200
    assert eventually(lambda: state()["other"] == "unloaded")
    assert ask("other")[0] == 200
    assert keyed.post("/admin/cache/warm", {"prompt": "the quick brown fox jumps over the lazy dog"}, headers=admin)[0] == 200
    assert keyed.post("/admin/cache/clear", {}, headers=admin)[0] == 200


def test_load_and_unload_under_load(server, models):
    stop, wrong = threading.Event(), []
    want = server.chat()[2]["choices"][0]["message"]["content"]

    def ask():
        while not stop.is_set():
            status, _, body = server.chat()
            if status != 200 or body["choices"][0]["message"]["content"] != want:
                wrong.append(body)
            status, _, body = server.post("/v1/completions", {"model": "second", "prompt": "x", "max_tokens": 3})
            if status not in (200, 404):
                wrong.append(body)
    threads = [threading.Thread(target=ask) for _ in range(8)]
    [t.start() for t in threads]
    try:
        for _ in range(6):
            assert server.post("/admin/models/load", {"model": "second", "path": str(models[0] / "other")})[0] == 200
            time.sleep(0.05)
            assert server.post("/admin/models/unload", {"model": "second", "forget": True})[0] == 200
            assert server.get("/v1/models/second")[0] == 404
    finally:
        stop.set()
    [t.join() for t in threads]
    assert not wrong, wrong[:2]


# --- overload, drain, signals
def test_full_queue_is_429(models):
    with Server(models[0] / "tiny", "--max-queue", 4, "--max-seqs", 4) as s:
        statuses, headers = [], []

        def ask():
            status, h, _ = s.chat(max_tokens=200, ignore_eos=True)
            statuses.append(status)
            headers.append(h)
        threads = [threading.Thread(target=ask) for _ in range(24)]
        [t.start() for t in threads], [t.join() for t in threads]
        assert set(statuses) == {200, 429}
        assert all("retry-after" in h for status, h in zip(statuses, headers) if status == 429)
        assert s.chat()[0] == 200


def test_sigterm_drains(models):
    s = Server(models[0] / "tiny")
    answers = []
    t = threading.Thread(target=lambda: answers.append(s.chat(max_tokens=1200, ignore_eos=True)))
    t.start()
    assert eventually(lambda: s.get("/status")[2]["active"] > 0 or answers, 20)
    idle = s.connect()
    s.process.send_signal(signal.SIGTERM)
    assert eventually(lambda: s.get("/readyz")[0] in (503, 0))
    late = s.chat()
    assert late[0] in (503, 0)
    t.join()
    assert s.process.wait(40) == 0
    idle.close()
    assert answers[0][0] == 200 and answers[0][2]["usage"]["completion_tokens"] == 1200


def test_idle_server_stops_at_once_and_second_signal_too(models):
    s = Server(models[0] / "tiny")
    t0 = time.monotonic()
    assert s.stop()[0] == 0 and time.monotonic() - t0 < 20  # it does not wait for the drain limit
    s = Server(models[0] / "tiny")
    with s.connect() as c:
        body = json.dumps({"messages": MESSAGES, "max_tokens": 1900, "ignore_eos": True, "stream": True, "n": 16})
        c.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        c.recv(100)
        s.process.send_signal(signal.SIGTERM)
        eventually(lambda: s.get("/readyz")[0] in (503, 0), 20)  # the first one was seen
        t0 = time.monotonic()
        s.process.send_signal(signal.SIGTERM)
        s.process.wait(25)
        assert time.monotonic() - t0 < 20


def test_admin_drain_ends_the_server(models):
    s = Server(models[0] / "tiny")
    assert s.post("/admin/drain", {})[0] == 200
    assert s.process.wait(40) == 0


def test_client_that_leaves_frees_its_slot(server):
    for stream in (True, False):
        body = json.dumps({"messages": MESSAGES, "max_tokens": 1900, "ignore_eos": True, "stream": stream})
        c = server.connect()
        c.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        if stream:
            c.recv(100)
        else:
            time.sleep(0.05)
        c.close()
        t0 = time.monotonic()
        assert eventually(lambda: server.get("/status")[2]["active"] == 0, 20)
        print(f"slot free after {1000 * (time.monotonic() - t0):.0f} ms")


# --- starting
def test_start_is_quick_and_names_the_url(models):
    t0 = time.monotonic()
    with Server(models[0] / "tiny") as s:
        print(f"ready after {1000 * (time.monotonic() - t0):.0f} ms")
        assert f":{s.port}/v1" in s.line


@pytest.mark.parametrize("args,said", [([], "no model"), (["/nowhere/model"], "nowhere"), (["{m}", "--host", "0.0.0.0"], "key"), (["{m}", "--tls-cert", "x"], "tls-key"), (["--config", "/nowhere.yaml"], "nowhere"),
                                        (["{m}", "--api-key-file", "/nowhere.key"], "nowhere"), (["{m}", "--backend", "nope"], "backend"), (["{m}", "--port", "70000"], "port")])
def test_bad_starts(models, args, said):
    r = wick("serve", *[a.format(m=models[0] / "tiny") for a in args], *([] if "--port" in args else ["--port", "0"]))
    assert r.returncode in range(1, 20) and said in r.stderr and len(r.stderr.splitlines()) <= 3, r.stderr


def test_key_is_required_beyond_loopback_and_key_files_are_private(models, tmp_path):
    (tmp_path / "k").write_text("a-key-of-some-length\n")
    (tmp_path / "k").chmod(0o644)
    r = wick("serve", models[0] / "tiny", "--api-key-file", tmp_path / "k", "--port", 0)
    assert r.returncode != 0 and "chmod 600" in r.stderr
    (tmp_path / "k").chmod(0o600)
    with Server(models[0] / "tiny", "--api-key-file", tmp_path / "k", "--host", "0.0.0.0") as s:
        assert s.get("/v1/models")[0] == 401 and s.get("/v1/models", headers=auth("a-key-of-some-length"))[0] == 200
    assert wick("serve", models[0] / "tiny", "--port", 0, env={"WICK_API_KEY": "short"}).returncode == 2


def test_port_in_use(server, models):
    r = wick("serve", models[0] / "tiny", "--port", server.port)
    assert r.returncode != 0 and "port" in r.stderr


def test_mlx_command_says_why_not_or_serves(models):
    r = subprocess.Popen([WICK, "mlx", "-m", str(models[0] / "tiny"), "--port", "0", "--mlx-device", "auto", "--mlx-lazy-eval", "true"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = r.stdout.readline()
    if "serving" in line:
        r.send_signal(signal.SIGTERM)
        r.communicate(timeout=20)
    else:
        _, err = r.communicate(timeout=20)
        assert r.returncode == 6 and "mlx" in err


def test_tls(models, tmp_path):
    made = subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "k", "-out", tmp_path / "c", "-days", "2", "-subj", "/CN=localhost"], capture_output=True)
    if made.returncode:
        pytest.skip("no openssl")
    with Server(models[0] / "tiny", "--tls-cert", tmp_path / "c", "--tls-key", tmp_path / "k") as s:
        assert s.url.startswith("https://")
        context = ssl.create_default_context(cafile=str(tmp_path / "c"))
        with socket.create_connection(("127.0.0.1", s.port)) as raw, context.wrap_socket(raw, server_hostname="localhost") as c:
            c.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert c.recv(100).startswith(b"HTTP/1.1 200")


# --- configuration and client commands
@pytest.mark.parametrize("text,said", [("server: {prot: 1}", "server.prot"), ("models: [{path: 5}]", "models[0].path"), ("models: [{path: x, backend: cuda}]", "models[0].backend"), ("models: [{id: x}]", "has no path"),
                                        ("limits: {queue: 0}", "limits.queue"), ("limits: {nope: 1}", "limits.nope"), ("keys: [{name: a, key: secret}]", "keys[0].key"), ("keys: [{name: a}]", "file or sha256"), ("nope: 1", "nope"),
                                        ("server: [", "line"), ("a: &x 1\nb: *x", "a"), ("server: {port: 99999}", "server.port"), ("runtime: {backends: [{name: cpu, threads: many}]}", "runtime.backends[0].threads"),
                                        ("server: {host: 1}", "server.host"), ("x: *y", "line 1"), ("- 1", "mapping"), ("server: {}\nserver: {}", "twice"), ("[" * 100, "line")])
def test_config_check_names_the_place(tmp_path, text, said):
    (tmp_path / "s.yaml").write_text(text)
    r = wick("config", "check", tmp_path / "s.yaml")
    assert r.returncode == 2 and said in r.stderr, r.stderr


def test_quickstart_then_check_then_serve(models, tmp_path):
    out = tmp_path / "server.yaml"
    r = wick("quickstart", models[0] / "tiny", models[0] / "other", "--out", out)
    assert r.returncode == 0 and wick("config", "check", out).returncode == 0
    assert wick("quickstart", "-o", out).returncode == 2 and wick("quickstart", "--backend", "mlx", "-o", out, "--force", models[0] / "tiny").returncode == 0
    assert "mlx" in out.read_text()
    wick("quickstart", models[0] / "tiny", "-o", out, "--force")
    with Server("--config", out) as s:
        assert s.chat()[0] == 200


def test_client_commands(server, keyed, models):
    url = f"http://127.0.0.1:{server.port}"
    assert "tiny" in wick("models", "--url", url).stdout and "tiny" in wick("status", "--url", url + "/v1").stdout
    want = server.chat("hi", max_tokens=5)[2]["choices"][0]["message"]["content"]
    assert wick("chat", "hi", "--temp", 0, "-n", 5, "--url", url).stdout.rstrip("\n") == want.rstrip("\n")
    assert json.loads(wick("chat", "hi", "--json", "-n", 5, "--url", url).stdout)["object"] == "chat.completion"
    assert wick("complete", "pack my box", "--temp", 0, "-n", 5, "--url", url).returncode == 0
    assert json.loads(wick("status", "--json", "--url", url).stdout)["models"][0]["id"] == "tiny"
    admin = {"WICK_API_KEY": KEY, "WICK_URL": f"http://127.0.0.1:{keyed.port}"}
    assert wick("models", env={"WICK_URL": admin["WICK_URL"]}).returncode == 2
    assert json.loads(wick("admin", "key-add", "cli", "--scopes", "infer,metrics", env=admin).stdout)["key"].startswith("wick-")
    assert wick("admin", "key-remove", "cli", env=admin).returncode == 0
    assert wick("admin", "unload", "nope", env=admin).returncode == 3 and wick("admin", "nope", env=admin).returncode == 2
    assert wick("models", "--url", "http://127.0.0.1:1").returncode == 9


@pytest.mark.parametrize("table", ["limits", "routes", "parameters"])
def test_docs_have_the_tables_of_the_program(table):
    assert wick("config", table).stdout in (ROOT / "docs" / "API.md").read_text()


def test_secrets_stay_out_of_arguments_and_logs(models):
    s = Server(models[0] / "tiny", "-v", env={"WICK_API_KEY": KEY})
    s.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "a very private question"}]}, headers=auth(KEY))
    cmdline = open(f"/proc/{s.process.pid}/cmdline", "rb").read() if os.path.exists("/proc") else b""
    _, err = s.stop()
    assert KEY.encode() not in cmdline and KEY not in err and "private" not in err and "/v1/chat/completions 200" in err


def test_memory_and_descriptors_do_not_grow(server):
    if not os.path.exists("/proc"):
        pytest.skip("needs /proc")
    rss = lambda: int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{server.process.pid}/status").read()).group(1))
    fds = lambda: len(os.listdir(f"/proc/{server.process.pid}/fd"))
    for _ in range(150):
        server.chat()
    before, open_before = rss(), fds()
    for i in range(400):
        server.chat(f"message {i % 7}", max_tokens=2)
        if i % 4 == 0:
            server.post("/v1/chat/completions", "{")
    assert eventually(lambda: fds() <= open_before + 1)
    assert rss() - before < 32 * 1024
