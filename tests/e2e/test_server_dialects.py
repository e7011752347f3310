"""The same conversations in every dialect, with a scripted model: text, streams, reasoning, calls over two turns, errors, usage."""
import json

import pytest
from scripted import CLIENTS, write_scripted_model
from server_common import Server, sse_events

HELLO = "Hello! How can I help you today? 日本語 too."
THOUGHT = "The user wants weather, so I call."
ARGS = {"city": "Paris", "unit": "celsius"}
RESULT = "It is 21 degrees and sunny in Paris."
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "unit": {"type": "string"}}, "required": ["city"]}


def user(text):
    return [{"role": "user", "content": text}]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(write_scripted_model(tmp_path_factory.mktemp("dialects") / "scripted", CLIENTS)) as s:
        yield s


# --- OpenAI: the base of comparison
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "Weather of a city", "parameters": SCHEMA, "strict": True}}]


def test_openai_two_turns(server):
    body = server.post("/v1/chat/completions", {"messages": user("weather?"), "tools": TOOLS})[2]
    choice = body["choices"][0]
    assert choice["finish_reason"] == "tool_calls" and choice["message"]["content"] == "Let me look." and choice["message"]["reasoning_content"] == THOUGHT
    call = choice["message"]["tool_calls"][0]
    assert call["function"]["name"] == "get_weather" and json.loads(call["function"]["arguments"]) == ARGS
    assert 0 < body["usage"]["completion_tokens_details"]["reasoning_tokens"] < body["usage"]["completion_tokens"]
    turn = user("weather?") + [choice["message"], {"role": "tool", "tool_call_id": call["id"], "content": "21, sunny"}]
    assert server.post("/v1/chat/completions", {"messages": turn, "tools": TOOLS})[2]["choices"][0]["message"]["content"] == RESULT


def test_the_first_piece_of_a_stream(server):
    first = lambda **kw: json.loads(sse_events(server.post("/v1/chat/completions", {"messages": user("hi"), "stream": True, **kw})[2])[0])["choices"][0]["delta"]
    assert first() == {"role": "assistant", "content": ""} and first(tools=TOOLS) == {"role": "assistant", "content": None}  # a call may come


def test_one_call_where_more_are_not_wanted(server):
    ask = lambda **kw: server.post("/v1/chat/completions", {"messages": user("both"), "tools": TOOLS, **kw})[2]
    both, one = ask(), ask(parallel_tool_calls=False)
    assert len(both["choices"][0]["message"]["tool_calls"]) == 2 and len(one["choices"][0]["message"]["tool_calls"]) == 1
    assert one["choices"][0]["finish_reason"] == "tool_calls"
    assert one["usage"]["completion_tokens"] < both["usage"]["completion_tokens"]  # it ended there


# --- llama.cpp
def test_llama_completion(server):
    status, _, body = server.post("/completion", {"prompt": "@script_0@", "n_predict": 64, "return_tokens": True, "n_probs": 2})
    assert status == 200 and body["content"] == RESULT and body["stop_type"] == "eos" and body["stop"] is True
    assert len(body["tokens"]) == len(body["completion_probabilities"]) == body["tokens_predicted"] - 1 and body["tokens_evaluated"] == 1  # the end token counts
    assert all(len(t["top_logprobs"]) == 2 and t["logprob"] <= 0 for t in body["completion_probabilities"])
    assert body["generation_settings"]["n_predict"] == 64 and body["prompt"] == "@script_0@"
    assert body["timings"]["predicted_n"] == body["tokens_predicted"] and all(v >= 0 for v in body["timings"].values())
    events = [json.loads(e) for e in sse_events(server.post("/completions", {"prompt": "@script_0@", "stream": True})[2])]
    assert "".join(e["content"] for e in events) == RESULT and [e["stop"] for e in events] == [False] * (len(events) - 1) + [True]
    short = server.post("/completion", {"prompt": "@script_0@", "n_predict": 2})[2]
    assert short["stop_type"] == "limit" and short["tokens_predicted"] == 2
    word = server.post("/completion", {"prompt": "@script_0@", "stop": ["degrees"]})[2]
    assert word["stop_type"] == "word" and word["stopping_word"] == "degrees" and word["content"] == "It is 21 "


