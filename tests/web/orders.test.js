// @ts-check
/** The desk's queue of work orders, pure: what comes first, what is new, what is next, and what its parts may do. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { announcedBy, endingOf } from "../../web/attachment_facts.js";
import { EventParser } from "../../web/event_parser.js";
import { FILTERS, linesOf } from "../../web/log_lines.js";
import { may } from "../../web/may.js";
import { stepsOf, wrongWords } from "../../web/order_cards.js";
import {
  countToRule,
  followFeed,
  inOrder,
  keyOf,
  NO_QUEUE,
  newcomers,
  nextOrder,
  timeLeft,
} from "../../web/orders.js";
import { ORDERS_WORDS } from "../../web/orders_words.js";
import { degreesOf } from "../../web/place_link.js";
import { NOTHING_RECORDED } from "../../web/recordings.js";
import { clockTime, fullTime, WORDS } from "../../web/words.js";

const T0 = Date.parse("2026-11-28T14:00:00.000Z");
/** @param {number} minutes */
const at = (minutes) => new Date(T0 + minutes * 60_000).toISOString();

/** @param {number} number @param {Partial<import("../../web/orders.js").OrderRow>} [more] @returns {import("../../web/orders.js").OrderRow} */
function row(number, more = {}) {
  return {
    case_id: "c_one",
    waybill: "SF1",
    time_zone: "Asia/Shanghai",
    number,
    leaf_index: number,
    exception: "damage",
    label: { en: "Damage", zh: "破损" },
    state: "open",
    due_at: at(15),
    overdue: false,
    taken_by: null,
    taken_by_name: null,
    reported_by: "courier",
    reported_at: at(0),
    ...more,
  };
}

/** @param {...import("../../web/orders.js").OrderRow} rows */
function queueOf(...rows) {
  return followFeed(NO_QUEUE, { event: "orders", data: { exceptions: rows, complete: true } });
}

test("what is to be ruled comes first, the soonest due before the others, what waits for the courier last", () => {
  const queue = queueOf(
    row(1, { state: "decided", due_at: at(1) }),
    row(2, { due_at: at(30) }),
    row(3, { state: "acknowledged", due_at: at(2) }),
    row(4, { state: "taken", due_at: at(20) }),
    row(6, { due_at: at(30) }),
    row(5, { due_at: at(30) }),
  );
  assert.deepEqual(
    inOrder(queue).map(({ number }) => number),
    [4, 2, 5, 6, 3, 1],
  );
  assert.equal(countToRule(queue), 4);
});

test("the feed puts in, changes and takes out, and begins anew when it is told all", () => {
  let queue = queueOf(row(1));
  queue = followFeed(queue, { event: "order", data: row(2) });
  queue = followFeed(queue, { event: "order", data: row(1, { state: "taken", taken_by_name: "Wang" }) });
  assert.equal(queue.rows[keyOf(row(1))]?.taken_by_name, "Wang");
  queue = followFeed(queue, { event: "gone", data: { case_id: "c_one", number: 1 } });
  assert.deepEqual(Object.keys(queue.rows), [keyOf(row(2))]);
  queue = followFeed(queue, { event: "orders", data: { exceptions: [row(9)], complete: false } });
  assert.deepEqual([Object.keys(queue.rows), queue.complete], [[keyOf(row(9))], false]);
  assert.equal(followFeed(queue, { event: "complete", data: {} }).complete, true);
  assert.equal(followFeed(queue, { event: "a newer one", data: {} }), queue);
});

test("new is what was reported just now; not what a page learns at its beginning, or finds again", () => {
  const before = queueOf(row(1));
  const after = followFeed(before, { event: "order", data: row(2) });
  assert.deepEqual(
    newcomers(before, after, T0 + 500).map(({ number }) => number),
    [2],
  );
  assert.deepEqual(newcomers(NO_QUEUE, after, T0 + 500), [], "the page has only just come");
  assert.deepEqual(newcomers(before, after, T0 + 600_000), [], "found again after a restart");
  const taken = followFeed(before, { event: "order", data: row(2, { state: "taken" }) });
  assert.deepEqual(newcomers(before, taken, T0 + 500), [], "somebody has it already");
});

