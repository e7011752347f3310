"""Conversations as clients send them through chat/prompt, with every template of the tests: the prompt is what jinja2 makes of
the adapted messages, holds what was said, and does not change for plain conversations. Templates of published models are
tested too where WICK_CHAT_TEMPLATES names a folder of them (`make test-real`)."""
import copy
import functools
import json
import os
import pathlib
import subprocess

import jinja_oracle as jo
import pytest
import test_chat_families as families
from chat_conversations import PLAIN, SENT, answer, user

TAG = "CONTINUE_FINAL_MESSAGE_TAG"


def program():
    tools = os.environ.get("WICK_TOOLS")
    beside = pathlib.Path(jo.program()).parent / "wick_chat" if jo.program() else None
    named = pathlib.Path(tools) / "wick_chat" if tools else beside
    return str(named) if named and named.is_file() else None


pytestmark = pytest.mark.skipif(program() is None, reason="wick_chat is not built")


def wick(requests):
    p = subprocess.run([program()], input="".join(json.dumps(r) + "\n" for r in requests), capture_output=True, text=True, timeout=300)
    assert p.returncode == 0, p.stderr[-3000:]
    answers = [json.loads(x) for x in p.stdout.splitlines()]
    assert len(answers) == len(requests), p.stderr[-3000:]
    return answers


def published():
    folder = os.environ.get("WICK_CHAT_TEMPLATES")
    return {f.stem: f.read_text() for f in sorted(pathlib.Path(folder).glob("*.jinja"))} if folder else {}


# Templates that raise, or print neither what was said nor who said it, on purpose: nothing can be done for them.
NOT_CHAT = {"deepseek-ai-DeepSeek-OCR", "llama-cpp-rwkv-world"}
TEMPLATES = families.FAMILIES | {k: v for k, v in published().items() if k not in NOT_CHAT}


def request(template, messages, tools=None, **more):
    return {"template": template, "messages": messages, "tools": tools, "vars": {"now": jo.NOW} | more.pop("vars", {})} | more


compiled = functools.lru_cache(jo.ENV.from_string)


def check_oracle(template, got, open_end=False):
    want = compiled(template).render(**({"bos_token": "<s>", "eos_token": "</s>"} | got["variables"]))
    if TAG in want:
        want = want[:want.rindex(TAG)]
        assert got["prompt"] in (want, want.rstrip())
    else:
        assert got["prompt"].startswith(want) if open_end else got["prompt"] == want


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_conversations(name):
    t = TEMPLATES[name]
    cases = [(k, m, tools, words) for k, (m, tools, words) in SENT.items()] + [(k, m, None, []) for k, m in PLAIN.items()]
    assert len(cases) >= 40
    given = copy.deepcopy(cases)
    wrong = []
    for (label, messages, tools, words), got in zip(cases, wick([request(t, m, tools) for _, m, tools, _ in cases])):
        if "error" in got:
            wrong.append((label, got["error"]))
            continue
        check_oracle(t, got)
        wrong += [(label, f"{w!r} is not in the prompt", got["prompt"]) for w in words if w not in got["prompt"] and json.dumps(w)[1:-1] not in got["prompt"]]
        if label in PLAIN and label not in ("system", "system turns", "blank"):
            assert got["variables"]["messages"] == messages, label  # nothing was changed
    assert cases == given
    assert not wrong, f"{len(wrong)} of {len(cases)}\n" + "\n".join(map(str, wrong))


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_continued(name):
    t = TEMPLATES[name]
    cases = [answer("It is so"), answer("It is so "), answer("", reasoning_content="I think that"), answer([{"type": "text", "text": "It is so"}]), answer("<think>\nI think that")]
    for m, got in zip(cases, wick([request(t, [user("q"), m], ending="prefill") for m in cases])):
        assert "error" not in got, (m, got)
        check_oracle(t, got, open_end="reasoning_content" in m)  # a template that drops it has it put behind
        text = m.get("reasoning_content") or (m["content"] if isinstance(m["content"], str) else m["content"][0]["text"])
        assert got["prompt"].rstrip().endswith(text.rstrip()), (m, got["prompt"])
        n = got["n_prefill"]
        assert n >= len(text.rstrip()) and got["prompt"].encode()[-n:].decode().strip().endswith(text.strip())


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_thinking(name):
    """Words for thinking never fail, and change the prompt only where the template has a use for them."""
    t, m = TEMPLATES[name], [user("q")]
    caps, plain, *rest = wick([{"template": t}, request(t, m), *(request(t, m, effort=e) for e in ("none", "minimal", "medium", "high")), request(t, m, thinking=-1), request(t, m, thinking=1),
                               request(t, m, vars={"enable_thinking": False, "nobody_knows": 1})])
    for got in rest:
        assert "error" not in got, got
        check_oracle(t, got)
        if not caps["switch"] and not caps["effort"]:
            assert got["prompt"] == plain["prompt"]
    if caps["switch"]:
        assert rest[4]["prompt"] != rest[5]["prompt"] and rest[6]["prompt"] == rest[4]["prompt"]


def test_open_reasoning():
    for name, vars, want in (("deepseek-r1", {}, True), ("qwen3", {}, False), ("smollm3", {"enable_thinking": False}, False), ("chatml", {}, False)):
        assert wick([request(families.FAMILIES[name], [user("q")], vars=vars)])[0]["in_reasoning"] is want