def test_llama_prompts(server):
    ids = server.post("/tokenize", {"content": "@script_0@"})[2]["tokens"]
    for prompt in (ids, ["@script_0@", ids], [{"prompt_string": "@script_0@"}, "x @script_0@"], {"prompt_string": "@script_0@"}, ["x", *ids]):
        status, _, body = server.post("/completion", {"prompt": prompt, "n_predict": 32})
        assert status == 200, body
        many = isinstance(prompt, list) and not any(isinstance(p, int) for p in prompt)
        assert isinstance(body, list) == many and all(b["content"] == RESULT for b in (body if many else [body]))
    for prompt in (None, 5, [], {}, [[]], ["x", -1], ["x", 10**9], {"prompt_string": 1}, {"prompt_string": "x", "multimodal_data": ["AAAA"]}, [None]):
        assert server.post("/completion", {"prompt": prompt})[0] == 400, prompt
    wanted = server.post("/completion", {"prompt": "@script_0@", "n_predict": 2, "response_fields": ["content", "generation_settings/n_predict", "nope"]})[2]
    assert wanted == {"content": "It is 21", "generation_settings/n_predict": 2}


def test_llama_chat(server):
    body = server.post("/chat/completions", {"messages": user("hi"), "verbose": True})[2]
    assert body["choices"][0]["message"]["content"] == HELLO and body["timings"]["predicted_n"] == body["usage"]["completion_tokens"] and "<|turn|>user" in body["__verbose"]["prompt"]
    events = sse_events(server.post("/chat/completions", {"messages": user("hi"), "stream": True, "timings_per_token": True})[2])
    assert events[-1] == "[DONE]" and json.loads(events[0])["choices"][0]["delta"] == {"role": "assistant", "content": None}
    assert all("timings" in json.loads(e) for e in events[1:-1])
    # a last message of the assistant is continued
    prompt = server.post("/chat/completions", {"messages": user("hi") + [{"role": "assistant", "content": "Well, @script_0@"}], "verbose": True})[2]
    assert prompt["__verbose"]["prompt"].endswith("Well, @script_0@")


def test_llama_errors(server):
    status, _, body = server.post("/chat/completions", {"messages": user("word " * 3000)})
    assert status == 400 and body["error"]["type"] == "exceed_context_size_error" and body["error"]["n_prompt_tokens"] > body["error"]["n_ctx"] == 4096 and body["error"]["code"] == 400
    status, _, body = server.post("/completion", {"prompt": "x", "n_predict": "many"})
    assert status == 400 and body["error"]["type"] == "invalid_request_error" and "n_predict" in body["error"]["message"]
    for extra in ({"n_probs": 21}, {"n_predict": -3}, {"repeat_last_n": -2}, {"samplers": "topk"}, {"lora": [{"id": 0, "scale": 1}]}, {"post_sampling_probs": True}, {"response_fields": 1}, {"grammer": 1}):
        assert server.post("/completion", {"prompt": "x", **extra})[0] == 400, extra


def test_llama_other_routes(server):
    props = server.get("/props")[2]
    assert props["default_generation_settings"]["n_ctx"] == 4096 and props["total_slots"] > 0 and "/" not in props["model_path"] and "CHOOSE" not in props["chat_template"]
    assert [s["is_processing"] for s in server.get("/slots")[2]] == [False] * props["total_slots"]
    assert server.get("/lora-adapters")[2] == []
    assert server.post("/chat/completions/input_tokens", {"messages": user("hi")})[2]["input_tokens"] > 3
    pieces = server.post("/tokenize", {"content": "日 a", "with_pieces": True})[2]["tokens"]
    assert [p["piece"] for p in pieces] == [[230], [151], [165], " ", "a"]
    assert server.post("/detokenize", {"tokens": [p["id"] for p in pieces]})[2]["content"] == "日 a"
    assert server.post("/infill", {"input_prefix": "a", "input_suffix": "b"})[0] == 400  # this model has no such tokens
    vectors = server.post("/embeddings", {"content": ["a b", "c"]})[2]
    assert [v["index"] for v in vectors] == [0, 1] and len(vectors[0]["embedding"][0]) == 512


