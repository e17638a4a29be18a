// @ts-check
/** How long to wait before trying again: doubling with jitter, so that a crowd does not return in step. */

const FIRST_S = 0.25; // a hiccup of the network is over in a blink
const LONGEST_S = 8; // a person watching the page gives it about that long

/** For what is good to have and not waited for: from twice a receipt's own time to be told, to once a minute. */
export const PATIENT = Object.freeze({ first_s: 5, longest_s: 60 });

export class Backoff {
  #tries = 0;
  #random;
  #first_s;
  #longest_s;

  /** @param {() => number} random uniform in [0, 1) @param {{first_s?: number, longest_s?: number}} [times] */
  constructor(random, { first_s = FIRST_S, longest_s = LONGEST_S } = {}) {
    this.#random = random;
    this.#first_s = first_s;
    this.#longest_s = longest_s;
  }

  /** The next delay in seconds. */
  next() {
    const ceiling = Math.min(this.#longest_s, this.#first_s * 2 ** this.#tries);
    this.#tries += 1;
    return ceiling * (0.5 + this.#random() / 2);
  }

  reset() {
    this.#tries = 0;
  }
}
