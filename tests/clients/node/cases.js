// What the unmodified `openai` client for Node does at the gateway. Expected words are those of the scripted providers.
import assert from "node:assert/strict";
import OpenAI, { toFile } from "openai";

const baseURL = `${process.env.OMNI_URL}/v1`;
const client = new OpenAI({ baseURL, apiKey: process.env.OMNI_KEY, maxRetries: 0 });
const messages = [{ role: "user", content: "Hi" }];
const parameters = { type: "object", properties: { place: { type: "string" } } };
const tools = [{ type: "function", function: { name: "weather", parameters } }];
const words = { gpt: "Hello from OpenAI.", claude: "Hello from Anthropic.", gemini: "Hello from Gemini." };
const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const response_format = { type: "json_schema", json_schema: { name: "city", schema, strict: true } };

async function refused(kind, code, asked = {}, using = client) {
  await assert.rejects(using.chat.completions.create({ model: "gpt", messages, ...asked }), (error) => {
    assert.equal(error.constructor, kind);
    if (code) assert.equal(error.code, code);
    assert.match(error.requestID, /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    return true;
  });
}

export const cases = {};

for (const [model, text] of Object.entries(words)) {
  cases[`chat at ${model}`] = async () => {
    const found = await client.chat.completions.create({ model, messages });
    assert.equal(found.choices[0].message.content, text);
    assert.equal(found.usage.total_tokens, found.usage.prompt_tokens + found.usage.completion_tokens);
  };
  cases[`stream at ${model}`] = async () => {
    const stream = await client.chat.completions.create({
      model, messages, stream: true, stream_options: { include_usage: true },
    });
    let said = "";
    let usage = null;
    for await (const chunk of stream) {
      said += chunk.choices[0]?.delta.content ?? "";
      usage = chunk.usage ?? usage;
    }
    assert.equal(said, text);
    assert.ok(usage.total_tokens > 0);
  };
  cases[`tools at ${model}`] = async () => {
    const runner = client.chat.completions.stream({ model, messages, tools });
    const found = await runner.finalChatCompletion();
    const calls = found.choices[0].message.tool_calls;
    assert.deepEqual(calls.map((call) => JSON.parse(call.function.arguments)), [{ place: "Bonn" }, { place: "Rome" }]);
    const results = calls.map((call) => ({ role: "tool", tool_call_id: call.id, content: "sun" }));
    const history = [...messages, found.choices[0].message, ...results];
    const again = await client.chat.completions.create({ model, messages: history, tools });
    assert.ok(again.choices[0].message.content.startsWith("The tool said sun"));
  };
  cases[`structured output at ${model}`] = async () => {
    const found = await client.chat.completions.parse({ model, messages, response_format });
    assert.equal(JSON.parse(found.choices[0].message.content).city, "Bonn");
  };
  cases[`responses at ${model}`] = async () => {
    const found = await client.responses.create({ model, input: "Hi" });
    assert.equal(found.output_text, text);
    const stream = await client.responses.create({ model, input: "Hi", stream: true });
    let said = "";
    let last = null;
    for await (const event of stream) {
      if (event.type === "response.output_text.delta") said += event.delta;
      last = event;
    }
    assert.equal(said, text);
    assert.equal(last.type, "response.completed");
  };
}

cases["embeddings"] = async () => {
  for (const encoding_format of [undefined, "float"]) {
    const found = await client.embeddings.create({ model: "vectors", input: ["a", "b"], encoding_format });
    assert.deepEqual(found.data.map((each) => Array.from(each.embedding)), [[0.25, -0.5, 1], [2, 0.125, -4]]);
  }
};

cases["pictures"] = async () => {
  const found = await client.images.generate({ model: "gpt", prompt: "x" });
  assert.ok(found.data[0].b64_json.length > 10);
};

cases["transcription and speech"] = async () => {
  const file = await toFile(Buffer.from("ID3"), "a.mp3");
  const found = await client.audio.transcriptions.create({ model: "gpt", file });
  assert.equal(found.text, "Good morning.");
  const speech = await client.audio.speech.create({ model: "gpt", voice: "alloy", input: "Hi" });
  assert.equal((await speech.arrayBuffer()).byteLength, 260);
};

cases["moderations"] = async () => {
  const found = await client.moderations.create({ model: "gpt", input: "kill" });
  assert.equal(found.results[0].flagged, true);
};

cases["raw response"] = async () => {
  const { data, response, request_id } = await client.chat.completions.create({ model: "gpt", messages }).withResponse();
  assert.equal(data.choices[0].message.content, words.gpt);
  assert.equal(response.status, 200);
  assert.equal(request_id, response.headers.get("x-request-id"));
};

cases["error classes"] = async () => {
  await refused(OpenAI.BadRequestError, "c", { model: "fails-400" });
  await refused(OpenAI.ConflictError, "c", { model: "fails-409" });
  await refused(OpenAI.UnprocessableEntityError, "c", { model: "fails-422" });
  await refused(OpenAI.InternalServerError, null, { model: "fails-500" });
  await refused(OpenAI.NotFoundError, "model_not_found", { model: "gpt-99" });
  const stranger = new OpenAI({ baseURL, apiKey: "omni_live_nobody", maxRetries: 0 });
  await refused(OpenAI.AuthenticationError, "invalid_api_key", {}, stranger);
  const tester = new OpenAI({ baseURL, apiKey: process.env.OMNI_TEST_KEY, maxRetries: 0 });
  await refused(OpenAI.PermissionDeniedError, "test_key_not_allowed", {}, tester);
};

cases["timeout"] = async () => {
  await assert.rejects(
    client.chat.completions.create({ model: "slow", messages }, { timeout: 200 }),
    OpenAI.APIConnectionTimeoutError,
  );
};

cases["a stream that is left"] = async () => {
  const stream = await client.chat.completions.create({ model: "endless", messages, stream: true });
  let seen = 0;
  for await (const _ of stream) {
    if (++seen === 3) break;
  }
  assert.equal(seen, 3);
};
