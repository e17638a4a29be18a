// @ts-check
/** Which entries the desk's log gives a line to. Pure. */

import { attachmentsOf } from "./talk.js";

/** @typedef {import("./state.js").State} State */

/** Who was given what, and who was not. */
export const CUSTODY = Object.freeze(["viewed", "exported", "read", "played_back", "refused"]);

const DELIVERY = Object.freeze([
  "answered",
  "answer_taken",
  "agreed",
  "handed_over",
  "confirmed",
  "receipt_refused",
]);

/**
 * Receipts are many and say little: only the last filter shows them.
 * @type {Readonly<Record<string, (kind: string, body: import("./protocol.js").Body | null) => boolean>>}
 */
export const FILTERS = Object.freeze({
  all_kinds: (kind) => kind !== "receipt",
  only_words: (kind) => kind === "text" || kind === "phrase",
  only_media: (kind, body) => kind.startsWith("attach") || attachmentsOf(body).length > 0,
  only_pictures: (kind) => kind === "frame_sealed" || kind === "frame_failed",
  only_delivery: (kind) =>
    DELIVERY.includes(kind) || kind.startsWith("notice_") || kind.startsWith("change_"),
  only_orders: (kind) => kind.startsWith("exception_"),
  only_recording: isPiece,
  only_custody: (kind) => CUSTODY.includes(kind),
  with_receipts: () => true,
});

/** @param {string} kind */
export function isPiece(kind) {
  return kind === "segment_sealed" || kind === "segment_lost";
}

/**
 * The numbers of those entries, in order. Among everything else a call's recording is one line, in the place of its
 * first piece, and one for each run of lost pieces; its own filter shows them all.
 * @param {Pick<State, "entries" | "recordings">} state
 * @param {string} filter
 * @returns {string[]}
 */
export function linesOf({ entries, recordings }, filter) {
  const fits = FILTERS[filter] ?? (() => true);
  const folded = filter !== "only_recording";
  const heads = new Set(
    recordings.calls.flatMap(({ first_piece, tracks }) => [
      first_piece,
      ...tracks.flatMap(({ holes }) => holes.map(({ number }) => number)),
    ]),
  );
  const lines = [];
  for (const { envelope, body } of entries) {
    if (!fits(envelope.kind, body)) continue;
    if (folded && isPiece(envelope.kind) && !heads.has(envelope.number)) continue;
    lines.push(String(envelope.number));
  }
  return lines;
}

/** The numbers of the entries of custody, in order. @param {Pick<State, "entries">} state @returns {string[]} */
export function custodyOf({ entries }) {
  return entries
    .filter(({ envelope }) => CUSTODY.includes(envelope.kind))
    .map(({ envelope }) => String(envelope.number));
}

/**
 * Of some lines the last that had happened by then, `null` before all of them.
 * @param {readonly string[]} lines numbers, ascending
 * @param {number} number
 */
export function lineBefore(lines, number) {
  return lines.findLast((line) => Number(line) <= number) ?? null;
}
