// @ts-check
/**
 * What the conversation's list shows, in order: days, entries, what waits to be sent, what was not taken. Pure.
 *
 * An entry is a message (a bubble of its author) or a line on what happened; it may have attachments either way.
 */

import { sentenceOf } from "./sentences.js";
import { dayOf } from "./words.js";

/** @typedef {import("./protocol.js").Entry} Entry */
/** @typedef {import("./protocol.js").Command} Command */
/** @typedef {import("./state.js").State} State */
/** @typedef {import("./state.js").Failed} Failed */
/** @typedef {import("./words.js").Words} Words */

/** What a phone leaves to the desk, or shows at the entry that it belongs to. */
const NOT_TOLD = new Set([
  "call_started",
  "call_quality",
  "receipt",
  "attachment_stored",
  "attachment_refused",
]);

/** What a person says, in a bubble. */
const MESSAGES = new Set(["text", "phrase", "attached", "placed"]);

/** What is meant for somebody to read: marks count these, and only these. */
const ADDRESSED = new Set([
  ...MESSAGES,
  "notice_sent",
  "notice_unanswered",
  "answered",
  "answer_taken",
  "change_requested",
  "change_answered",
  "change_withdrawn",
  "agreed",
  "handed_over",
  "confirmed",
  "receipt_refused",
  "exception_reported",
  "exception_taken",
  "exception_decided",
  "exception_acknowledged",
  "exception_closed",
]);

/**
 * @typedef {{key: string, type: "day", at: string}
 *   | {key: string, type: "entry", entry: Entry, message: boolean, mine: boolean, follows: boolean}
 *   | {key: string, type: "waiting", id: string, command: Command}
 *   | {key: string, type: "failed", failed: Failed}} Item
 *   follows: the same person has just spoken, their name need not be said again
 */

/** Entries that tell people something, newest last. @param {Pick<State, "entries">} state */
export function toldOf({ entries }) {
  return entries.filter(isTold);
}

/** @param {Entry} entry */
export function isTold({ envelope, body }) {
  return body !== null && !NOT_TOLD.has(envelope.kind);
}

/** @param {string} kind */
export function isMessage(kind) {
  return MESSAGES.has(kind);
}

/** What others have said after the first `before` entries. @param {Pick<State, "entries" | "you">} state @param {number} before */
export function messagesSince({ entries, you }, before) {
  return entries
    .slice(before)
    .filter(
      ({ envelope, body }) =>
        body !== null && isMessage(envelope.kind) && envelope.actor_id !== you?.actor_id,
    );
}

/** Whether an entry is for others to read. @param {Entry} entry */
export function isAddressed({ envelope, body }) {
  return body !== null && ADDRESSED.has(envelope.kind);
}

/**
 * @param {State} state
 * @param {{most: number, only: ReadonlySet<number> | null}} view
 *   most: of the entries, the newest; only: the numbers that a search has found, null while nobody searches
 * @returns {{items: Item[], earlier: number}} earlier: how many are left out at the beginning
 */
export function itemsOf(state, { most, only }) {
  const told = toldOf(state);
  const fitting = only ? told.filter(({ envelope }) => only.has(envelope.number)) : told;
  const earlier = Math.max(0, fitting.length - most);
  /** @type {Item[]} */
  const items = [];
  let day = "";
  /** @type {Entry | null} */
  let before = null;
  for (const entry of fitting.slice(earlier)) {
    const { kind, number, actor_id, recorded_at } = entry.envelope;
    const of = dayOf(recorded_at);
    if (of !== day) {
      day = of;
      before = null;
      items.push({ key: `day ${of}`, type: "day", at: recorded_at });
    }
    const message = isMessage(kind);
    const follows =
      message &&
      before !== null &&
      before.envelope.actor_id === actor_id &&
      isMessage(before.envelope.kind) &&
      Date.parse(recorded_at) - Date.parse(before.envelope.recorded_at) < SAME_BREATH_MS;
    const mine = actor_id === state.you?.actor_id;
    items.push({ key: String(number), type: "entry", entry, message, mine, follows });
    before = entry;
  }
  if (only) return { items, earlier };
  const sent = sentAt(state);
  for (const failed of state.failed) items.push({ key: failed.id, type: "failed", failed });
  for (const { id, command } of state.waiting) {
    // Its entry may come a moment before its ack: it is shown once.
    if (command.kind in WAITING && !sent.has(momentOf(command)))
      items.push({ key: id, type: "waiting", id, command });
  }
  return { items, earlier };
}

