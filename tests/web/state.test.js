// @ts-check
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { lastLine } from "../../web/conversation.js";
import { custodyOf, linesOf } from "../../web/log_lines.js";
import { foldedSentence, sentenceOf } from "../../web/sentences.js";
import {
  callSeconds,
  connection,
  frames,
  hasConsented,
  INITIAL,
  inCall,
  intentions,
  isElsewhere,
  others,
  reduce,
  summary,
  targetOf,
} from "../../web/state.js";
import { WORDS } from "../../web/words.js";

/** @typedef {import("../../web/state.js").State} State */

const PROTOCOL = readFileSync(new URL("../../signaling/PROTOCOL.md", import.meta.url), "utf8");
const ME = "l_me";
const COURIER = "l_courier";
const QA = "l_qa";
const CONSENT = { statement: "I agree", language: /** @type {const} */ ("en") };

/** @param {State} state @param {any} message */
function hear(state, message) {
  return reduce(state, { type: "received", message, at: 0 });
}

/** @param {State} state @param {string} kind @param {any} body @param {string} [actor_id] */
function add(state, kind, body, actor_id = ME) {
  const role = { [ME]: "customer", [COURIER]: "courier", [QA]: "qa" }[actor_id] ?? "integrator";
  const number = state.entries.length + 1;
  const envelope = { kind, number, actor_id, role, recorded_at: "2026-11-22T14:03:22.123Z" };
  return hear(state, {
    type: "entry",
    entry: { envelope, body, salt: "", hash: `h${number}`, leaf_index: 0 },
  });
}

/** A synced case with the courier in the call. */
function ringing() {
  let state = hear(INITIAL, {
    type: "welcome",
    case: { case_id: "c_1", waybill: "SF1", language: "zh", time_zone: "Asia/Shanghai", state: "open" },
    you: { actor_id: ME, role: "customer", name: "Li", session_id: "s_1" },
    people: [],
    number: 3,
  });
  state = add(state, "consented", { statement: "", language: "zh" }, COURIER);
  state = add(state, "call_started", { call_number: 1 }, COURIER);
  state = add(state, "joined", { call_number: 1 }, COURIER);
  return hear(state, { type: "synced", number: 3 });
}

/** The same, with me in the call. */
function talking() {
  let state = reduce(ringing(), { type: "wish", wants_call: true });
  state = add(state, "consented", { statement: "", language: "zh" });
  return add(state, "joined", { call_number: 1 });
}

test("reduce changes nothing that it was given", () => {
  const state = Object.freeze(ringing());
  const before = JSON.stringify(state);
  add(state, "text", { text: "hello" });
  reduce(state, { type: "wish", wants_call: true });
  assert.equal(JSON.stringify(state), before);
});

test("one tap becomes consent and join, each said once", () => {
  let state = reduce(ringing(), { type: "wish", wants_call: true });
  const commands = intentions(state, CONSENT);
  assert.deepEqual(commands, [{ kind: "consent", ...CONSENT }, { kind: "join" }]);
  for (const [index, command] of commands.entries()) {
    state = reduce(state, { type: "commanded", id: `k${index}`, command });
  }
  assert.deepEqual(intentions(state, CONSENT), []);
});

test("nothing is said before the log is here, while offline, or without the wish", () => {
  assert.deepEqual(intentions(INITIAL, CONSENT), []);
  assert.deepEqual(intentions(ringing(), CONSENT), []);
  const wish = reduce(ringing(), { type: "wish", wants_call: true });
  assert.deepEqual(intentions(reduce(wish, { type: "socket", state: "offline" }), CONSENT), []);
});

test("whoever was lost joins again by the standing wish, without consenting again", () => {
  const lost = add(talking(), "left", { call_number: 1, reason: "lost", traffic: null });
  assert.equal(inCall(lost), false);
  assert.equal(hasConsented(lost), true);
  assert.deepEqual(intentions(lost, CONSENT), [{ kind: "join" }]);
});

