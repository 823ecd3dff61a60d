// A client on the official TypeScript SDK that does what its first argument, a JSON array of steps, says, and
// prints what it saw of each as one JSON line. After the steps: a URL, or a command and its arguments.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  ToolListChangedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";

const [steps, target, ...args] = process.argv.slice(2);
const seen = { sampling: 0, elicitation: 0, roots: 0, listChanged: 0 };

const client = new Client(
  { name: "test", version: "1.0.0" },
  { capabilities: { sampling: {}, elicitation: { form: {} }, roots: { listChanged: true } } },
);
client.setRequestHandler(CreateMessageRequestSchema, async () => {
  seen.sampling += 1;
  return { model: "test", role: "assistant", content: { type: "text", text: "sampled words" } };
});
client.setRequestHandler(ElicitRequestSchema, async () => {
  seen.elicitation += 1;
  return { action: "decline" };
});
client.setRequestHandler(ListRootsRequestSchema, async () => {
  seen.roots += 1;
  return { roots: [{ uri: "file:///tmp/root-of-the-test", name: "root" }] };
});
client.setNotificationHandler(ToolListChangedNotificationSchema, async () => {
  seen.listChanged += 1;
});

const transport = target.startsWith("http://") && target.endsWith("/sse")
  ? new SSEClientTransport(new URL(target))
  : target.startsWith("http://")
  ? new StreamableHTTPClientTransport(new URL(target), {
      requestInit: process.env.TEST_TOKEN ? { headers: { Authorization: `Bearer ${process.env.TEST_TOKEN}` } } : {},
    })
  : new StdioClientTransport({ command: target, args, stderr: "inherit", env: process.env });
await client.connect(transport);

async function call({ name, args = {}, abortAfter, timeout }) {
  const progress = [];
  const controller = new AbortController();
  const onprogress = (step) => {
    progress.push(step.progress);
    if (progress.length === abortAfter) controller.abort("enough");
  };
  try {
    const options = { onprogress, signal: controller.signal, timeout: timeout ?? 60_000 };
    const result = await client.callTool({ name, arguments: args }, undefined, options);
    return { ...result, progress };
  } catch (error) {
    return { thrown: String(error), progress };
  }
}

const doing = {
  list: async () => (await client.listTools()).tools.map((tool) => tool.name),
  call,
  // All at once; the answers in the order of the calls.
  together: async ({ calls }) => Promise.all(calls.map(call)),
  ping: async () => client.ping(),
  server: async () => ({ version: client.getServerVersion(), capabilities: client.getServerCapabilities() }),
  resource: async ({ uri }) => client.readResource({ uri }),
  prompts: async () => (await client.listPrompts()).prompts.map((prompt) => prompt.name),
};

for (const step of JSON.parse(steps)) {
  let saw;
  try {
    saw = await doing[step.do](step);
  } catch (error) {
    saw = { thrown: String(error) };
  }
  console.log(JSON.stringify({ saw, seen }));
}
await client.close();