const SAME_BREATH_MS = 5 * 60 * 1000; // later than this people want to see again who speaks

/** Commands whose wait people should see; the others are answered where they are asked. */
export const WAITING = Object.freeze({
  text: true,
  phrase: true,
  attach: true,
  share_place: true,
  announce: true,
  answer: true,
  request_change: true,
  hand_over: true,
  confirm: true,
  refuse_receipt: true,
  report_exception: true,
});

const RECENT = 50; // entries among which that of a command that still waits can be

/** The moments of what I have said lately. @param {State} state */
function sentAt({ entries, you }) {
  return new Set(
    entries
      .slice(-RECENT)
      .filter(({ envelope }) => envelope.actor_id === you?.actor_id)
      .map(({ body }) => body?.captured_at ?? body?.attachment?.captured_at)
      .filter((moment) => typeof moment === "string"),
  );
}

/** @param {Command} command @returns {string} */
function momentOf(command) {
  if (command.kind === "attach") return command.attachment.captured_at;
  return ("captured_at" in command && command.captured_at) || "";
}

/** Everything of an entry that can be searched for, in small letters. @param {Entry} entry @param {State} state @param {Words} words */
export function searchText(entry, state, words) {
  const body = entry.body ?? {};
  const said = [sentenceOf(entry, state, words), body.text, body.caption, body.remark, body.detail];
  // A phrase and a notice are found in any language of theirs.
  for (const value of [body.text, body.label]) {
    if (value !== null && typeof value === "object") said.push(...Object.values(value));
  }
  said.push(body.reservation);
  return said
    .filter((piece) => typeof piece === "string")
    .join("\n")
    .toLocaleLowerCase();
}

/** The numbers of the told entries that hold every word. @param {State} state @param {string} query @param {Words} words */
export function found(state, query, words) {
  const wanted = query.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  if (wanted.length === 0) return new Set();
  return new Set(
    toldOf(state)
      .filter((entry) => {
        const text = searchText(entry, state, words);
        return wanted.every((word) => text.includes(word));
      })
      .map(({ envelope }) => envelope.number),
  );
}

/** @typedef {"sent" | "delivered" | "read"} Mark */

/**
 * Up to what an entry has got with each of the others who may see it: the furthest first.
 * @param {State} state
 * @param {number} number
 * @param {string} kind
 * @returns {{actor_id: string, mark: Mark}[]}
 */
export function reachOf(state, number, kind) {
  const others = Object.entries(state.known).filter(
    ([actor_id, { role }]) =>
      actor_id !== state.you?.actor_id &&
      role !== "integrator" &&
      role !== "system" &&
      (role !== "guest" || !NOT_FOR_GUESTS.has(kind)),
  );
  const weight = { read: 0, delivered: 1, sent: 2 };
  return others
    .map(([actor_id]) => {
      const marks = state.talk.marks[actor_id];
      /** @type {Mark} */
      const mark =
        (marks?.read ?? 0) >= number ? "read" : (marks?.delivered ?? 0) >= number ? "delivered" : "sent";
      return { actor_id, mark };
    })
    .sort((one, other) => weight[one.mark] - weight[other.mark]);
}

/** signaling/entries.py MAY_SEE, of what people say themselves. */
const NOT_FOR_GUESTS = new Set(["placed"]);