test("whoever hung up is left in peace", () => {
  const state = reduce(talking(), { type: "wish", wants_call: false });
  assert.deepEqual(intentions(state, CONSENT), []);
  assert.equal(connection(state), "left");
});

test("in the call on another screen is not in the call here", () => {
  const elsewhere = reduce(talking(), { type: "wish", wants_call: false });
  assert.equal(connection({ ...elsewhere, hung_up: false }), "ready");
});

test("a refused join takes the wish back and is told", () => {
  let state = reduce(ringing(), { type: "wish", wants_call: true });
  state = reduce(state, { type: "commanded", id: "k1", command: { kind: "join" } });
  state = hear(state, { type: "nack", id: "k1", code: "full", message: "" });
  assert.equal(state.wants_call, false);
  assert.equal(state.refusal?.code, "full");
  assert.deepEqual(intentions(state, CONSENT), []);
});

test("an ended case ends the wish", () => {
  const state = add(talking(), "case_ended", { reason: "ended_by_qa" }, QA);
  assert.equal(connection(state), "ended");
  assert.deepEqual(intentions(state, CONSENT), []);
});

test("customer and courier come before quality check", () => {
  let state = add(talking(), "joined", { call_number: 1 }, QA);
  assert.deepEqual(others(state), [COURIER, QA]);
  assert.equal(targetOf(state, null), COURIER);
  assert.equal(targetOf(state, QA), QA);
  assert.equal(targetOf(state, ME), ME);
  state = add(state, "left", { call_number: 1, reason: "left", traffic: null }, COURIER);
  assert.equal(targetOf(state, COURIER), QA);
});

for (const order of ["ack first", "entry first"]) {
  test(`a pressed shutter shows as sealing until its picture is here: ${order}`, () => {
    const words = WORDS.en;
    let state = reduce(talking(), {
      type: "commanded",
      id: "k9",
      command: { kind: "take_frame", of: COURIER },
    });
    assert.equal(state.shots.length, 1);
    assert.equal(lastLine(state, words), "Sealing…");
    const number = state.entries.length + 1;
    const ack = { type: "ack", id: "k9", number };
    const body = { of: COURIER, blob: { sha256: "", size_bytes: 1, media_type: "image/jpeg" } };
    if (order === "ack first") {
      state = hear(state, ack);
      assert.equal(state.shots.length, 1);
      state = add(state, "frame_sealed", body);
    } else {
      state = add(state, "frame_sealed", body);
      assert.equal(state.shots.length, 0);
      state = hear(state, ack);
    }
    assert.deepEqual(state.shots, []);
    assert.deepEqual(state.waiting, []);
    assert.match(lastLine(state, words), /^Sealed \d\d:03:22 · No\. 6$/);
  });
}

test("somebody else's picture does not answer my shutter", () => {
  let state = reduce(talking(), {
    type: "commanded",
    id: "k9",
    command: { kind: "take_frame", of: COURIER },
  });
  state = add(state, "frame_sealed", { of: COURIER, blob: {} }, QA);
  assert.equal(state.shots.length, 1);
});

test("a refused shutter leaves the strip", () => {
  let state = reduce(talking(), {
    type: "commanded",
    id: "k9",
    command: { kind: "take_frame", of: COURIER },
  });
  state = hear(state, { type: "nack", id: "k9", code: "not_in_call", message: "" });
  assert.deepEqual(state.shots, []);
});

test("the connection is one word in every situation", () => {
  const media = (/** @type {State} */ state, /** @type {any} */ what) =>
    reduce(state, { type: "media", state: what });
  assert.equal(connection(INITIAL), "connecting");
  assert.equal(connection(reduce(INITIAL, { type: "socket", state: "offline" })), "offline");
  assert.equal(connection(ringing()), "ready");
  assert.equal(connection(media(ringing(), "connecting")), "connecting");
  assert.equal(connection(media(talking(), "connected")), "connected");
  assert.equal(connection(media(talking(), "reconnecting")), "reconnecting");
  assert.equal(connection(reduce(talking(), { type: "socket", state: "offline" })), "reconnecting");
  for (const reason of /** @type {const} */ (["revoked", "replaced", "erased", "bad_link", "outdated"])) {
    assert.equal(connection(reduce(talking(), { type: "socket", state: reason })), reason);
  }
});

