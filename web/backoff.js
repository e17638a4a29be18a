// @ts-check
/** How long to wait before trying again: doubling with jitter, so that a crowd does not return in step. */

const FIRST_S = 0.25; // a hiccup of the network is over in a blink
const LONGEST_S = 8; // a person watching the page gives it about that long

export class Backoff {
  #tries = 0;
  #random;

  /** @param {() => number} random uniform in [0, 1) */
  constructor(random) {
    this.#random = random;
  }

  /** The next delay in seconds. */
  next() {
    const ceiling = Math.min(LONGEST_S, FIRST_S * 2 ** this.#tries);
    this.#tries += 1;
    return ceiling * (0.5 + this.#random() / 2);
  }

  reset() {
    this.#tries = 0;
  }
}
