// @ts-check
/** An entry of the log as a line that people read. Pure. */

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
      return words.entry.call_ended(duration(body.duration_ms, words));
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
    case "case_ended":
      return words.entry.case_ended;
    default:
      return kind;
  }
}
