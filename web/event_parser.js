// @ts-check
/**
 * Server-Sent Events as they come in pieces (WHATWG HTML, section 9.2.6): `push(text)` answers the events that are
 * whole by now. Pure. Lines end with LF, CR LF or CR; a comment, and an event without data, is none.
 */

/** @typedef {{id: string, event: string, data: string}} ServerEvent */

export class EventParser {
  #rest = "";
  #id = "";
  #event = "";
  /** @type {string[]} */
  #data = [];

  /** @param {string} text @returns {ServerEvent[]} */
  push(text) {
    // A CR at the end may be half of a line's end.
    const whole = this.#rest + text;
    const held = whole.endsWith("\r") ? whole.length - 1 : whole.length;
    const lines = whole.slice(0, held).split(/\r\n|\n|\r/);
    this.#rest = (lines.pop() ?? "") + whole.slice(held);
    return lines.flatMap((line) => this.#take(line) ?? []);
  }

  /** @param {string} line @returns {ServerEvent | null} */
  #take(line) {
    if (line === "") {
      const [event, data] = [this.#event, this.#data];
      this.#event = "";
      this.#data = [];
      return data.length > 0 ? { id: this.#id, event: event || "message", data: data.join("\n") } : null;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#event = value;
    else if (field === "id") this.#id = value;
    return null;
  }
}
