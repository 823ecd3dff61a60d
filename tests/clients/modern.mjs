// A client on the official TypeScript SDK for 2026-07-28 that does what its first argument, a JSON array of steps,
// says, and prints what it saw of each as one JSON line. After the steps: a URL, or a command and its arguments.
// A token in TEST_TOKEN is sent along.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

const [steps, target, ...args] = process.argv.slice(2);
const seen = { elicitation: 0, sampling: 0, roots: 0, listChanged: 0 };

const client = new Client(
  { name: "test", version: "1.0.0" },
  {
    capabilities: { sampling: {}, elicitation: { form: {} }, roots: {} },
    versionNegotiation: { mode: { pin: "2026-07-28" } },
  },
);
client.setRequestHandler("elicitation/create", async ({ params }) => {
  seen.elicitation += 1;
  const [field] = Object.keys(params.requestedSchema.properties);
  return { action: "accept", content: { [field]: "Ada" } };
});
client.setRequestHandler("sampling/createMessage", async () => {
  seen.sampling += 1;
  return { model: "test", role: "assistant", content: { type: "text", text: "sampled words" } };
});
client.setRequestHandler("roots/list", async () => {
  seen.roots += 1;
  return { roots: [{ uri: "file:///tmp/root-of-the-test", name: "root" }] };
});
let changed = () => {};
client.setNotificationHandler("notifications/tools/list_changed", async () => {
  seen.listChanged += 1;
  changed();
});

const token = process.env.TEST_TOKEN;
const transport = target.startsWith("http://")
  ? new StreamableHTTPClientTransport(new URL(target), {
      requestInit: token ? { headers: { Authorization: `Bearer ${token}` } } : {},
    })
  : new StdioClientTransport({ command: target, args, stderr: "inherit", env: process.env });
await client.connect(transport);

async function call({ name, args = {}, abortAfter }) {
  const progress = [];
  const controller = new AbortController();
  const onprogress = (step) => {
    progress.push(step.progress);
    if (progress.length === abortAfter) controller.abort("enough");
  };
  try {
    const options = { onprogress, signal: controller.signal, timeout: 60_000 };
    const result = await client.callTool({ name, arguments: args }, options);
    return { ...result, progress };
  } catch (error) {
    return { thrown: String(error), progress };
  }
}

const doing = {
  discover: async () => {
    const { supportedVersions, capabilities } = client.getDiscoverResult();
    return { era: client.getProtocolEra(), supportedVersions, capabilities: Object.keys(capabilities).sort() };
  },
  list: async () => (await client.listTools()).tools.map((tool) => tool.name),
  call,
  // All at once; the answers in the order of the calls.
  together: async ({ calls }) => Promise.all(calls.map(call)),
  resource: async ({ uri }) => client.readResource({ uri }),
  // Listens, has the list change by a call, waits to be told of it, and goes.
  listen: async ({ by }) => {
    const told = new Promise((resolve) => (changed = resolve));
    const subscription = await client.listen({ toolsListChanged: true });
    const said = await call({ name: by });
    await told;
    await subscription.close();
    return { honored: subscription.honoredFilter, closed: await subscription.closed, said };
  },
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