def test_rerank(server):
    ask = lambda **kw: server.post("/v1/rerank", {"query": "weather in paris", **kw})
    docs = ["weather in paris", "zzz 123", "weather on mars"]
    body = ask(documents=docs, top_n=2, return_documents=True)[2]
    assert [r["index"] for r in body["results"]] == [0, 2] and body["results"][0]["relevance_score"] == pytest.approx(1, abs=1e-3) and body["results"][0]["document"]["text"] == docs[0]
    assert [r["index"] for r in ask(texts=docs)[2]] == [0, 2, 1]
    for bad in ({}, {"documents": []}, {"documents": 5}, {"documents": [1]}, {"documents": docs, "top_n": 0}, {"texts": [""]}):
        assert ask(**bad)[0] == 400, bad


# --- Anthropic
def claude(server, text_or_messages, path="/v1/messages", **kw):
    messages = user(text_or_messages) if isinstance(text_or_messages, str) else text_or_messages
    return server.post(path, {"model": "claude-any", "messages": messages, **({"max_tokens": 256} if path == "/v1/messages" else {}), **kw})


CLAUDE_TOOLS = [{"name": "get_weather", "description": "Weather of a city", "input_schema": SCHEMA}]


def test_anthropic_two_turns(server):
    body = claude(server, "weather?", tools=CLAUDE_TOOLS, system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}])[2]
    assert [b["type"] for b in body["content"]] == ["thinking", "text", "tool_use"] and body["stop_reason"] == "tool_use" and body["type"] == "message"
    assert body["content"][0]["thinking"] == THOUGHT and body["content"][2]["input"] == ARGS
    turn = user("weather?") + [{"role": "assistant", "content": body["content"]},
                               {"role": "user", "content": [{"type": "tool_result", "tool_use_id": body["content"][2]["id"], "content": [{"type": "text", "text": "21, sunny"}]}]}]
    assert claude(server, turn, tools=CLAUDE_TOOLS)[2]["content"] == [{"type": "text", "text": RESULT}]
    turn[-1]["content"][0] |= {"is_error": True, "content": "no such city"}
    assert claude(server, turn, tools=CLAUDE_TOOLS)[0] == 200
    count = claude(server, turn, "/v1/messages/count_tokens", tools=CLAUDE_TOOLS)[2]
    usage = claude(server, turn, tools=CLAUDE_TOOLS)[2]["usage"]
    assert set(count) == {"input_tokens"} and count["input_tokens"] == usage["input_tokens"] + usage["cache_read_input_tokens"]


def claude_events(text):
    return [(e.split("\n")[0][7:], json.loads(e.split("\n")[1][6:])) for e in text.strip().split("\n\n")]


def test_anthropic_stream(server):
    events = claude_events(claude(server, "weather?", tools=CLAUDE_TOOLS, stream=True)[2])
    assert all(name == data["type"] for name, data in events) and events[0][0] == "message_start" and [n for n, _ in events[-2:]] == ["message_delta", "message_stop"]
    blocks, kinds, opened = {}, [], None
    for name, data in events:
        if name == "content_block_start":
            assert opened is None and data["index"] == len(kinds)
            opened = data["index"]
            kinds.append(data["content_block"]["type"])
        elif name == "content_block_stop":
            assert data["index"] == opened
            opened = None
        elif name == "content_block_delta":
            assert data["index"] == opened
            d = data["delta"]
            blocks[opened] = blocks.get(opened, "") + (d.get("thinking") or d.get("text") or d.get("partial_json") or "")
    assert kinds == ["thinking", "text", "tool_use"] and blocks[0] == THOUGHT and blocks[1] == "Let me look." and json.loads(blocks[2]) == ARGS
    delta = events[-2][1]
    assert delta["delta"]["stop_reason"] == "tool_use" and delta["usage"]["output_tokens"] > 10


