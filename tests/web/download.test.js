// @ts-check
/** What comes in pieces is whole at the end, and how far it is, is told. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { download } from "../../web/download.js";

/** @param {number[]} sizes @param {number} expected */
function answer(sizes, expected) {
  const pieces = sizes.map((size, place) => new Uint8Array(size).fill(place + 1));
  const body = new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  });
  const headers = { "Content-Type": "application/zip", "X-Expected-Size": String(expected) };
  return { response: new Response(body, { headers }), whole: Buffer.concat(pieces) };
}

test("all pieces are in the file, also when it is larger than what is held", async () => {
  const { response, whole } = answer([3, 17 << 20, 5, 9 << 20, 9 << 20, 1], 1);
  const file = await download(response, () => undefined);
  assert.equal(file.type, "application/zip");
  assert.ok(whole.equals(Buffer.from(await file.arrayBuffer())));
});

test("progress is the share of what was expected, and never more than all", async () => {
  const { response } = answer([25, 25, 50, 100], 100);
  /** @type {number[]} */
  const told = [];
  await download(response, (share) => told.push(share));
  assert.deepEqual(told, [0.25, 0.5, 1, 1]);
});

test("a connection that breaks is no file", async () => {
  const body = new ReadableStream({ pull: (controller) => controller.error(new TypeError("network error")) });
  await assert.rejects(download(new Response(body), () => undefined));
});
