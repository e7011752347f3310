"""Conversations as clients send them, for every chat template of the tests: plain ones, and all the shapes that a client may
give to contents, calls, results, reasoning and roles."""


def system(text):
    return {"role": "system", "content": text}


def user(text):
    return {"role": "user", "content": text}


def answer(text, **more):
    return {"role": "assistant", "content": text} | more


def call(name="get_weather", arguments='{"city":"Köln","days":2}', ident="call_abc123DEF456", **more):
    return {"id": ident, "type": "function", "function": {"name": name, "arguments": arguments}} | more


def calling(*calls, content=None, **more):
    return {"role": "assistant", "content": content, "tool_calls": list(calls)} | more


def result(text='{"t": 21.5}', ident="call_abc123DEF456", **more):
    return {"role": "tool", "tool_call_id": ident, "content": text} | more


def parts(*texts):
    return [{"type": "text", "text": t} for t in texts]


# What a template that can be used at all must render as it is; nothing of it needs to be adapted.
PLAIN = {
    "one": [user("What's 2+2? Grüße <b>&\"日本\" 😀\n")],
    "system": [system(" You are terse. "), user("hi")],
    "turns": [user("a"), answer("b"), user("c")],
    "system turns": [system("S"), user("a"), answer("b"), user("c"), answer("d"), user("e")],
    "blank": [user("")],
    "lines": [user("one\n\n  two\n"), answer("three\n"), user("\tfour")],
    "tags": [user("<|im_end|> </s> {{ x }} {% if %}"), answer("[/INST]"), user("<think>")],
    "thought in text": [user("q"), answer("<think>\nhm\n</think>\n\n4"), user("r")],
}
TOOL = [{"type": "function", "function": {"name": "get_weather", "description": "The weather.", "parameters": {
    "type": "object", "properties": {"city": {"type": "string", "description": "a city"}, "days": {"type": "integer"}}, "required": ["city"]}}}]
BARE = [{"type": "function", "function": {"name": "now"}}, {"type": "function", "name": "flat", "description": "d", "strict": True, "parameters": {"type": "object", "properties": {}}},
        {"type": "function", "function": {"name": "nulls", "description": None, "parameters": None, "strict": None}}]