test("from order to order goes the next, and from the last to the first", () => {
  const rows = inOrder(queueOf(row(1), row(2, { due_at: at(20) }), row(3, { state: "decided" })));
  assert.equal(nextOrder(rows, null)?.number, 1);
  assert.equal(nextOrder(rows, keyOf(row(1)))?.number, 2);
  assert.equal(nextOrder(rows, keyOf(row(2)))?.number, 1, "what waits for the courier is passed over");
  assert.equal(nextOrder(rows.slice(2), null)?.number, 3, "unless there is nothing else");
  assert.equal(nextOrder([], null), null);
});

test("minutes are cut, so that nobody counts on one that is not there", () => {
  assert.deepEqual(timeLeft(at(15), T0), { late: false, minutes: 15 });
  assert.deepEqual(timeLeft(at(15), T0 + 1), { late: false, minutes: 14 });
  assert.deepEqual(timeLeft(at(0), T0), { late: true, minutes: 0 });
  assert.deepEqual(timeLeft(at(0), T0 + 119_000), { late: true, minutes: 1 });
});

test("an order is decided by who has it, taken over by others, and closed after the courier has read", () => {
  assert.deepEqual(stepsOf({ state: "open", taken_by: null }, "l_me"), {
    take: true,
    decide: true,
    close: true,
    close_wants_remark: true,
  });
  const theirs = stepsOf({ state: "taken", taken_by: "l_other" }, "l_me");
  assert.deepEqual([theirs.take, theirs.decide], [true, false]);
  const waiting = stepsOf({ state: "decided", taken_by: "l_me" }, "l_me");
  assert.deepEqual([waiting.take, waiting.decide, waiting.close], [false, true, false]);
  const read = stepsOf({ state: "acknowledged", taken_by: "l_me" }, "l_me");
  assert.deepEqual([read.decide, read.close, read.close_wants_remark], [false, true, false]);
  const closed = stepsOf({ state: "closed", taken_by: "l_me" }, "l_other");
  assert.deepEqual([closed.take, closed.decide, closed.close], [false, false, false]);
});

test("notices and changes are for dispatch, ending a case for quality check", () => {
  assert.equal(may("announce", "dispatch") && may("answer_change", "dispatch"), true);
  assert.equal(may("announce", "qa") || may("answer_change", "qa") || may("end_case", "dispatch"), false);
  assert.equal(may("end_case", "qa"), true);
  assert.equal(may("no such thing", "qa") || may("text", undefined), false);
});

test("events come whole, in whatever pieces the network cuts them", () => {
  const stream = `: hello\n\nid: a-1\nevent: order\ndata: {"number":\ndata: 7}\n\nid: a-2\r\ndata: second\r\n\r\nevent: none\n\n`;
  const expected = [
    { id: "a-1", event: "order", data: '{"number":\n7}' },
    { id: "a-2", event: "message", data: "second" },
  ];
  for (const size of [1, 2, 3, 7, stream.length]) {
    const parser = new EventParser();
    const found = [];
    for (let from = 0; from < stream.length; from += size)
      found.push(...parser.push(stream.slice(from, from + size)));
    assert.deepEqual(found, expected, `pieces of ${size}`);
  }
});

/** @param {number} number @param {string} kind @param {any} [body] @returns {any} */
function entry(number, kind, body = {}) {
  return { envelope: { number, kind, actor_id: "l_li", recorded_at: at(0) }, body, hash: String(number) };
}

const PHOTO = { medium: "photo", sha256: "ab", size_bytes: 7, media_type: "image/jpeg" };
const LOG = {
  recordings: NOTHING_RECORDED,
  entries: [
    entry(1, "case_opened"),
    entry(2, "text", { text: "hello" }),
    entry(3, "exception_reported", { attachments: [PHOTO] }),
    entry(4, "attachment_stored", { number: 3, sha256: "ab" }),
    entry(5, "receipt", { delivered: 4, read: 4 }),
    entry(6, "notice_sent"),
    entry(7, "change_requested"),
    entry(8, "attached", { attachment: PHOTO }),
    entry(9, "phrase", {}),
    entry(10, "confirmed", { attachments: [] }),
    entry(11, "read"),
  ],
};

