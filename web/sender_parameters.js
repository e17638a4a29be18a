// @ts-check
/**
 * Changes how a sender encodes while it sends: one change at a time, and of those that wait the newest alone.
 *
 * `change` writes into the parameters as they are now, so that it may be asked for as often as anything may have
 * altered them: a new description, another track. What browsers do not take is left out; a change that they refuse
 * for another reason is tried again, as nobody else would ask for it.
 */

/** @typedef {(parameters: any, bold: boolean) => void} Change bold: with what not every browser knows */

/** Names of errors of a browser that does not know, or cannot do, what is asked: any other passes. */
const UNABLE = new Set([
  "TypeError",
  "RangeError",
  "OperationError",
  "NotSupportedError",
  "InvalidAccessError",
  "InvalidModificationError",
]);
const RETRIES_MS = [1000, 2000, 4000]; // a description that is being made is over by then; a closed connection stays closed

export class SenderParameters {
  #sender;
  /** @type {Change | null} */
  #next = null;
  #busy = false;
  #bold = true;
  #refusals = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {Pick<RTCRtpSender, "getParameters" | "setParameters">} sender */
  constructor(sender) {
    this.#sender = sender;
  }

  /** Resolves when it, or a newer one, has been made, or waits for another try. @param {Change} change */
  set(change) {
    clearTimeout(this.#timer);
    this.#next = change;
    this.#refusals = 0;
    return this.#work();
  }

  async #work() {
    if (this.#busy) return;
    this.#busy = true;
    while (this.#next !== null) {
      const now = this.#next;
      this.#next = null;
      if (!(await this.#make(now)) && this.#next === null) this.#tryLater(now);
    }
    this.#busy = false;
  }

  /** @param {Change} change */
  #tryLater(change) {
    const wait_ms = RETRIES_MS[this.#refusals];
    if (wait_ms === undefined) return;
    this.#refusals += 1;
    this.#timer = setTimeout(() => {
      this.#next = change;
      this.#work();
    }, wait_ms);
  }

  /** @param {Change} change @returns {Promise<boolean>} whether all is as it should be */
  async #make(change) {
    const refusal = await this.#apply(change, this.#bold);
    if (refusal === null) return true;
    const bold = this.#bold && !UNABLE.has(refusal);
    if ((await this.#apply(change, bold)) !== null) return false;
    this.#bold = bold;
    return true;
  }

  /** @param {Change} change @param {boolean} bold @returns {Promise<string | null>} the name of the error */
  async #apply(change, bold) {
    try {
      const parameters = this.#sender.getParameters();
      if (!(parameters.encodings?.length > 0)) return null; // nothing to say yet: whoever negotiates asks again
      const before = JSON.stringify(parameters);
      change(parameters, bold);
      if (JSON.stringify(parameters) !== before) await this.#sender.setParameters(parameters);
      return null;
    } catch (error) {
      return error instanceof Error ? error.name : ""; // a DOMException is one
    }
  }
}
