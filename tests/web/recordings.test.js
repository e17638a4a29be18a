// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { lastLine } from "../../web/conversation.js";
import { custodyOf, lineBefore, linesOf } from "../../web/log_lines.js";
import { pieceAt } from "../../web/playback_sources.js";
import { callAt, piecesOf, spanOf } from "../../web/recordings.js";
import { marksOf } from "../../web/seek_bar.js";
import { foldedSentence, sentenceOf } from "../../web/sentences.js";
import { INITIAL, recording, reduce } from "../../web/state.js";
import { WORDS } from "../../web/words.js";

/** @typedef {import("../../web/state.js").State} State */

const T0 = Date.parse("2026-11-22T14:03:10.000Z");
const COURIER = "l_courier";
const CUSTOMER = "l_customer";
const QA = "l_qa";
/** @type {Record<string, string>} */
const ROLES = { [COURIER]: "courier", [CUSTOMER]: "customer", [QA]: "qa" };

/** @param {number} seconds */
function at(seconds) {
  return new Date(T0 + seconds * 1000).toISOString();
}

/** @param {State} state @param {string} kind @param {any} body @param {string} actor_id @param {number} seconds */
function add(state, kind, body, actor_id, seconds) {
  const number = state.entries.length + 1;
  const role = ROLES[actor_id] ?? "integrator";
  const envelope = { kind, number, actor_id, role, recorded_at: at(seconds) };
  const entry = { envelope, body, salt: "", hash: `h${number}`, leaf_index: 0 };
  return reduce(state, { type: "received", message: /** @type {any} */ ({ type: "entry", entry }), at: 0 });
}

/** A piece of 5 s. @param {State} state @param {string} actor_id @param {number} segment @param {string} [lost] why */
function piece(state, actor_id, segment, lost) {
  const [began, ended] = [(segment - 1) * 5 + 0.4, segment * 5 + 0.38];
  const body = { call_number: 1, segment, began_at: at(began), ended_at: at(ended), packets: 600 };
  return lost === undefined
    ? add(state, "segment_sealed", { ...body, streams: [] }, actor_id, ended)
    : add(state, "segment_lost", { ...body, reason: lost }, actor_id, ended);
}

/** A running call of two, `pieces` pieces of each. @param {number} pieces */
function called(pieces) {
  let state = add(INITIAL, "call_started", { call_number: 1 }, COURIER, 0);
  state = add(state, "joined", { call_number: 1 }, COURIER, 0);
  state = add(state, "joined", { call_number: 1 }, CUSTOMER, 0);
  for (let segment = 1; segment <= pieces; segment += 1) {
    state = piece(piece(state, COURIER, segment), CUSTOMER, segment);
  }
  return state;
}

/** @param {State} state @param {number} seconds @param {string} [reason] */
function ended(state, seconds, reason = "ended") {
  const body = { call_number: 1, duration_ms: seconds * 1000, participants: [], reason };
  return add(state, "call_ended", body, COURIER, reason === "ended" ? seconds : 7200);
}

test("thousands of pieces are one line of the log, and all lines of their own filter", () => {
  const state = ended(called(1000), 5001);
  assert.equal(state.entries.length, 2004);
  assert.deepEqual(linesOf(state, "all_kinds"), ["1", "2", "3", "4", "2004"]);
  assert.equal(linesOf(state, "only_recording").length, 2000);
  const first = /** @type {any} */ (state.entries[3]);
  assert.equal(foldedSentence(first, state, WORDS.en), "Recorded: 2000 pieces, none lost");
  assert.equal(foldedSentence(first, state, WORDS.zh), "已录制 2000 段，没有缺失");
  assert.equal(state.recordings.calls[0]?.tracks[0]?.stretches.length, 1, "what follows is one stretch");
});

