"""OpenAI's Responses with a scripted model: items, streamed events, conversations that go on by id, and what is kept for whom."""
import json
import socket
import threading

import pytest
from scripted import CLIENTS, write_scripted_model
from server_common import Server, eventually

HELLO = "Hello! How can I help you today? 日本語 too."
RESULT = "It is 21 degrees and sunny in Paris."
TOOLS = [{"type": "function", "name": "get_weather", "description": "Weather of a city", "strict": True,
          "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "unit": {"type": "string"}}, "required": ["city"],
                         "additionalProperties": False}}]
KEYS = {"A": "key-of-user-a", "B": "key-of-user-b"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_scripted_model(tmp_path_factory.mktemp("responses") / "scripted", CLIENTS)


@pytest.fixture(scope="module")
def server(folder):
    with Server(folder) as s:
        yield s


def ask(server, input, **kw):
    return server.post("/v1/responses", {"model": "m", "input": input, **kw})


def text_of(response):
    return "".join(p["text"] for item in response["output"] if item["type"] == "message" for p in item["content"])


def test_items(server):
    status, _, r = ask(server, "hi", instructions="Be kind.", metadata={"a": "b"})
    assert status == 200 and r["object"] == "response" and r["status"] == "completed" and r["id"].startswith("resp_") and text_of(r) == HELLO
    assert r["instructions"] == "Be kind." and r["metadata"] == {"a": "b"} and r["usage"]["total_tokens"] == r["usage"]["input_tokens"] + r["usage"]["output_tokens"]
    r = ask(server, [{"role": "user", "content": [{"type": "input_text", "text": "weather?"}]}], tools=TOOLS)[2]
    assert [i["type"] for i in r["output"]] == ["reasoning", "message", "function_call"] and len({i["id"] for i in r["output"]}) == 3
    call = r["output"][2]
    assert call["name"] == "get_weather" and json.loads(call["arguments"]) == {"city": "Paris", "unit": "celsius"} and call["call_id"]
    assert r["output"][0]["content"][0]["text"].startswith("The user wants") and r["usage"]["output_tokens_details"]["reasoning_tokens"] > 0
    # the second turn, with the items sent back
    again = [{"role": "user", "content": "weather?"}, *r["output"], {"type": "function_call_output", "call_id": call["call_id"], "output": "21, sunny"}]
    assert text_of(ask(server, again, tools=TOOLS)[2]) == RESULT
    # and by id
    r2 = ask(server, [{"type": "function_call_output", "call_id": call["call_id"], "output": [{"type": "input_text", "text": "21"}]}], previous_response_id=r["id"], tools=TOOLS)[2]
    assert text_of(r2) == RESULT and r2["previous_response_id"] == r["id"]
    assert ask(server, "hi", max_output_tokens=2)[2]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert [i["type"] for i in ask(server, "both", tools=TOOLS, parallel_tool_calls=False)[2]["output"]] == ["function_call"]


def test_tokens_are_counted_before(server):
    count = lambda **body: server.post("/v1/responses/input_tokens", {"model": "m", **body})
    first = ask(server, "weather?", tools=TOOLS)[2]
    assert count(input="weather?", tools=TOOLS)[2] == {"object": "response.input_tokens", "input_tokens": first["usage"]["input_tokens"]}
    result = [{"type": "function_call_output", "call_id": first["output"][-1]["call_id"], "output": "21"}]
    second = ask(server, result, previous_response_id=first["id"], tools=TOOLS)[2]
    assert count(input=result, previous_response_id=first["id"], tools=TOOLS)[2]["input_tokens"] == second["usage"]["input_tokens"]
    assert count(messages=[])[0] == count()[0] == count(input="x", previous_response_id="resp_no")[0] == 400


def test_a_conversation_by_ids_is_that_of_all_items(server):
    """The prompt of the third turn is the same whether the client sends everything or an id."""
    first = ask(server, "one")[2]
    second = ask(server, "two", previous_response_id=first["id"])[2]
    by_id = ask(server, "three", previous_response_id=second["id"])[2]
    items = [{"role": "user", "content": "one"}, *first["output"], {"role": "user", "content": "two"}, *second["output"], {"role": "user", "content": "three"}]
    assert by_id["usage"]["input_tokens"] == ask(server, items)[2]["usage"]["input_tokens"] > second["usage"]["input_tokens"]


def events_of(text):
    out = []
    for block in text.strip().split("\n\n"):
        lines = block.split("\n")
        if lines[0].startswith("event: "):
            out.append(json.loads(lines[1][6:]))
            assert out[-1]["type"] == lines[0][7:]
    return out


def test_stream(server):
    events = events_of(ask(server, "weather?", tools=TOOLS, stream=True)[2])
    assert [e["sequence_number"] for e in events] == list(range(len(events)))
    assert [e["type"] for e in events[:2]] == ["response.created", "response.in_progress"] and events[-1]["type"] == "response.completed"
    final = events[-1]["response"]
    assert final["id"] == events[0]["response"]["id"] and [i["type"] for i in final["output"]] == ["reasoning", "message", "function_call"]
    for index, item in enumerate(final["output"]):
        mine = [e for e in events if e.get("output_index") == index]
        assert mine[0]["type"] == "response.output_item.added" and mine[-1]["type"] == "response.output_item.done" and mine[-1]["item"] == item
        assert mine[0]["item"]["id"] == item["id"] and all(e.get("item_id", item["id"]) == item["id"] for e in mine)
        deltas = "".join(e["delta"] for e in mine if e["type"].endswith(".delta"))
        assert deltas == (item["arguments"] if item["type"] == "function_call" else item["content"][0]["text"])
    assert server.get(f"/v1/responses/{final['id']}")[2] == final


def test_retrieve_delete_items(server):
    r = ask(server, [{"role": "user", "content": f"number {i}"} for i in range(5)])[2]
    path = f"/v1/responses/{r['id']}"
    assert server.get(path)[2] == r
    items = server.get(path + "/input_items?order=asc&limit=2")[2]
    assert [i["content"] for i in items["data"]] == ["number 0", "number 1"] and items["has_more"] is True
    more = server.get(path + f"/input_items?order=asc&after={items['last_id']}")[2]
    assert [i["content"] for i in more["data"]] == ["number 2", "number 3", "number 4"] and more["has_more"] is False
    assert server.get(path + "/input_items")[2]["data"][0]["content"] == "number 4"
    assert server.post(path + "/cancel", {})[0] == 400  # it has ended
    assert server.request("DELETE", path)[2] == {"id": r["id"], "object": "response", "deleted": True}
    for method, p in (("GET", path), ("DELETE", path), ("POST", path + "/cancel"), ("GET", path + "/input_items")):
        assert server.request(method, p)[0] == 404
    assert ask(server, "x", previous_response_id=r["id"])[0] == 400
    kept_not = ask(server, "hi", store=False)[2]
    assert server.get(f"/v1/responses/{kept_not['id']}")[0] == 404
    for bad in ("?limit=0", "?limit=x", "?order=up"):
        assert server.get(path + "/input_items" + bad)[0] == 400


def test_cancel(server):
    seen, done = [], threading.Event()

    def read():
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as s:
            body = json.dumps({"model": "m", "input": "a story", "stream": True}).encode()
            s.sendall(b"POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            while chunk := s.recv(65536):
                seen.append(chunk)
        done.set()

    threading.Thread(target=read, daemon=True).start()
    begun = eventually(lambda: b"resp_" in b"".join(seen))
    assert begun
    text = b"".join(seen).decode("utf-8", "replace")
    rid = "resp_" + text.split("resp_", 1)[1].split('"')[0]
    status, _, body = server.post(f"/v1/responses/{rid}/cancel", {})
    if status == 200:  # else the context was full before
        assert body["status"] == "cancelled"
    assert done.wait(20)
    assert eventually(lambda: server.get(f"/v1/responses/{rid}")[0] == 200)
    assert server.get(f"/v1/responses/{rid}")[2]["status"] in ("cancelled", "incomplete")


@pytest.mark.parametrize("bad", [{"input": None}, {"input": 5}, {"input": [5]}, {"input": [{"type": "x"}]}, {"input": [{"role": "user", "content": 5}]}, {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
                                 {"input": [{"type": "function_call", "call_id": "a"}]}, {"input": [{"type": "function_call_output"}]}, {"input": []}, {"tools": [{"type": "web_search"}]}, {"tools": [{"type": "function"}]},
                                 {"text": {"format": {"type": "json_schema"}}}, {"text": {"colour": 1}}, {"previous_response_id": "resp_nope"}, {"previous_response_id": "x" * 200}, {"previous_response_id": 1}, {"background": True},
                                 {"tool_choice": "required"}, {"reasoning": {"effort": "very"}}, {"metadata": "x"}, {"store": 1}, {"instructions": 5}, {"conversation": "x"}, {"max_output_tokens": 0}, {"max_tokens": 5}, {"n": 2}],
                         ids=lambda b: repr(b)[:40])
def test_errors(server, bad):
    status, _, body = server.post("/v1/responses", {k: v for k, v in ({"model": "m", "input": "hi"} | bad).items() if v is not None})
    assert status == 400 and body["error"]["message"] and body["error"]["type"] == "invalid_request_error", body


def test_each_key_sees_its_own_and_files_outlive_the_process(folder, tmp_path):
    import hashlib
    config = tmp_path / "server.yaml"
    store = tmp_path / "responses.db"
    config.write_text(json.dumps({"server": {"response_store": str(store)}, "keys": [{"name": n, "sha256": hashlib.sha256(k.encode()).hexdigest()} for n, k in KEYS.items()]}))
    auth = lambda who: {"Authorization": f"Bearer {KEYS[who]}"}
    with Server(folder, "--config", config) as s:
        r = s.post("/v1/responses", {"input": "hi"}, headers=auth("A"))[2]
        assert s.get(f"/v1/responses/{r['id']}", headers=auth("A"))[2] == r
        assert s.get(f"/v1/responses/{r['id']}", headers=auth("B"))[0] == 404 and s.request("DELETE", f"/v1/responses/{r['id']}", headers=auth("B"))[0] == 404
        assert s.post("/v1/responses", {"input": "x", "previous_response_id": r["id"]}, headers=auth("B"))[0] == 400
        assert s.get(f"/v1/responses/{r['id']}")[0] == 401
    assert store.stat().st_mode & 0o077 == 0
    with Server(folder, "--config", config) as s:
        assert s.get(f"/v1/responses/{r['id']}", headers=auth("A"))[2] == r
        assert s.post("/v1/responses", {"input": "more", "previous_response_id": r["id"]}, headers=auth("A"))[0] == 200
        s.process.kill()
    with Server(folder, "--config", config) as s:  # kill -9: what was kept is there
        assert s.get(f"/v1/responses/{r['id']}", headers=auth("A"))[2] == r


def test_the_oldest_make_room(folder, tmp_path):
    config = tmp_path / "server.yaml"
    config.write_text("limits: {response_store_bytes: 6000}\n")
    with Server(folder, "--config", config) as s:
        ids = [s.post("/v1/responses", {"input": f"hi {i}"})[2]["id"] for i in range(12)]
        assert eventually(lambda: s.get(f"/v1/responses/{ids[0]}")[0] == 404)
        assert s.get(f"/v1/responses/{ids[-1]}")[0] == 200
        assert 1 <= sum(s.get(f"/v1/responses/{i}")[0] == 200 for i in ids) < 8
