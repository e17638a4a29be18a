// @ts-check
/**
 * When to tell the others what has come and what was read: at most once a second, and only of what is meant for
 * somebody to read. Receipts are not, so two pages that are open do not answer each other's marks for ever. Pure.
 */

import { marksOf } from "./talk.js";
import { isAddressed } from "./talk_items.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {{kind: "mark", delivered: number, read: number}} MarkCommand */

const TOLD_EVERY_S = 1; // a mark is an entry: a quick talk need not become twice as long

export class MarkTeller {
  /** Seen on this page. */
  #read = 0;
  #told = { delivered: 0, read: 0 };
  #told_at = -Infinity;
  #deadline = Infinity;

  /** When to call handle once more, in the seconds of `now`. */
  get nextDeadline() {
    return this.#deadline;
  }

  /** The person has had this entry before their eyes. @param {number} number */
  handleSeen(number) {
    this.#read = Math.max(this.#read, number);
  }

  /**
   * @param {State} state
   * @param {number} now seconds
   * @returns {MarkCommand | null} what to say now
   */
  handle(state, now) {
    this.#deadline = Infinity;
    if (!state.synced || state.socket !== "live" || !state.you) return null;
    // Until it is answered another one would only repeat it.
    if (state.waiting.some(({ command }) => command.kind === "mark")) return null;
    const wanted = marksDue(state, this.#read);
    // What was said and refused is not said again.
    if (wanted.delivered <= this.#told.delivered && wanted.read <= this.#told.read) return null;
    const known = marksOf(state.talk, state.you.actor_id);
    if (wanted.delivered <= known.delivered && wanted.read <= known.read) return null;
    if (now < this.#told_at + TOLD_EVERY_S) {
      this.#deadline = this.#told_at + TOLD_EVERY_S;
      return null;
    }
    this.#told = wanted;
    this.#told_at = now;
    return { kind: "mark", ...wanted };
  }
}

/**
 * The marks that this page could give: the newest entry of somebody else that is meant to be read, and the newest
 * such entry up to what was seen.
 * @param {State} state
 * @param {number} seen
 */
export function marksDue(state, seen) {
  const me = state.you?.actor_id;
  /** @param {import("./protocol.js").Entry} entry */
  const theirs = (entry) => entry.envelope.actor_id !== me && isAddressed(entry);
  const delivered = state.entries.findLast(theirs)?.envelope.number ?? 0;
  const read = state.entries.slice(0, seen).findLast(theirs)?.envelope.number ?? 0;
  return { delivered, read };
}
