"""Constrained answers of a random model over HTTP: whatever it would say, what comes out fulfils the form that was asked for."""
import json
import re
import sys
import urllib.error
import urllib.request
from pathlib import Path

import jsonschema
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from server_common import WICK, Server, make_model  # noqa: E402

SCHEMAS = [
    {"type": "object", "properties": {"name": {"type": "string", "maxLength": 6}, "age": {"type": "integer", "minimum": 0, "maximum": 120},
                                      "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 2, "uniqueItems": True}},
     "required": ["name", "age"], "additionalProperties": False},
    {"oneOf": [{"type": "object", "properties": {"kind": {"const": "x"}, "n": {"type": "boolean"}}, "required": ["kind", "n"], "additionalProperties": False},
               {"type": "object", "properties": {"kind": {"const": "y"}, "s": {"type": "string", "pattern": "^[a-c]{1,3}$"}}, "required": ["kind", "s"],
                "additionalProperties": False}]},
    {"type": "array", "prefixItems": [{"type": "string", "format": "date"}, {"type": "number", "minimum": -1, "maximum": 1, "multipleOf": 0.25}], "minItems": 2,
     "items": False},
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    if not WICK:
        pytest.skip("WICK_BIN")
    folder = tmp_path_factory.mktemp("grammar")
    make_model(folder / "tiny")
    with Server(folder / "tiny") as s:
        yield s


def post(server, path, body):
    url = server.url.rstrip("/")
    url = (url if url.endswith("/v1") or not path.startswith("/chat") else url + "/v1") + path
    r = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(r, timeout=120) as f:
            return f.status, json.loads(f.read())
    except urllib.error.HTTPError as e:
        return e.code, json.loads(e.read())


def chat(server, **more):
    status, out = post(server, "/chat/completions", {"model": "tiny", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 200, **more})
    assert status == 200, out
    return [(c["finish_reason"], c["message"]["content"]) for c in out["choices"]]


@pytest.mark.parametrize("temperature", [0, 2])
@pytest.mark.parametrize("i", range(len(SCHEMAS)))
def test_schemas(server, i, temperature):
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMAS[i], "strict": True}}
    whole = 0
    for seed in range(4):
        for finish, text in chat(server, response_format=form, temperature=temperature, seed=seed, n=4, top_p=1):
            assert finish in ("stop", "length")
            if finish == "stop":
                jsonschema.Draft202012Validator(SCHEMAS[i]).validate(json.loads(text))
                whole += 1
    assert whole >= (8 if temperature else 0)


def test_other_forms(server):
    for finish, text in chat(server, guided_regex="[a-c]{3}-[0-9]{2}", temperature=2, n=4):
        assert re.fullmatch("[a-c]{3}-[0-9]{2}", text)
    for finish, text in chat(server, guided_choice=["yes", "no", "not sure"], temperature=2, n=4):
        assert text in ("yes", "no", "not sure")
    for finish, text in chat(server, grammar='root ::= "(" root ")" | "x"', temperature=1, n=4):
        assert finish == "length" or re.fullmatch(r"(\()*x(\))*", text) and text.count("(") == text.count(")")
    for finish, text in chat(server, structured_outputs={"grammar": 'start: A+ "."\nA: "a".."c"'}, temperature=2, n=4):
        assert finish == "length" or re.fullmatch(r"[a-c]+\.", text)
    for finish, text in chat(server, response_format={"type": "json_object"}, temperature=2, n=4):
        assert finish == "length" or isinstance(json.loads(text), dict)


def test_refused(server):
    for more in ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"$ref": "other.json"}}}}, {"guided_regex": "(a)\\1"},
                 {"grammar": "root ::= nothing"}, {"guided_json": {"type": "string"}, "guided_choice": ["a"]}):
        status, out = post(server, "/chat/completions", {"model": "tiny", "messages": [{"role": "user", "content": "x"}], **more})
        assert status == 400, (more, out)
