// Clients of npm against a running server: node clients.mjs PACKAGES NAME URL. Prints one JSON object: what the client saw.
// Each: a chat, a stream, tools over two turns, and a stream that is left after a few pieces.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [packages, name, url] = process.argv.slice(2);
const require = createRequire(pathToFileURL(packages + "/package.json"));
const load = async (id) => import(pathToFileURL(require.resolve(id)).href);
const parameters = { type: "object", properties: { city: { type: "string" }, unit: { type: "string" } }, required: ["city"] };
const user = (content) => [{ role: "user", content }];

async function openai() {
  const { default: OpenAI } = await load("openai");
  const c = new OpenAI({ baseURL: url + "/v1", apiKey: "x" });
  const tools = [{ type: "function", function: { name: "get_weather", description: "Weather", strict: true, parameters } }];
  const out = {};
  out.chat = (await c.chat.completions.create({ model: "gpt-4o", messages: user("hi") })).choices[0].message.content;
  out.stream = "";
  for await (const e of await c.chat.completions.create({ model: "gpt-4o", messages: user("hi"), stream: true })) out.stream += e.choices[0]?.delta?.content ?? "";
  const first = (await c.chat.completions.create({ model: "gpt-4o", messages: user("weather?"), tools })).choices[0].message;
  out.args = JSON.parse(first.tool_calls[0].function.arguments);
  const turn = [...user("weather?"), first, { role: "tool", tool_call_id: first.tool_calls[0].id, content: "21" }];
  out.result = (await c.chat.completions.create({ model: "gpt-4o", messages: turn, tools })).choices[0].message.content;
  out.response = (await c.responses.create({ model: "gpt-4o", input: "hi" })).output_text;
  const s = await c.chat.completions.create({ model: "gpt-4o", messages: user("a story"), stream: true });
  let n = 0;
  for await (const _ of s) if (++n > 3) { s.controller.abort(); break; }
  out.cancelled = n;
  return out;
}

async function anthropic() {
  const { default: Anthropic } = await load("@anthropic-ai/sdk");
  const c = new Anthropic({ baseURL: url, apiKey: "x" });
  const tools = [{ name: "get_weather", description: "Weather", input_schema: parameters }];
  const ask = (messages, more = {}) => c.messages.create({ model: "claude", max_tokens: 300, messages, ...more });
  const out = {};
  out.chat = (await ask(user("hi"))).content[0].text;
  out.stream = await c.messages.stream({ model: "claude", max_tokens: 300, messages: user("hi") }).finalText();
  const first = await c.messages.stream({ model: "claude", max_tokens: 300, messages: user("weather?"), tools }).finalMessage();
  const call = first.content.find((b) => b.type === "tool_use");
  out.args = call.input;
  const turn = [...user("weather?"), { role: "assistant", content: first.content }, { role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: "21" }] }];
  out.result = (await ask(turn, { tools })).content[0].text;
  out.count = (await c.messages.countTokens({ model: "claude", messages: user("hi") })).input_tokens;
  const s = c.messages.stream({ model: "claude", max_tokens: 30000, messages: user("a story") });
  let n = 0;
  try { for await (const _ of s) if (++n > 5) { s.abort(); break; } } catch { /* the SDK reports its own abort */ }
  out.cancelled = n;
  return out;
}

async function ollama() {
  const { Ollama } = await load("ollama");
  const c = new Ollama({ host: url });
  const tools = [{ type: "function", function: { name: "get_weather", description: "Weather", parameters } }];
  const out = {};
  out.chat = (await c.chat({ model: "llama3", messages: user("hi") })).message.content;
  out.stream = "";
  for await (const e of await c.chat({ model: "llama3", messages: user("hi"), stream: true })) out.stream += e.message.content;
  const first = (await c.chat({ model: "llama3", messages: user("weather?"), tools })).message;
  out.args = first.tool_calls[0].function.arguments;
  out.result = (await c.chat({ model: "llama3", messages: [...user("weather?"), first, { role: "tool", tool_name: "get_weather", content: "21" }], tools })).message.content;
  out.models = (await c.list()).models.length;
  out.width = (await c.embed({ model: "llama3", input: "a" })).embeddings[0].length;
  let n = 0;
  try { for await (const _ of await c.generate({ model: "llama3", prompt: "a story", stream: true })) if (++n > 3) { c.abort(); break; } } catch { /* its own abort */ }
  out.cancelled = n;
  return out;
}

async function ai() {
  const { generateText, streamText, tool, stepCountIs, jsonSchema } = await load("ai");
  const { createOpenAICompatible } = await load("@ai-sdk/openai-compatible");
  const model = createOpenAICompatible({ name: "wick", baseURL: url + "/v1", apiKey: "x" })("any");
  const out = {};
  out.chat = (await generateText({ model, prompt: "hi" })).text;
  out.stream = "";
  for await (const t of streamText({ model, prompt: "hi" }).textStream) out.stream += t;
  const weather = tool({ description: "Weather", inputSchema: jsonSchema(parameters), execute: async (args) => { out.args = args; return "21"; } });
  out.result = (await generateText({ model, prompt: "weather?", tools: { get_weather: weather }, stopWhen: stepCountIs(3) })).text;
  const stop = new AbortController();
  let n = 0;
  try { for await (const _ of streamText({ model, prompt: "a story", abortSignal: stop.signal, onError() {} }).textStream) if (++n > 3) { stop.abort(); break; } } catch { /* its own abort */ }
  out.cancelled = n;
  return out;
}

console.log(JSON.stringify(await { openai, anthropic, ollama, ai }[name]()));
process.exit(0);
