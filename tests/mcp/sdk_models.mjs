// A client made with the TypeScript SDK on a server of models: sdk_models.mjs PACKAGES URL. Prints JSON.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
const [packages, url] = process.argv.slice(2);
const load = async (name) => import(pathToFileURL(createRequire(packages + "/x.js").resolve(name)));
const { Client } = await load("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = await load("@modelcontextprotocol/sdk/client/streamableHttp.js");
const client = new Client({ name: "ts", version: "1" });
await client.connect(new StreamableHTTPClientTransport(new URL(url)));
let progress = 0;
const call = { name: "chat", arguments: { prompt: "list all files", temperature: 0 } };
const out = {
    tools: (await client.listTools()).tools.map((t) => t.name),
    text: (await client.callTool(call, undefined, { onprogress: () => progress++ })).content[0].text,
    models: JSON.parse((await client.readResource({ uri: "wick://models" })).contents[0].text),
};
out.progress = progress;
await client.close();
console.log(JSON.stringify(out));
