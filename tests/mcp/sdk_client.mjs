// A client made with the TypeScript SDK: sdk_client.mjs PACKAGES URL, or sdk_client.mjs PACKAGES -- COMMAND. Prints JSON.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
const [packages, where, ...command] = process.argv.slice(2);
const load = async (name) => import(pathToFileURL(createRequire(packages + "/x.js").resolve(name)));
const { Client } = await load("@modelcontextprotocol/sdk/client/index.js");
const types = await load("@modelcontextprotocol/sdk/types.js");
const transport = where === "--"
    ? new (await load("@modelcontextprotocol/sdk/client/stdio.js")).StdioClientTransport({ command: command[0], args: command.slice(1) })
    : new (await load("@modelcontextprotocol/sdk/client/streamableHttp.js")).StreamableHTTPClientTransport(new URL(where));
const client = new Client({ name: "ts", version: "1" }, { capabilities: { elicitation: {}, sampling: {} } });
client.setRequestHandler(types.ElicitRequestSchema, async () => ({ action: "accept", content: { username: "ada", email: "a@b.c" } }));
await client.connect(transport);
const progress = [];
const out = {
    tools: (await client.listTools()).tools.map((t) => t.name),
    text: (await client.callTool({ name: "test_simple_text", arguments: {} })).content[0].text,
    error: (await client.callTool({ name: "test_error_handling", arguments: {} })).isError,
    asked: (await client.callTool({ name: "test_elicitation", arguments: { message: "who?" } })).content[0].text,
    resource: (await client.readResource({ uri: "test://template/7/data" })).contents[0].text,
    prompt: (await client.getPrompt({ name: "test_prompt_with_arguments", arguments: { arg1: "a", arg2: "b" } })).messages[0].content.text,
};
await client.callTool({ name: "test_tool_with_progress", arguments: {} }, undefined, { onprogress: (p) => progress.push(p.progress) });
out.progress = progress;
await client.close();
console.log(JSON.stringify(out));
