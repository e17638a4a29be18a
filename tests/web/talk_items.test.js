// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { mapAddress } from "../../web/place_link.js";
import { INITIAL, reduce } from "../../web/state.js";
import { failureWords, shorten } from "../../web/talk_attachment.js";
import { found, itemsOf, messagesSince, reachOf } from "../../web/talk_items.js";
import { MarkTeller, marksDue } from "../../web/talk_marks.js";
import { TALK_WORDS } from "../../web/talk_words.js";
import { clockTime, dayOf, showTimesIn, WORDS } from "../../web/words.js";

/** @typedef {import("../../web/state.js").State} State */

const ME = "l_me";
const COURIER = "l_courier";
const GUEST = "l_guest";
const PLACE = { latitude_e6: 31_230_400, longitude_e6: 121_473_700, accuracy_m: 10 };
const CASE = { case_id: "c_1", waybill: "SF1", language: "zh", time_zone: "Asia/Shanghai", state: "open" };

/** @param {State} state @param {any} message */
function hear(state, message) {
  return reduce(state, { type: "received", message, at: 0 });
}

/** @param {State} state @param {string} kind @param {any} body @param {string} [actor_id] @param {string} [recorded_at] */
function add(state, kind, body, actor_id = ME, recorded_at = "2026-11-28T08:00:00.000Z") {
  const role = { [ME]: "customer", [COURIER]: "courier", [GUEST]: "guest" }[actor_id];
  const number = state.entries.length + 1;
  const envelope = { kind, number, actor_id, role, recorded_at };
  return hear(state, {
    type: "entry",
    entry: { envelope, body, salt: "", hash: `h${number}`, leaf_index: 0 },
  });
}

function begun() {
  const state = hear(INITIAL, {
    type: "welcome",
    case: CASE,
    you: { actor_id: ME, role: "customer", name: "Li", session_id: "s_1" },
    people: [
      { actor_id: ME, role: "customer", name: "Li" },
      { actor_id: COURIER, role: "courier", name: "Zhang" },
      { actor_id: GUEST, role: "guest", name: "Guard" },
    ],
    number: 0,
  });
  return hear(state, { type: "synced", number: 0 });
}

/** @param {State} state */
function all(state) {
  return itemsOf(state, { most: 200, only: null }).items;
}

test("the list tells what people say and what happened, not the bookkeeping", () => {
  let state = add(begun(), "text", { text: "hello", captured_at: null });
  state = add(state, "receipt", { delivered: 1, read: 1 }, COURIER);
  state = add(state, "read", null, COURIER);
  state = add(state, "joined", { call_number: 1 }, COURIER);
  const told = all(state).flatMap((item) =>
    item.type === "entry" ? [[item.key, item.message, item.mine]] : [],
  );
  assert.deepEqual(told, [
    ["1", true, true],
    ["4", false, false],
  ]);
});

test("a day begins at midnight of the case, and who goes on speaking is not named again", () => {
  showTimesIn("Asia/Shanghai");
  let state = add(begun(), "text", { text: "late" }, COURIER, "2026-11-28T15:58:00.000Z");
  state = add(state, "text", { text: "still late" }, COURIER, "2026-11-28T15:59:00.000Z");
  state = add(state, "text", { text: "early" }, COURIER, "2026-11-28T16:01:00.000Z");
  const items = all(state);
  assert.deepEqual(
    items.map(({ type }) => type),
    ["day", "entry", "entry", "day", "entry"],
  );
  assert.deepEqual(
    items.flatMap((item) => (item.type === "entry" ? [item.follows] : [])),
    [false, true, false],
  );
  assert.equal(dayOf("2026-11-28T16:01:00.000Z"), "2026-11-29");
  assert.equal(clockTime("2026-11-28T16:01:00.000Z"), "00:01:00");
  showTimesIn(undefined);
});

test("what waits is shown once, also while its entry has come and its ack has not", () => {
  const captured_at = "2026-11-28T07:59:59.000Z";
  /** @type {import("../../web/protocol.js").Command} */
  const command = { kind: "text", text: "hello", captured_at };
  let state = reduce(begun(), { type: "commanded", id: "k1", command });
  state = reduce(state, { type: "commanded", id: "k2", command: { kind: "mark", delivered: 1, read: 1 } });
  assert.deepEqual(
    all(state).map(({ key }) => key),
    ["k1"],
  );
  state = add(state, "text", { text: "hello", captured_at });
  assert.deepEqual(
    all(state).map(({ type }) => type),
    ["day", "entry"],
  );
});

test("what was not taken stays until the person drops it; a refused mark is no matter of theirs", () => {
  let state = reduce(begun(), { type: "commanded", id: "k1", command: { kind: "text", text: "hello" } });
  state = hear(state, { type: "nack", id: "k1", code: "quota", message: "" });
  assert.equal(all(state)[0]?.type, "failed");
  assert.deepEqual(state.failed, [
    { id: "k1", command: { kind: "text", text: "hello" }, code: "quota", message: "" },
  ]);
  state = reduce(state, { type: "refusal_seen" });
  assert.equal(state.failed.length, 1);
  state = reduce(state, { type: "dropped", id: "k1" });
  assert.deepEqual(state.failed, []);
  state = reduce(state, { type: "commanded", id: "k2", command: { kind: "mark", delivered: 1, read: 1 } });
  state = hear(state, { type: "nack", id: "k2", code: "link_not_live", message: "" });
  assert.equal(state.refusal, null);
  assert.deepEqual(state.failed, []);
});