test("a case of 10,000 pieces is read and folded within two seconds", () => {
  const began = performance.now();
  const state = called(5000);
  const read_ms = performance.now() - began;
  const lines = performance.now();
  assert.equal(linesOf(state, "all_kinds").length, 4);
  assert.ok(performance.now() - lines < 200, "a line costs nothing of what it stands for");
  assert.ok(read_ms < 2000, `${read_ms} ms`);
});

test("while the call runs the line counts what is sealed so far", () => {
  const state = called(2);
  const first = /** @type {any} */ (state.entries[3]);
  assert.equal(foldedSentence(first, state, WORDS.en), "Recording: 4 pieces so far, none lost");
});

test("lost pieces in a row are one visible line, each run its own", () => {
  let state = called(2);
  for (const segment of [3, 4, 5]) state = piece(state, COURIER, segment, "overloaded");
  state = piece(state, COURIER, 6);
  state = piece(state, COURIER, 7, "not_stored");
  const [call] = state.recordings.calls;
  assert.ok(call);
  assert.deepEqual(piecesOf(call), { sealed: 5, lost: 4 });
  const lines = linesOf(state, "all_kinds");
  assert.deepEqual(lines, ["1", "2", "3", "4", "8", "12"]);
  const lost = /** @type {any} */ (state.entries[7]);
  assert.equal(foldedSentence(lost, state, WORDS.en), "Courier: 15 s of the recording lost (3 pieces)");
  assert.equal(sentenceOf(lost, state, WORDS.en), "Courier: piece 3 of the recording was lost");
  assert.deepEqual(
    marksOf(call, COURIER, T0, WORDS.en).map(({ kind }) => kind),
    ["stretch", "stretch", "hole", "hole"],
  );
});

test("the sign tells that pieces are being lost, to those who may not read bodies too", () => {
  let state = add(INITIAL, "call_started", { call_number: 1 }, COURIER, 0);
  for (const who of [COURIER, CUSTOMER]) state = add(state, "joined", { call_number: 1 }, who, 0);
  assert.equal(recording(state), "recording");
  const hidden = (/** @type {string} */ kind, /** @type {string} */ who) => add(state, kind, null, who, 5);
  state = hidden("segment_lost", COURIER);
  assert.equal(recording(state), "broken");
  state = hidden("segment_sealed", CUSTOMER);
  assert.equal(recording(state), "broken", "somebody else's piece mends nothing");
  state = hidden("segment_sealed", COURIER);
  assert.equal(recording(state), "recording");
  state = hidden("segment_lost", COURIER);
  assert.equal(recording(state), "broken");
  const left = { call_number: 1, reason: "left", traffic: null };
  assert.equal(
    recording(add(state, "left", left, COURIER, 6)),
    "recording",
    "who has left loses nothing more",
  );
  assert.equal(recording(ended(state, 9)), "none");
});

test("customers and couriers read nothing of pieces and of who looked", () => {
  let state = called(0);
  const before = lastLine(state, WORDS.zh);
  for (const kind of [
    "segment_sealed",
    "segment_lost",
    "read",
    "played_back",
    "refused",
    "viewed",
    "exported",
  ]) {
    state = add(state, kind, null, QA, 9);
  }
  assert.equal(lastLine(state, WORDS.zh), before);
});

test("who looked is every entry of custody, refused ones in words", () => {
  let state = called(1);
  const by = { authenticated_by: "link" };
  state = add(state, "read", { after: 0, up_to: 5, live: true, ...by }, QA, 20);
  state = add(state, "read", { after: 5, up_to: 5, live: false, ...by }, QA, 21);
  state = add(state, "played_back", { call_number: 1, of: COURIER, part: 1, ...by }, QA, 22);
  state = add(state, "refused", { what: "export_case", reason: "not_for_role", ...by }, COURIER, 23);
  assert.deepEqual(custodyOf(state), ["6", "7", "8", "9"]);
  assert.deepEqual(linesOf(state, "only_custody"), ["6", "7", "8", "9"]);
  const told = state.entries.slice(5).map((entry) => sentenceOf(entry, state, WORDS.en));
  assert.deepEqual(told, [
    "Quality check opened the log, No. 1–5 and on",
    "Quality check came back to the log",
    "Quality check played back Courier, call 1",
    "Courier asked for the package and was refused",
  ]);
});

