// A server made with the TypeScript SDK of npm, on standard input. Its first argument is the folder of packages.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
const load = async (name) => import(pathToFileURL(createRequire(process.argv[2] + "/x.js").resolve(name)));
const { McpServer } = await load("@modelcontextprotocol/sdk/server/mcp.js");
const { StdioServerTransport } = await load("@modelcontextprotocol/sdk/server/stdio.js");
const { z } = await load("zod");
const server = new McpServer({ name: "ts-sdk", version: "1.0.0" });
server.registerTool("add", { description: "Adds a and b.", inputSchema: { a: z.number(), b: z.number() } },
    async ({ a, b }) => ({ content: [{ type: "text", text: String(a + b) }] }));
server.registerPrompt("greet", { description: "Greets.", argsSchema: { name: z.string() } },
    ({ name }) => ({ messages: [{ role: "user", content: { type: "text", text: `Say hello to ${name}` } }] }));
await server.connect(new StdioServerTransport());
