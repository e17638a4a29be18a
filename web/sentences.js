// @ts-check
/** An entry of the log as a line that people read. Pure. */

import { piecesOf } from "./recordings.js";
import { percent } from "./words.js";

/** @typedef {import("./protocol.js").Entry} Entry */
/** @typedef {import("./state.js").State} State */
/** @typedef {import("./words.js").Words} Words */

/**
 * @param {State} state
 * @param {string} actor_id
 * @param {Words} words
 */
export function nameOf(state, actor_id, words) {
  if (actor_id === state.you?.actor_id) return words.you;
  const known = state.known[actor_id];
  return known?.name ?? (known ? words.role[known.role] : words.somebody);
}

/** @param {number} duration_ms @param {Words} words */
export function duration(duration_ms, words) {
  const seconds = Math.round(duration_ms / 1000);
  return words.minutes(Math.floor(seconds / 60), seconds % 60);
}

/**
 * @param {Entry} entry
 * @param {State} state
 * @param {Words} words
 * @returns {string}
 */
export function sentenceOf(entry, state, words) {
  const { kind, actor_id } = entry.envelope;
  const name = nameOf(state, actor_id, words);
  const body = entry.body;
  if (body === null) {
    const plain =
      kind === "case_opened" ? words.entry.case_opened : kind === "exported" && words.entry.exported(name);
    return plain || words.entry.withheld;
  }
  switch (kind) {
    case "case_opened":
      return words.entry.case_opened;
    case "link_issued":
      return words.entry.link_issued(
        `${words.role[/** @type {"qa"} */ (body.role)] ?? body.role} ${body.name}`,
      );
    case "link_revoked":
      return words.entry.link_revoked(nameOf(state, body.link_id, words));
    case "consented":
      return words.entry.consented(name);
    case "call_started":
      return words.entry.call_started(body.call_number);
    case "joined":
      return words.entry.joined(name);
    case "gap_started":
      return (
        words.entry.gap_started[/** @type {"network"} */ (body.cause)] ?? words.entry.gap_started.network
      )(name);
    case "gap_ended": {
      const lasted = body.duration_ms === null ? words.unknown_time : duration(body.duration_ms, words);
      const over =
        words.entry.gap_ended[/** @type {"network"} */ (body.cause)] ?? words.entry.gap_ended.network;
      return over(name, lasted);
    }
    case "call_quality":
      return words.entry.call_quality(
        name,
        percent(body.sent.loss_permille),
        percent(body.received.loss_permille),
        body.gaps.count,
      );
    case "left":
      return (words.entry.left[/** @type {"left"} */ (body.reason)] ?? words.entry.left.left)(name);
    case "call_ended":
      return (body.reason === "aborted" ? words.entry.call_aborted : words.entry.call_ended)(
        duration(body.duration_ms, words),
      );
    case "segment_sealed":
      return words.entry.segment_sealed(name, body.segment);
    case "segment_lost":
      return words.entry.segment_lost(name, body.segment);
    case "text":
      return body.text;
    case "frame_sealed":
      if (body.of === state.you?.actor_id) return words.entry.frame_sealed_you;
      return words.entry.frame_sealed(nameOf(state, body.of, words));
    case "frame_failed":
      return words.entry.frame_failed(nameOf(state, body.of, words));
    case "viewed":
      return words.entry.viewed(name, body.number);
    case "exported":
      return words.entry.exported(name);
    case "read": {
      const range = numbers(body.after + 1, body.up_to);
      if (body.up_to <= body.after) return words.entry.read_nothing_new(name);
      return (body.live ? words.entry.read_live : words.entry.read)(name, range);
    }
    case "played_back":
      return words.entry.played_back(name, nameOf(state, body.of, words), body.call_number);
    case "refused":
      return words.entry.refused(name, refusedWhat(body.what, words));
    case "case_ended":
      return words.entry.case_ended;
    default:
      return kind;
  }
}

/**
 * The one line for all that an entry stands for in the log: a call's recording, a run of lost pieces.
 * @param {Entry} entry
 * @param {State} state
 * @param {Words} words
 */
export function foldedSentence(entry, state, words) {
  const { kind, number, actor_id } = entry.envelope;
  const call = state.recordings.calls.find(({ call_number }) => call_number === entry.body?.call_number);
  if (kind === "segment_sealed" && call?.first_piece === number) {
    const { sealed, lost } = piecesOf(call);
    return (call.ended_ms === null ? words.entry.recording : words.entry.recorded)(sealed, lost);
  }
  const hole = call?.tracks.flatMap(({ holes }) => holes).find((hole) => hole.number === number);
  if (kind === "segment_lost" && hole) {
    const lasted = duration(hole.ended_ms - hole.began_ms, words);
    return words.entry.hole(nameOf(state, actor_id, words), hole.pieces, lasted);
  }
  return sentenceOf(entry, state, words);
}

/** What was asked for and refused: the operations of the API by their names. @param {string} what @param {Words} words */
export function refusedWhat(what, words) {
  const known = words.desk.refused_what;
  return known[/** @type {keyof typeof known} */ (what)] ?? what;
}

/** @param {number} first @param {number} last */
function numbers(first, last) {
  return first === last ? String(first) : `${first}–${last}`;
}