test("the log is filtered by subject, and receipts stay folded away until they are asked for", () => {
  /** @param {string} filter */
  const lines = (filter) => linesOf(LOG, filter).map(Number);
  assert.deepEqual(lines("all_kinds"), [1, 2, 3, 4, 6, 7, 8, 9, 10, 11]);
  assert.equal(lines("with_receipts").length, 11);
  assert.deepEqual(lines("only_words"), [2, 9]);
  assert.deepEqual(lines("only_media"), [3, 4, 8]);
  assert.deepEqual(lines("only_orders"), [3]);
  assert.deepEqual(lines("only_delivery"), [6, 7, 10]);
});

test("every filter has a name in both languages", () => {
  for (const words of Object.values(ORDERS_WORDS)) {
    const named = Object.keys(words.filter);
    for (const name of named) assert.ok(Object.hasOwn(FILTERS, name), name);
  }
});

test("what was stored is found by the entry that announced it, and by the one that stored it", () => {
  const [announced] = announcedBy(LOG.entries[2], LOG.entries);
  assert.equal(announced?.entry.envelope.number, 3);
  assert.deepEqual(announcedBy(LOG.entries[3], LOG.entries), [announced]);
  assert.deepEqual(announcedBy(LOG.entries[1], LOG.entries), []);
  assert.deepEqual(announcedBy(null, []), []);
  assert.deepEqual([endingOf("image/jpeg"), endingOf("x/y")], ["jpg", "bin"]);
});

test("times are told in the case's own zone", () => {
  assert.equal(clockTime("2026-11-28T16:30:05.123Z", "Asia/Shanghai"), "00:30:05");
  assert.equal(fullTime("2026-11-28T16:30:05.123Z", "Asia/Shanghai"), "2026-11-29 00:30:05.123");
  assert.equal(clockTime("2026-11-28T16:30:05.123Z", "Europe/London"), "16:30:05");
  assert.match(clockTime("2026-11-28T16:30:05.123Z", "No/Where"), /^\d\d:\d\d:05$/);
  assert.equal(clockTime("never", "Asia/Shanghai"), "");
});

test("a place is told in degrees of six decimals, south and west below nothing", () => {
  const place = { latitude_e6: -31_230_416, longitude_e6: 121_473_701, accuracy_m: 20 };
  assert.deepEqual(degreesOf(place), { latitude: "-31.230416", longitude: "121.473701" });
});

/** @param {any} words @param {string} [path] @returns {Map<string, any>} every text by its path */
function flat(words, path = "") {
  const found = new Map();
  for (const [name, value] of Object.entries(words)) {
    const key = path === "" ? name : `${path}.${name}`;
    if (typeof value === "object") for (const [inner, text] of flat(value, key)) found.set(inner, text);
    else found.set(key, value);
  }
  return found;
}

test("both languages have every text of the desk's orders, each in its own script", () => {
  const [en, zh] = [flat(ORDERS_WORDS.en), flat(ORDERS_WORDS.zh)];
  assert.deepEqual([...zh.keys()], [...en.keys()]);
  for (const [path, text] of en) {
    const other = zh.get(path);
    assert.equal(typeof other, typeof text, path);
    const spoken = typeof text === "function" ? text("Wang", 17) : text;
    const said = typeof other === "function" ? other("王师傅", 17) : other;
    assert.doesNotMatch(spoken, /\p{Script=Han}/u, path);
    assert.match(said, /\p{Script=Han}/u, path);
    assert.doesNotMatch(said, /你|\p{Script=Han}[,;:?!()]|[,;:?!()]\p{Script=Han}/u, path);
  }
});

test("what the service did not do is said in the language of the desk", () => {
  const said = (/** @type {string} */ wrong) => wrongWords(wrong, ORDERS_WORDS.zh, WORDS.zh);
  assert.equal(said("meanwhile"), ORDERS_WORDS.zh.meanwhile);
  assert.equal(said("case_not_open"), WORDS.zh.refused.case_not_open);
  assert.equal(said("something_new"), WORDS.zh.refused.other);
  assert.equal(said(""), "");
});