test("a call that its service did not survive is told so, and ends where it ended", () => {
  const state = ended(called(3), 15.2, "aborted");
  const [call] = state.recordings.calls;
  assert.ok(call?.aborted);
  assert.equal(spanOf(call).ended_ms, T0 + 15_380, "its last piece, not when the service came back");
  const told = sentenceOf(/** @type {any} */ (state.entries.at(-1)), state, WORDS.en);
  assert.equal(
    told,
    "Call cut off: the service failed · 15 s. What was sealed until then is kept; the last seconds may be missing.",
  );
});

test("what was sealed and who was away stand in the lanes of those whose they are", () => {
  let state = called(4);
  state = add(state, "gap_started", { call_number: 1, cause: "network", began_at: at(8) }, CUSTOMER, 11);
  const number = state.entries.length;
  state = add(
    state,
    "gap_ended",
    { call_number: 1, number, cause: "network", duration_ms: 4000 },
    CUSTOMER,
    12,
  );
  state = add(state, "gap_started", { call_number: 1, cause: "camera_off", began_at: at(18) }, CUSTOMER, 19);
  const frame = {
    of: COURIER,
    arrived_at: at(13),
    journal: { call_number: 1, first_segment: 3, last_segment: 3 },
  };
  state = add(state, "frame_sealed", frame, CUSTOMER, 14);
  state = add(state, "frame_sealed", { of: COURIER, arrived_at: at(15) }, CUSTOMER, 16);
  const [call] = state.recordings.calls;
  assert.ok(call);
  const marks = marksOf(call, CUSTOMER, T0 + 20_000, WORDS.en).filter(({ kind }) => kind === "gap");
  assert.deepEqual(
    marks.map(({ began_ms, ended_ms }) => [began_ms - T0, ended_ms - T0]),
    [
      [8000, 12_000],
      [18_000, 20_000],
    ],
  );
  const frames = marksOf(call, COURIER, T0, WORDS.en).filter(({ kind }) => kind === "frame");
  assert.deepEqual(
    frames.map(({ began_ms }) => began_ms - T0),
    [13_000, 15_000],
  );
});

test("each call has its own recording", () => {
  let state = ended(called(2), 10);
  state = add(state, "call_started", { call_number: 2 }, COURIER, 100);
  const body = { call_number: 2, segment: 1, began_at: at(100), ended_at: at(105), streams: [] };
  state = add(state, "segment_sealed", body, COURIER, 105);
  assert.deepEqual(
    state.recordings.calls.map((call) => piecesOf(call).sealed),
    [4, 1],
  );
  assert.equal(callAt(state.recordings, T0 + 50_000)?.call_number, 1);
  assert.equal(callAt(state.recordings, T0 + 101_000)?.call_number, 2);
  assert.equal(reduce(state, { type: "forgotten" }).recordings.calls.length, 0);
});

test("a late piece, sealed after the call, still belongs to it", () => {
  const state = piece(ended(called(2), 11), COURIER, 3);
  assert.equal(state.recordings.calls[0]?.tracks[0]?.sealed, 3);
});

test("the cursor finds its piece, and the keys the line next to a folded one", () => {
  const pieces = [1, 2, 3].map((segment) => ({ segment, number: segment * 10, sha256: "" }));
  const beganOf = (/** @type {number} */ number) => number * 100;
  assert.equal(pieceAt(pieces, beganOf, 2500)?.segment, 2);
  assert.equal(pieceAt(pieces, beganOf, 3000)?.segment, 3);
  assert.equal(pieceAt(pieces, beganOf, 10)?.segment, 1, "before the first: it begins with it");
  assert.equal(pieceAt([], beganOf, 10), null);
  assert.equal(lineBefore(["1", "2", "4", "90"], 37), "4");
  assert.equal(lineBefore(["5"], 3), null);
});
