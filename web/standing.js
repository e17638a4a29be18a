// @ts-check
/**
 * A picture that stands still because the reader's own network carries no more of it, in words: what is so, that sound
 * goes on, and how old the picture is that stands there. Pure.
 */

/** @typedef {import("./protocol.js").Picture} Picture */
/** @typedef {import("./words.js").Words} Words */

/** The age of what a receive slot shows, from readings of how many pictures it has shown. */
export class Freshness {
  #shown = 0;
  /** @type {number | null} */
  #since = null;

  /**
   * @param {number} shown since whenever; fewer than before: another stream
   * @param {number} now seconds
   * @returns {number | null} seconds; null: nothing was shown yet
   */
  handleReading(shown, now) {
    if (shown !== this.#shown) {
      this.#shown = shown;
      this.#since = shown > 0 ? now : null;
    }
    return this.#since === null ? null : now - this.#since;
  }
}

/**
 * @param {Picture} picture
 * @param {number | null} age_s
 * @param {Words} words
 * @returns {{what: string, age: string}} nothing to be said: two empty texts
 */
export function standingWords(picture, age_s, words) {
  if (picture === "live") return { what: "", age: "" };
  const age = age_s === null ? "" : words.picture_age(Math.max(0, Math.floor(age_s)));
  return { what: words.standing[picture], age };
}