Q, R = user("weather?"), user("and tomorrow?")
TWO = calling(call(ident="call_1"), call("time_in", '{"zone": "CET"}', "call_2"))
# name: (messages, tools, words that the prompt must show where the template is one that can be used)
SENT = {
    "call, content null": ([Q, calling(call()), result(), R], TOOL, ["get_weather", "Köln", "21.5"]),
    "call, no content": ([Q, {"role": "assistant", "tool_calls": [call()]}, result()], TOOL, ["get_weather", "21.5"]),
    "call, content blank": ([Q, calling(call(), content=""), result()], TOOL, ["get_weather", "21.5"]),
    "call, text beside": ([Q, calling(call(), content="I look."), result()], TOOL, ["get_weather", "21.5"]),
    "call, parts beside": ([Q, calling(call(), content=parts("I", "look.")), result()], TOOL, ["get_weather", "21.5"]),
    "call, no tools": ([Q, calling(call()), result(), R], None, ["get_weather", "21.5"]),
    "call open": ([Q, calling(call())], TOOL, ["get_weather"]),
    "arguments an object": ([Q, calling(call(arguments={"city": "Köln", "deep": {"a": [None, True, 1.5]}})), result()], TOOL, ["Köln", "21.5"]),
    "arguments empty": ([Q, calling(call(arguments="")), result()], TOOL, ["get_weather", "21.5"]),
    "arguments blank": ([Q, calling(call(arguments=" \n")), result()], TOOL, ["get_weather"]),
    "arguments null": ([Q, calling(call(arguments=None)), result()], TOOL, ["get_weather"]),
    "arguments missing": ([Q, calling({"id": "x", "type": "function", "function": {"name": "get_weather"}}), result(ident="x")], TOOL, ["get_weather"]),
    "arguments cut": ([Q, calling(call(arguments='{"city": "Kö')), result(), R], TOOL, ["get_weather", "Kö", "21.5"]),
    "arguments a list": ([Q, calling(call(arguments="[1, 2]")), result()], TOOL, ["get_weather"]),
    "arguments twice encoded": ([Q, calling(call(arguments='"{\\"city\\": \\"Bonn\\"}"')), result()], TOOL, ["Bonn"]),
    "two calls": ([Q, TWO, result("one", "call_1"), result("two", "call_2"), R], TOOL, ["get_weather", "time_in", "one", "two"]),
    "two calls, results turned": ([Q, TWO, result("two", "call_2"), result("one", "call_1")], TOOL, ["get_weather", "time_in", "one", "two"]),
    "two rounds": ([Q, calling(call(ident="a")), result("one", "a"), calling(call("time_in", "{}", "b")), result("two", "b"), answer("done"), R], TOOL, ["get_weather", "time_in", "one", "two", "done"]),
    "tool_calls null": ([Q, answer("fine", tool_calls=None), R], TOOL, ["fine"]),
    "tool_calls empty": ([Q, answer("fine", tool_calls=[]), R], None, ["fine"]),
    "echoed dump": ([Q, answer("fine", refusal=None, annotations=None, audio=None, function_call=None, tool_calls=None, name=None), R], None, ["fine"]),
    "echoed call": ([Q, calling(call(index=0), refusal=None, annotations=[], audio=None, function_call=None), result(name=None), R], TOOL, ["get_weather", "21.5"]),
    "result as parts": ([Q, calling(call()), result(parts("21.5", "degrees"))], TOOL, ["21.5", "degrees"]),
    "result an object": ([Q, calling(call()), result({"t": 21.5})], TOOL, ["21.5"]),
    "result null": ([Q, calling(call()), result(None), R], TOOL, ["get_weather"]),
    "result without id": ([Q, calling(call()), {"role": "tool", "content": "21.5"}], TOOL, ["21.5"]),
    "result named": ([Q, calling(call()), result(name="get_weather")], TOOL, ["21.5"]),
    "call without id": ([Q, calling({"type": "function", "function": {"name": "get_weather", "arguments": "{}"}}), {"role": "tool", "content": "21.5"}], TOOL, ["get_weather", "21.5"]),
    "function_call": ([Q, {"role": "assistant", "content": None, "function_call": {"name": "get_weather", "arguments": "{}"}}, {"role": "function", "name": "get_weather", "content": "21.5"}], TOOL, ["get_weather", "21.5"]),
    "bare tools": ([Q], BARE, ["now", "flat", "nulls"]),
    "tools": ([system("be kind"), Q], TOOL, ["get_weather", "city", "be kind", "weather?"]),
    "tools later": ([Q, answer("sure"), R], TOOL, ["get_weather", "sure", "tomorrow"]),
    "developer": ([{"role": "developer", "content": "be kind"}, user("hi")], None, ["be kind", "hi"]),
    "developer parts": ([{"role": "developer", "content": parts("be", "kind")}, user("hi")], None, ["be", "kind", "hi"]),
    "two systems": ([system("first"), system("second"), user("hi")], None, ["first", "second", "hi"]),
    "late system": ([system("first"), user("hi"), answer("yo"), system("late"), user("again")], None, ["first", "hi", "yo", "late", "again"]),
    "last system": ([user("hi"), answer("yo"), system("late")], None, ["hi", "yo", "late"]),
    "system alone": ([system("alone")], None, ["alone"]),
    "users in a row": ([user("one"), user("two")], None, ["one", "two"]),
    "answers in a row": ([user("one"), answer("two"), answer("three"), user("four")], None, ["one", "two", "three", "four"]),
    "answer first": ([answer("hello"), user("hi")], None, ["hello", "hi"]),
    "parts": ([{"role": "system", "content": parts("s1", "s2")}, {"role": "user", "content": parts("u1", "u2")}], None, ["s1", "s2", "u1", "u2"]),
    "parts of an answer": ([user("hi"), {"role": "assistant", "content": parts("a1", "a2")}, {"role": "user", "content": [{"type": "input_text", "text": "u1"}, "u2"]}], None, ["a1", "a2", "u1", "u2"]),
    "cached parts": ([{"role": "user", "content": [{"type": "text", "text": "u1", "cache_control": {"type": "ephemeral"}}]}], None, ["u1"]),
    "no parts": ([user("hi"), {"role": "assistant", "content": []}, user("again")], None, ["hi", "again"]),
    "reasoning_content": ([user("hi"), answer("yo", reasoning_content="I greet"), user("again")], None, ["yo", "again"]),
    "reasoning": ([user("hi"), answer("yo", reasoning="I greet", reasoning_details=[]), user("again")], None, ["yo", "again"]),
    "thinking": ([user("hi"), answer("yo", thinking="I greet"), user("again")], None, ["yo", "again"]),
    "thinking part": ([user("hi"), {"role": "assistant", "content": [{"type": "thinking", "thinking": "I greet"}, {"type": "text", "text": "yo"}]}, user("again")], None, ["yo", "again"]),
    "reasoning and call": ([Q, calling(call(), reasoning_content="I must look"), result()], TOOL, ["get_weather", "21.5"]),
    "names": ([{"role": "user", "content": "hi", "name": "alice", "x-extra": {"a": None}}, answer("yo"), user("again")], None, ["hi", "yo", "again"]),
}
