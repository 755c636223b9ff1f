// Drives the official TypeScript SDK against a gateway and prints what it saw as one JSON object.
// Run from the folder that holds node_modules: node sdk.mjs URL KEY '{"case": "twin", "request": {...}}'
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const resolve = createRequire(process.cwd() + "/").resolve;
const { default: Anthropic } = await import(pathToFileURL(resolve("@anthropic-ai/sdk")).href);

const [baseURL, apiKey, job] = process.argv.slice(2);
const { case: name, request, retries = 0 } = JSON.parse(job);
const client = new Anthropic({ baseURL, apiKey, maxRetries: retries, timeout: 60_000 });

const cases = {
  // The same request streamed through the helper and plain.
  async twin() {
    const events = [];
    const stream = client.messages.stream(request).on("streamEvent", (event) => events.push(event.type));
    const streamed = await stream.finalMessage();
    const plain = await client.messages.create(request);
    return { events, streamed, plain };
  },
  async count() {
    return await client.messages.countTokens(request);
  },
  async models() {
    const listed = [];
    for await (const model of client.models.list()) listed.push(model.id);
    return { listed, one: await client.models.retrieve(request.model) };
  },
  async failure() {
    try {
      await client.messages.create(request);
    } catch (error) {
      return {
        kind: error.constructor.name,
        status: error.status,
        type: error.type ?? error.error?.error?.type,
        message: error.message,
        requestID: error.requestID ?? null,
      };
    }
    return { kind: "none" };
  },
};

console.log(JSON.stringify(await cases[name]()));