def test_anthropic_ends_and_prefill(server):
    assert claude(server, "hi", max_tokens=2)[2]["stop_reason"] == "max_tokens"
    body = claude(server, "hi", stop_sequences=["help"])[2]
    assert body["stop_reason"] == "stop_sequence" and body["stop_sequence"] == "help" and body["content"][0]["text"] == "Hello! How can I "
    body = claude(server, user("hi") + [{"role": "assistant", "content": "Well: @script_0@"}])[2]
    assert body["content"][0]["text"] == RESULT
    one = claude(server, "both", tools=CLAUDE_TOOLS, tool_choice={"type": "auto", "disable_parallel_tool_use": True})[2]
    assert [b["type"] for b in one["content"]] == ["tool_use"]


@pytest.mark.parametrize("bad", [{"max_tokens": None}, {"max_tokens": 0}, {"messages": None}, {"messages": "x"}, {"messages": [1]}, {"messages": [{}]}, {"messages": [{"role": "user"}]},
                                 {"messages": [{"role": "user", "content": [{}]}]}, {"messages": [{"role": "user", "content": [{"type": "text"}]}]}, {"messages": user([{"type": "image", "source": {}}])},
                                 {"messages": user([{"type": "tool_result"}])}, {"messages": user([{"type": "tool_use", "id": 1}])}, {"system": 5}, {"system": [{"type": "x"}]}, {"tools": [{}]},
                                 {"tools": [{"type": "bash_20250124", "name": "bash"}]}, {"tools": [{"name": "f", "input_schema": 1}]}, {"tool_choice": {"type": "any"}}, {"tool_choice": "auto"},
                                 {"thinking": {"type": "maybe"}}, {"thinking": True}, {"metadata": 1}, {"stop_sequences": [""]}, {"temperature": -1}, {"n": 2}, {"max_token": 4}], ids=lambda b: repr(b)[:40])
def test_anthropic_errors(server, bad):
    body = {"model": "m", "max_tokens": 5, "messages": user("hi")} | bad
    status, _, answer = server.post("/v1/messages", {k: v for k, v in body.items() if v is not None})
    assert status == 400 and answer["type"] == "error" and answer["error"]["type"] == "invalid_request_error" and answer["error"]["message"], answer


def test_errors_before_the_route(server):
    status, _, body = server.get("/v1/messages")
    assert status == 405 and body["type"] == "error"
    assert server.post("/v1/messages", b"{", headers={})[2]["error"]["type"] == "invalid_request_error"


# --- Ollama
def ndjson(text):
    return [json.loads(line) for line in text.splitlines()] if isinstance(text, str) else [text]


def test_ollama_two_turns(server):
    ask = lambda messages, **kw: server.post("/api/chat", {"model": "llama3.2", "messages": messages, "stream": False, "tools": TOOLS, **kw})[2]
    body = ask(user("weather?"))
    m = body["message"]
    assert body["done"] and body["done_reason"] == "stop" and body["model"] == "llama3.2" and m["content"] == "Let me look." and m["thinking"] == THOUGHT
    assert m["tool_calls"][0]["function"]["name"] == "get_weather" and m["tool_calls"][0]["function"]["arguments"] == ARGS
    del m["tool_calls"][0]["id"]  # older clients have none
    assert ask(user("weather?") + [m, {"role": "tool", "tool_name": "get_weather", "content": "21, sunny"}])["message"]["content"] == RESULT
    assert body["eval_count"] > 10 and body["prompt_eval_count"] > 10 and body["total_duration"] > 0


def test_ollama_streams(server):
    status, headers, text = server.post("/api/chat", {"model": "m", "messages": user("weather?"), "tools": TOOLS})
    lines = ndjson(text)
    assert headers["content-type"] == "application/x-ndjson" and [x["done"] for x in lines] == [False] * (len(lines) - 1) + [True]
    assert "".join(x["message"].get("thinking", "") for x in lines) == THOUGHT and "".join(x["message"]["content"] for x in lines) == "Let me look."
    assert [c["function"]["arguments"] for x in lines for c in x["message"].get("tool_calls", [])] == [ARGS]
    lines = ndjson(server.post("/api/generate", {"model": "m", "prompt": "please think"})[2])
    assert "".join(x["response"] for x in lines) == "The answer is 4." and "".join(x.get("thinking", "") for x in lines) == "Two and two are four."


