// @ts-check
/** The examples of signaling/PROTOCOL.md are the test vectors of both ends. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { commitmentOf, entryHash } from "../../web/evidence.js";
import {
  encodeClientMessage,
  FINAL_CLOSE_CODES,
  MalformedMessage,
  parseServerMessage,
} from "../../web/protocol.js";
import { sentenceOf } from "../../web/sentences.js";
import { INITIAL, reduce } from "../../web/state.js";
import { WORDS } from "../../web/words.js";

const document = await readFile(new URL("../../signaling/PROTOCOL.md", import.meta.url), "utf8");
const examples = [...document.matchAll(/```json\n(.*?)\n```/gs)].map((match) => match[1] ?? "");
const blocks = examples.map((text) => JSON.parse(text));
const FROM_CLIENT = ["hello", "command", "signal", "sharpen", "clock", "ping"];
const fromServer = blocks.filter((block) => block.type && !FROM_CLIENT.includes(block.type));
const fromClient = blocks.filter((block) => FROM_CLIENT.includes(block.type));
const bodies = blocks.filter((block) => block.kind && block.body);

test("the document has examples of every message", () => {
  const types = new Set(fromServer.map(({ type }) => type));
  assert.deepEqual([...types].sort(), [
    "ack",
    "clock_probe",
    "entry",
    "event",
    "nack",
    "pong",
    "resync",
    "synced",
    "welcome",
  ]);
  assert.deepEqual([...new Set(fromClient.map(({ type }) => type))].sort(), [...FROM_CLIENT].sort());
});

test("each message of the server is read as it is written, and the state takes it", () => {
  let state = INITIAL;
  for (const message of fromServer) {
    assert.deepEqual(parseServerMessage(JSON.stringify(message)), message);
    state = reduce(state, { type: "received", message, at: 0 });
  }
  assert.equal(state.case?.waybill, "SF1000000001");
});

test("each message of a client is encoded as it is written", () => {
  for (const message of fromClient) assert.deepEqual(JSON.parse(encodeClientMessage(message)), message);
});

test("each kind of entry has a sentence in both languages", () => {
  assert.ok(bodies.length >= 14);
  for (const { kind, body } of bodies) {
    const entry = /** @type {any} */ ({ envelope: { kind, actor_id: "l_somebody", number: 1 }, body });
    for (const words of Object.values(WORDS)) {
      const sentence = sentenceOf(entry, INITIAL, words);
      assert.notEqual(sentence, kind, `${kind} is shown as its bare name`);
      assert.ok(sentence.length > 0);
    }
  }
});

test("the entries of the document prove themselves", async () => {
  for (const { entry } of fromServer.filter(({ type }) => type === "entry")) {
    assert.equal(await entryHash(entry.envelope), entry.hash);
    if (entry.body) assert.equal(await commitmentOf(entry.salt, entry.body), entry.envelope.commitment);
  }
});

test("close codes that end it for good are those that the document does not answer with connecting again", () => {
  const rows = [...document.matchAll(/^\| (\d{4}) \|[^|]*\|([^|]*)\|$/gm)];
  assert.ok(rows.length >= 10);
  for (const [, code, then] of rows) {
    const again = /connect again/.test(then ?? "");
    assert.equal(FINAL_CLOSE_CODES[Number(code)] === undefined, again, `${code}: ${then}`);
  }
});

test("whatever is not a message is malformed and nothing else", () => {
  const broken = [
    "",
    "null",
    "[]",
    "7",
    '"entry"',
    "{",
    "{}",
    '{"type":"constructor"}',
    '{"type":"nothing"}',
    '{"type":"ack","id":7,"number":1}',
    '{"type":"entry","entry":null}',
    '{"type":"event","event":{"kind":"slots","slots":{}}}',
    '{"type":"welcome","case":{},"you":{},"number":1}',
  ];
  for (const message of fromServer) {
    for (const name of Object.keys(message)) {
      if (name !== "type") broken.push(JSON.stringify({ ...message, [name]: undefined }));
    }
  }
  for (const text of broken) assert.throws(() => parseServerMessage(text), MalformedMessage, text);
});

test("events and kinds of a newer server pass", () => {
  parseServerMessage('{"type":"event","event":{"kind":"weather"}}');
});
