// @ts-check
/** What a page says of media that were erased: that they were, and not that they are still to come. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { attachmentErased, recordingErased, somethingErased } from "../../web/erasure.js";

/** @typedef {import("../../web/protocol.js").Entry} Entry */

/** @param {[string, any][]} kinds and bodies, in order @returns {Entry[]} */
function logOf(kinds) {
  return kinds.map(([kind, body], place) => ({
    envelope: /** @type {any} */ ({ kind, number: place + 1, actor_id: "l_a", role: "courier" }),
    body,
    salt: null,
    hash: "",
    leaf_index: place,
  }));
}

/** @param {string[]} kinds */
const erased = (...kinds) => ({ reason: "asked for", numbers: "all", kinds, by: "request" });

test("an attachment is erased if what had come after it is gone, not if it is still to come", () => {
  const attached = { attachment: { sha256: "a" } };
  const waiting = logOf([["attached", attached]]);
  assert.equal(attachmentErased(1, waiting), false);
  const withheld = logOf([
    ["attached", attached],
    ["attachment_stored", null],
  ]);
  assert.equal(attachmentErased(1, withheld), false, "a body that was never shown is not erased");
  const gone = logOf([
    ["attached", attached],
    ["attachment_stored", null],
    ["attached", attached],
    ["erased", erased("attachment_stored")],
  ]);
  assert.equal(attachmentErased(1, gone), true);
  assert.equal(attachmentErased(3, gone), false, "nothing of it had come");
});

test("a call's recording is erased if its own pieces are gone", () => {
  const entries = logOf([
    ["call_started", { call_number: 1 }],
    ["segment_sealed", null],
    ["call_ended", { call_number: 1 }],
    ["erased", erased("segment_sealed", "segment_lost")],
    ["call_started", { call_number: 2 }],
    ["segment_sealed", { call_number: 2 }],
  ]);
  assert.equal(recordingErased(1, entries), true);
  assert.equal(recordingErased(2, entries), false);
  assert.equal(recordingErased(1, entries.slice(0, 3)), false);
});

test("something is erased once an entry says so", () => {
  assert.equal(somethingErased(logOf([["text", { text: "a" }]])), false);
  assert.equal(somethingErased(logOf([["erased", erased("frame_sealed")]])), true);
});