test("the newest are shown, and the list says how many stand before them", () => {
  let state = begun();
  for (let count = 0; count < 5; count += 1) state = add(state, "text", { text: `${count}` });
  const { items, earlier } = itemsOf(state, { most: 2, only: null });
  assert.deepEqual(
    items.map(({ key }) => key),
    ["day 2026-11-28", "4", "5"],
  );
  assert.equal(earlier, 3);
});

test("a search finds every word in any order, in any language that an entry was said in", () => {
  let state = add(begun(), "text", { text: "The blue Box has a dent" });
  state = add(state, "phrase", {
    phrase: "at_the_gate",
    text: { zh: "我在小区门口。", en: "I am at the gate." },
  });
  state = add(state, "receipt", { delivered: 1, read: 1 }, COURIER);
  assert.deepEqual([...found(state, "DENT blue", WORDS.en)], [1]);
  assert.deepEqual([...found(state, "门口", WORDS.en)], [2]);
  assert.deepEqual([...found(state, "  ", WORDS.en)], []);
  assert.deepEqual([...found(state, "dent green", WORDS.en)], []);
});

test("marks are told of each of the others who may see the entry, the furthest first", () => {
  let state = add(begun(), "text", { text: "hello" });
  state = add(state, "receipt", { delivered: 1, read: 0 }, COURIER);
  state = add(state, "receipt", { delivered: 1, read: 1 }, GUEST);
  assert.deepEqual(reachOf(state, 1, "text"), [
    { actor_id: GUEST, mark: "read" },
    { actor_id: COURIER, mark: "delivered" },
  ]);
  assert.deepEqual(reachOf(state, 1, "placed"), [{ actor_id: COURIER, mark: "delivered" }]);
  assert.deepEqual(
    reachOf(state, 2, "text").map(({ mark }) => mark),
    ["sent", "sent"],
  );
});

test("a page marks what others have said, never its own words, a receipt or what merely happened", () => {
  let state = add(begun(), "text", { text: "mine" });
  state = add(state, "receipt", { delivered: 1, read: 1 }, COURIER);
  state = add(state, "joined", { call_number: 1 }, COURIER);
  assert.deepEqual(marksDue(state, 3), { delivered: 0, read: 0 });
  state = add(state, "text", { text: "theirs" }, COURIER);
  assert.deepEqual(marksDue(state, 3), { delivered: 4, read: 0 });
  assert.deepEqual(marksDue(state, 4), { delivered: 4, read: 4 });
});

test("marks are told once a second at most, once each, and not again when they were refused", () => {
  const teller = new MarkTeller();
  let state = add(begun(), "text", { text: "one" }, COURIER);
  assert.deepEqual(teller.handle(state, 10), { kind: "mark", delivered: 1, read: 0 });
  assert.equal(teller.handle(state, 10), null);
  teller.handleSeen(1);
  assert.equal(teller.handle(state, 10.2), null);
  assert.equal(teller.nextDeadline, 11);
  state = add(state, "text", { text: "two" }, COURIER);
  teller.handleSeen(2);
  assert.deepEqual(teller.handle(state, 11), { kind: "mark", delivered: 2, read: 2 });
  assert.equal(teller.handle(state, 13), null);
  assert.equal(teller.nextDeadline, Infinity);
});

test("nothing is marked while one is on its way or offline; what came last is marked also after the end", () => {
  const state = add(begun(), "text", { text: "one" }, COURIER);
  const mark = /** @type {const} */ ({ kind: "mark", delivered: 1, read: 0 });
  assert.equal(
    new MarkTeller().handle(reduce(state, { type: "commanded", id: "k", command: mark }), 1),
    null,
  );
  assert.equal(new MarkTeller().handle(reduce(state, { type: "socket", state: "offline" }), 1), null);
  assert.deepEqual(new MarkTeller().handle(add(state, "case_ended", { reason: "x" }, COURIER), 1), mark);
});

test("read out is what others say, not one's own words, and not what merely happens", () => {
  let state = add(begun(), "text", { text: "old" }, COURIER);
  state = add(state, "text", { text: "mine" });
  state = add(state, "joined", { call_number: 1 }, COURIER);
  state = add(state, "text", { text: "theirs" }, COURIER);
  assert.deepEqual(
    messagesSince(state, 1).map(({ body }) => body?.text),
    ["theirs"],
  );
});

test("nobody is told to load a page again that has the only copy, or that it would help where it would not", () => {
  const words = TALK_WORDS.en;
  assert.equal(failureWords("unsettled", true, words), words.upload_failed);
  assert.equal(failureWords("unsettled", false, words), words.upload_failed_here);
  assert.equal(failureWords("bytes_gone", true, words), words.upload_gone);
  assert.equal(failureWords("malformed_upload", true, words), words.upload_not_taken);
});

test("a waveform is shortened without losing its peaks, and never made longer", () => {
  assert.deepEqual(shorten([1, 9, 2, 3, 50, 4], 3), [9, 3, 50]);
  assert.deepEqual(shorten([7, 8], 5), [7, 8]);
});

test("a place is a link that every phone can open", () => {
  assert.match(mapAddress(PLACE, "zh"), /^https:.*121\.473700,31\.230400.*wgs84/);
  assert.match(mapAddress(PLACE, "en"), /^https:.*mlat=31\.230400&mlon=121\.473700/);
});

test("both languages say the same things, and every sentence is a sentence", () => {
  /** @param {any} value @returns {any} */
  const shape = (value) =>
    typeof value === "object"
      ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shape(inner)]))
      : typeof value;
  assert.deepEqual(shape(TALK_WORDS.zh), shape(TALK_WORDS.en));
  assert.doesNotMatch(JSON.stringify(TALK_WORDS.zh), /你/);
});