test("a log that differs is read anew, with an alarm", () => {
  const state = reduce(talking(), { type: "forgotten" });
  assert.equal(state.alarm, true);
  assert.deepEqual(state.entries, []);
  assert.equal(state.call, null);
});

test("the clock counts from the server's time, not the phone's", () => {
  const state = reduce(talking(), { type: "clock", offset_ms: 5000 });
  const started = Date.parse("2026-11-22T14:03:22.123Z");
  assert.equal(callSeconds(state, started - 5000 + 42_000), 42);
  assert.equal(callSeconds(state, started - 60_000), 0);
});

test("the page after the call tells from my first joining on", () => {
  let state = add(talking(), "frame_sealed", { of: COURIER, blob: {} });
  state = add(state, "left", { call_number: 1, reason: "left", traffic: null });
  state = add(state, "call_ended", { call_number: 1, duration_ms: 192_480, participants: [] });
  const told = summary(state);
  assert.equal(told.first, 5);
  assert.equal(told.last, 8);
  assert.equal(told.pictures.length, 1);
  assert.equal(told.duration_ms, 192_480);
  assert.equal(told.erased_pictures, 0);
  const erased = { reason: "asked for", numbers: "all", kinds: ["frame_sealed"], by: "request" };
  const after = add(state, "erased", erased, QA);
  assert.deepEqual([summary(after).pictures.length, summary(after).erased_pictures], [0, 1]);
  assert.deepEqual(frames(after), [], "there is nothing to show of it");
});

test("without a socket nobody is said to be here", () => {
  const person = { actor_id: COURIER, role: "courier", name: "Wang", online: true, in_call: true };
  let state = hear(ringing(), { type: "event", event: { kind: "presence", people: [person] } });
  assert.equal(state.people[0]?.online, true);
  assert.equal(state.known[COURIER]?.name, "Wang");
  state = reduce(state, { type: "socket", state: "offline" });
  assert.equal(state.people[0]?.online, false);
});

test("a call that another device of mine took is wanted here no longer, until I want it back", () => {
  const me = {
    actor_id: ME,
    role: "customer",
    name: "Li",
    online: true,
    in_call: true,
    connection: "connected",
  };
  const people = [{ ...me, media_session: "b-1", audio_muted: false, video_muted: false }];
  let state = hear(talking(), { type: "event", event: { kind: "presence", people } });
  assert.equal(isElsewhere(state), false);
  state = reduce(state, { type: "media", state: "elsewhere" });
  assert.equal(isElsewhere(state), true);
  assert.deepEqual(intentions(state, CONSENT), []);
  state = reduce(state, { type: "wish", wants_call: true });
  assert.equal(isElsewhere(state), false);
  assert.deepEqual(intentions(state, CONSENT), [], "I am in the call: only the media move");
});

test("what becomes of the bytes of a file is told while they go, and no longer", () => {
  const progress = { sent_bytes: 5, size_bytes: 10 };
  let state = reduce(INITIAL, { type: "upload", sha256: "a", progress });
  state = reduce(state, { type: "upload", sha256: "b", progress });
  assert.deepEqual(state.uploads, { a: progress, b: progress });
  assert.deepEqual(reduce(state, { type: "upload", sha256: "a", progress: null }).uploads, { b: progress });
  assert.equal(reduce(state, { type: "volatile" }).durable, false);
});

