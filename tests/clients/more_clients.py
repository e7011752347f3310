"""Clients of an environment of their own (tools/clients_env.sh) against a running server: more_clients.py NAME URL. Prints one JSON
object: what the client saw. Each: a chat, a stream, a second turn, and a stream that is left after a few pieces."""
import asyncio
import json
import sys

USER = "weather?"


async def agents(url):
    """openai-agents, by chat completions and by Responses."""
    from agents import OpenAIChatCompletionsModel, OpenAIResponsesModel, set_tracing_disabled
    from openai import AsyncOpenAI
    set_tracing_disabled(True)
    kinds = {"chat completions": OpenAIChatCompletionsModel, "responses": OpenAIResponsesModel}
    client = AsyncOpenAI(base_url=url + "/v1", api_key="x", max_retries=0)
    return {name: await run_agent(kind(model="gpt-4o", openai_client=client)) for name, kind in kinds.items()}


async def run_agent(model):
    """Its own loop runs the tool and asks again."""
    from agents import Agent, Runner, function_tool
    seen = []

    @function_tool
    def get_weather(city: str, unit: str = "celsius") -> str:
        """Weather of a city."""
        seen.append({"city": city, "unit": unit})
        return "21"

    agent = Agent(name="helper", instructions="Be kind.", model=model, tools=[get_weather])

    async def stream(text, most):
        got, run = [], Runner.run_streamed(agent, text)
        async for e in run.stream_events():
            if e.type == "raw_response_event" and e.data.type == "response.output_text.delta":
                got.append(e.data.delta)
                if len(got) == most:
                    run.cancel()
                    break
        return got, run

    out = {"chat": (await Runner.run(agent, "hi")).final_output, "result": (await Runner.run(agent, USER)).final_output, "args": seen[0]}
    out["stream"] = "".join((await stream("hi", 0))[0])
    out["streamed_result"] = (await stream(USER, 0))[1].final_output
    out["cancelled"] = len((await stream("a story", 4))[0])
    return out


def instructor(url):
    """instructor: objects by a schema, by reading JSON from the text, and as a call that it demands; the second turn is its repair of an answer that its own
    check refuses."""
    import instructor as lib
    from openai import OpenAI
    from pydantic import BaseModel, field_validator
    plain = OpenAI(base_url=url + "/v1", api_key="x", max_retries=0)

    class Person(BaseModel):
        name: str
        age: int

    class Elder(Person):
        @field_validator("age")
        @classmethod
        def old(cls, age):
            if age < 90:
                raise ValueError("must be at least ninety")
            return age

    ask = lambda text: [{"role": "user", "content": text}]
    out = {}
    for mode in ("JSON_SCHEMA", "JSON", "MD_JSON", "TOOLS"):
        c = lib.from_openai(plain, mode=lib.Mode[mode])
        out[mode] = c.chat.completions.create(model="any", response_model=Person, messages=ask("json"), max_retries=0).model_dump()
        parts = [p.model_dump() for p in c.chat.completions.create_partial(model="any", response_model=Person, messages=ask("json"))]
        out[mode + " stream"] = parts[-1]
    c = lib.from_openai(plain, mode=lib.Mode.JSON_SCHEMA)
    out["second turn"] = c.chat.completions.create(model="any", response_model=Elder, messages=ask("json"), max_retries=1).model_dump()
    s = c.chat.completions.create(model="any", response_model=None, messages=ask("a story"), stream=True)
    out["cancelled"] = sum(1 for _, p in zip(range(4), s) if p.choices)
    s.close()
    return out


if __name__ == "__main__":
    name, url = sys.argv[1:]
    print(json.dumps(instructor(url) if name == "instructor" else asyncio.run(agents(url)), ensure_ascii=False))