def test_ollama_options(server):
    ask = lambda **kw: server.post("/api/generate", {"model": "m", "prompt": "hi", "stream": False, **kw})
    assert ask()[2]["response"] == HELLO and ask(system="Be brief.")[2]["response"] == HELLO
    assert ask(prompt="x @script_0@", raw=True)[2]["response"] == RESULT
    body = ask(options={"num_predict": 2, "temperature": 0, "num_ctx": 2048, "seed": -1, "stop": ["zz"], "repeat_last_n": -1, "mirostat": 0, "top_k": 5, "num_gpu": 99})[2]
    assert body["done_reason"] == "length" and body["eval_count"] == 2
    for bad in ({"options": 1}, {"options": {"num_predict": "x"}}, {"options": {"tempreture": 1}}, {"options": {"temperature": -1}}, {"think": "a lot"}, {"images": ["AAAA"]}, {"template": "x"}, {"context": [1]},
                {"prompt": 5}, {"keep_alive": True}, {"nope": 1}, {"suffix": "x"}):
        status, _, answer = ask(**bad)
        assert status == 400 and isinstance(answer["error"], str), (bad, answer)
    assert "temperature" in ask(options={"tempreture": 1})[2]["error"]
    assert server.post("/api/chat", {"model": "m", "messages": [{"role": "user", "content": "x", "images": ["AAAA"]}]})[0] == 400
    loaded = server.post("/api/generate", {"model": "m"})[2]
    assert loaded["done_reason"] == "load" and server.post("/api/chat", {"model": "m", "messages": []})[2]["message"]["content"] == ""


def test_ollama_lists(server):
    assert [m["name"] for m in server.get("/api/tags")[2]["models"]] == ["scripted"] == [m["name"] for m in server.get("/api/ps")[2]["models"]]
    show = server.post("/api/show", {"model": "scripted"})[2]
    assert {"completion", "tools", "thinking"} <= set(show["capabilities"]) and show["model_info"]["llama.context_length"] == 4096 and "<|turn|>" in show["template"]
    assert server.post("/api/show", {})[0] == 400 and server.get("/api/version")[2]["version"].count(".") == 2
    vectors = server.post("/api/embed", {"model": "m", "input": ["a b", "c"]})[2]["embeddings"]
    assert len(vectors) == 2 and sum(v * v for v in vectors[0]) == pytest.approx(1, abs=1e-3)
    assert len(server.post("/api/embeddings", {"model": "m", "prompt": "a b"})[2]["embedding"]) == 512
    assert isinstance(server.get("/api/nowhere")[2]["error"], str)


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", None], ids=str)
def test_ollama_takes_any_content_type(server, kind):
    body = {"model": "m", "messages": user("hi"), "stream": False}
    assert server.post("/api/chat", body, headers={"Content-Type": kind})[2]["message"]["content"] == HELLO
    assert server.post("/api/chat", body, headers={"Content-Type": kind, "Origin": "http://evil.example"})[0] == 403
    assert server.post("/v1/chat/completions", {"messages": user("hi")}, headers={"Content-Type": kind})[0] == 415


def test_llama_habits(server):
    banned = server.post("/completion", {"prompt": "@script_0@", "n_predict": 4, "temperature": 0, "logit_bias": {"zz": -100, "5": 1.5}})
    assert banned[0] == 200 and len(banned[2]["generation_settings"]["logit_bias"]) == 3  # one token, and the two bytes of zz
    two = user("hi") + [{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert server.post("/chat/completions", {"messages": two})[0] == 400
    assert server.post("/chat/completions", {"messages": two, "add_generation_prompt": False})[0] == 200
