// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { INITIAL, reduce } from "../../web/state.js";
import { attachmentState, attachmentsOf, followTalk, marksOf, NO_TALK } from "../../web/talk.js";

const LI = "l_li";
const SHA = "a".repeat(64);
const PHOTO = {
  medium: "photo",
  sha256: SHA,
  size_bytes: 3,
  media_type: "image/jpeg",
  capture_path: "camera",
  captured_at: "2026-11-28T08:00:00.000Z",
};
const STORED = {
  number: 4,
  sha256: SHA,
  original: { sha256: SHA, size_bytes: 3, media_type: "image/jpeg" },
  shown: { sha256: "b".repeat(64), size_bytes: 2, media_type: "image/jpeg" },
  width: 4,
  height: 3,
  duration_ms: null,
  waveform: [],
};

/** @param {import("../../web/talk.js").Talk} talk @param {string} kind @param {any} body @param {string} [actor_id] */
function follow(talk, kind, body, actor_id = LI) {
  const envelope = /** @type {any} */ ({ kind, number: 9, actor_id });
  return followTalk(talk, { envelope, body, salt: "", hash: "", leaf_index: 0 });
}

test("an attachment is announced until the entry that settles it, and known by entry and hash together", () => {
  assert.deepEqual(attachmentState(NO_TALK, 4, SHA), { state: "announced", stored: null, refused: null });
  const stored = follow(NO_TALK, "attachment_stored", STORED);
  assert.deepEqual(attachmentState(stored, 4, SHA), { state: "stored", stored: STORED, refused: null });
  assert.equal(attachmentState(stored, 5, SHA).state, "announced");
  const refused = { number: 5, sha256: SHA, reason: "not_a_picture", message: "It is no picture." };
  const both = follow(stored, "attachment_refused", refused);
  assert.deepEqual(attachmentState(both, 5, SHA), { state: "refused", stored: null, refused });
  assert.equal(attachmentState(both, 4, SHA).state, "stored");
});

test("entries of any kind have attachments", () => {
  assert.deepEqual(attachmentsOf({ attachment: PHOTO, caption: null }), [PHOTO]);
  assert.deepEqual(attachmentsOf({ how: "door", attachments: [PHOTO, PHOTO] }), [PHOTO, PHOTO]);
  assert.deepEqual(attachmentsOf({ text: "hello" }), []);
  assert.deepEqual(attachmentsOf(null), []);
});

test("marks are each person's own, only rise, and what is read has been delivered", () => {
  assert.deepEqual(marksOf(NO_TALK, LI), { delivered: 0, read: 0 });
  let talk = follow(NO_TALK, "receipt", { delivered: 7, read: 3 });
  talk = follow(talk, "receipt", { delivered: 5, read: 2 });
  assert.deepEqual(marksOf(talk, LI), { delivered: 7, read: 3 });
  talk = follow(talk, "receipt", { delivered: 7, read: 8 });
  assert.deepEqual(marksOf(talk, LI), { delivered: 8, read: 8 });
  assert.deepEqual(marksOf(talk, "l_wang"), { delivered: 0, read: 0 });
});

test("an entry whose body is withheld, and one of another subject, change nothing", () => {
  assert.equal(follow(NO_TALK, "receipt", null), NO_TALK);
  assert.equal(follow(NO_TALK, "text", { text: "hello" }), NO_TALK);
});

test("the page's state follows the talk of its log, and begins anew with a log that is read anew", () => {
  const envelope = /** @type {any} */ ({
    kind: "receipt",
    number: 1,
    actor_id: LI,
    role: "customer",
    recorded_at: "2026-11-28T08:00:00.000Z",
  });
  const entry = { envelope, body: { delivered: 1, read: 1 }, salt: "", hash: "h1", leaf_index: 0 };
  const state = reduce(INITIAL, { type: "received", message: { type: "entry", entry }, at: 0 });
  assert.deepEqual(marksOf(state.talk, LI), { delivered: 1, read: 1 });
  assert.equal(reduce(state, { type: "forgotten" }).talk, NO_TALK);
});

test("who had a link to the case is known by name before they say anything", () => {
  const state = reduce(INITIAL, {
    type: "received",
    message: {
      type: "welcome",
      case: { case_id: "c_1", waybill: "SF1", language: "zh", time_zone: "Asia/Shanghai", state: "open" },
      you: { actor_id: LI, role: "customer", name: "Li", session_id: "s_1" },
      people: [
        { actor_id: LI, role: "customer", name: "Li" },
        { actor_id: "l_guard", role: "guest", name: "Guard" },
      ],
      number: 3,
    },
    at: 0,
  });
  assert.deepEqual(state.known.l_guard, { role: "guest", name: "Guard" });
  assert.deepEqual(state.known[LI], { role: "customer", name: "Li" });
});
