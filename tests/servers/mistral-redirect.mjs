// Sends what the Mistral SDK would send to its API to a stand-in on this machine instead, and refuses the rest.
//   NODE_OPTIONS="--import file://…/mistral-redirect.mjs" MISTRAL_STANDIN=http://127.0.0.1:PORT npx -y mistral-mcp
// The server has no setting for its base URL; the SDK calls globalThis.fetch with a Request.
const to = process.env.MISTRAL_STANDIN;
const real = globalThis.fetch;

if (to) {
  if (!/^http:\/\/(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/.test(to)) {
    throw new Error("MISTRAL_STANDIN must be an address of this machine");
  }
  globalThis.fetch = async (input, init) => {
    const request = new Request(input, init);
    const url = new URL(request.url);
    if (url.origin !== "https://api.mistral.ai") {
      throw new TypeError(`refused: ${url.origin}`);
    }
    const hasBody = !["GET", "HEAD"].includes(request.method);
    return real(to + url.pathname + url.search, {
      method: request.method,
      headers: request.headers,
      body: hasBody ? await request.clone().arrayBuffer() : undefined,
      signal: request.signal,
    });
  };
}