for (const command of /** @type {import("../../web/protocol.js").Command[]} */ ([
  { kind: "report_exception", exception: "damaged", text: "A corner is crushed" },
  { kind: "request_change", what: "place", text: "To the guard" },
  { kind: "hand_over", how: "guard", text: "Gate 2" },
  { kind: "confirm", number: 3, statement: "I have it", language: "en", reservation: "A scratch" },
  { kind: "refuse_receipt", number: 3, text: "It is wet" },
])) {
  test(`what was written for ${command.kind} is kept when the service did not take it`, () => {
    let state = reduce(ringing(), { type: "commanded", id: "k1", command });
    state = hear(state, { type: "nack", id: "k1", code: "meanwhile", message: "" });
    assert.deepEqual(
      state.failed.map((failed) => failed.command),
      [command],
    );
  });
}

test("what is caught up on after a break does not turn the clock back", () => {
  const before = { ...ringing(), offset_ms: 5 };
  const gone = reduce(before, { type: "socket", state: "offline" });
  assert.equal(add(gone, "text", { text: "an hour old" }, COURIER).offset_ms, 5);
  assert.notEqual(add(before, "text", { text: "just now" }, COURIER).offset_ms, 5);
});

test("what is erased is gone from the page as from the log, and what is left is as it was", () => {
  let state = add(talking(), "frame_sealed", {
    of: COURIER,
    blob: {},
    arrived_at: "2026-11-22T14:03:22.123Z",
  });
  state = add(state, "text", { text: "hello" });
  const picture = state.entries.length - 1;
  const erased = { reason: "asked for", numbers: "all", kinds: ["frame_sealed"], by: "request" };
  const after = add(state, "erased", erased, QA);
  assert.equal(after.entries.length, picture + 2);
  assert.equal(after.entries[picture - 1]?.body, null);
  assert.equal(after.entries[picture - 1]?.salt, null);
  assert.deepEqual(after.entries[picture]?.body, { text: "hello" });
  assert.deepEqual(after.entries.at(-1)?.body, erased);
  assert.equal(after.recordings.calls[0]?.frames.length, 0);
  assert.equal(state.recordings.calls[0]?.frames.length, 1);
  assert.equal(inCall(after), inCall(state));
});

test("a page that finds a body erased needs not erase it again", () => {
  const bare = add(talking(), "frame_sealed", null);
  const number = bare.entries.length;
  const after = add(bare, "erased", { reason: "", numbers: [number], kinds: null, by: "request" }, QA);
  assert.equal(after.recordings, bare.recordings);
});

test("in an erased case nothing more can be done", () => {
  const welcome = {
    type: "welcome",
    case: { case_id: "c_1", waybill: "", language: "zh", time_zone: "UTC", state: "erased" },
    you: { actor_id: QA, role: "qa", name: "Q", session_id: "s_1" },
    people: [],
    number: 3,
  };
  assert.equal(hear(INITIAL, welcome).case?.state, "ended");
});

test("a log without bodies is read to its end, and says of each that it was erased", () => {
  const kinds = [...PROTOCOL.matchAll(/^{"kind":"([a-z_]+)"/gm)].map(([, kind]) => kind ?? "");
  assert.ok(kinds.length > 40);
  let state = hear(INITIAL, {
    type: "welcome",
    case: { case_id: "c_1", waybill: "", language: "zh", time_zone: "UTC", state: "erased" },
    you: { actor_id: QA, role: "qa", name: "Q", session_id: "s_1" },
    people: [],
    number: kinds.length,
  });
  for (const kind of kinds) state = add(state, kind, null);
  const erased = { reason: "asked for", numbers: "all", kinds: null, by: "request" };
  state = hear(add(state, "erased", erased), { type: "synced", number: kinds.length + 1 });
  assert.deepEqual([state.call, state.calls, state.recordings.calls.length], [null, 0, 0]);
  assert.equal(connection(state), "ended");
  for (const entry of state.entries.slice(0, -1)) {
    const line = sentenceOf(entry, state, WORDS.en);
    if (!["case_opened", "exported"].includes(entry.envelope.kind))
      assert.equal(line, WORDS.en.entry.body_erased);
    assert.equal(typeof foldedSentence(entry, state, WORDS.zh), "string");
  }
  assert.ok(linesOf(state, "all_kinds").length > 30);
  assert.ok(custodyOf(state).length > 3);
});
