// @ts-check
/**
 * Canonical JSON (RFC 8785, without floats, integers below 2^53), read back as `server/evidence/canonical.py` does:
 * one value, one spelling. Most bytes are as they should be and go the short way; what is not is read again,
 * character by character, to say what is wrong. Pure.
 */

import { canonicalJson, MalformedEvidence } from "./evidence.js";
import { Wrong } from "./said.js";

/** @typedef {{[name: string]: any}} Json */

const MAX_INTEGER = 2 ** 53 - 1;
const MAX_DEPTH = 32; // levels, as the service: far above any body, far below what the stack of a reader holds
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** @param {Uint8Array} data @returns {string | null} null: not UTF-8 */
export function textOf(data) {
  try {
    return decoder.decode(data);
  } catch {
    return null;
  }
}

/** Raises Wrong for any other spelling. @param {Uint8Array} data @returns {any} */
export function parseCanonical(data) {
  const text = textOf(data);
  if (text === null) throw new Wrong("no_json");
  checkDepth(text);
  try {
    const value = JSON.parse(text);
    if (canonicalJson(value) === text) return value;
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof MalformedEvidence)) throw error;
  }
  throw complaint(text);
}

/** @param {Uint8Array} data @returns {Json} */
export function parseCanonicalObject(data) {
  const value = parseCanonical(data);
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Wrong("json_no_object");
  return value;
}

/** Raises Wrong for what is nested deeper than MAX_DEPTH: what a reader's own stack would allow differs from one to the next. @param {string} text */
function checkDepth(text) {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const one = text[at];
    if (quoted) {
      if (one === "\\") at += 1;
      else if (one === '"') quoted = false;
    } else if (one === '"') quoted = true;
    else if (one === "[" || one === "{") {
      depth += 1;
      if (depth > MAX_DEPTH) throw new Wrong("json_too_deep", { limit: MAX_DEPTH });
    } else if (one === "]" || one === "}") depth -= 1;
  }
}

/** JSON in any spelling of what could be canonical; raises Wrong. @param {Uint8Array} data @returns {any} */
export function parseLoosely(data) {
  const text = textOf(data) ?? "";
  try {
    checkDepth(text);
    const reader = new Reader(text);
    if (reader.space(reader.value(reader.space(0))) !== text.length) throw new Wrong("no_json");
    const value = JSON.parse(text);
    canonicalJson(value);
    return value;
  } catch (error) {
    if (!(error instanceof Wrong || error instanceof MalformedEvidence)) throw error;
    throw new Wrong("copy_json");
  }
}

/** Why a text is not canonical JSON: the first thing that a reader would stumble over. @param {string} text */
function complaint(text) {
  try {
    new Reader(text).value(0);
  } catch (error) {
    if (error instanceof Wrong) return error;
    throw error;
  }
  // A lone surrogate, written as an escape, has no UTF-8 form.
  return new Wrong(hasLoneSurrogate(text) ? "no_json" : "json_spelling");
}

/** @param {string} text JSON that can be read */
function hasLoneSurrogate(text) {
  try {
    canonicalJson(JSON.parse(text));
  } catch (error) {
    return error instanceof MalformedEvidence;
  }
  return false;
}

/** RFC 8259, and the names that Python's reader takes for numbers. */
class Reader {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
  }

  /** Where the value ends that begins here; what comes behind it is not looked at. @param {number} begin @returns {number} */
  value(begin) {
    const { text } = this;
    const first = text[begin];
    if (first === '"') return this.string(begin);
    if (first === "{") return this.list(begin, "}", true);
    if (first === "[") return this.list(begin, "]", false);
    for (const word of ["null", "true", "false"])
      if (text.startsWith(word, begin)) return begin + word.length;
    for (const word of ["NaN", "Infinity", "-Infinity"]) {
      if (text.startsWith(word, begin)) throw new Wrong("json_no_integer", { digits: word });
    }
    const number = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/y;
    number.lastIndex = begin;
    const match = number.exec(text);
    if (!match) throw new Wrong("no_json");
    const [digits, fraction, exponent] = match;
    if (fraction !== undefined || exponent !== undefined) {
      throw new Wrong("json_no_integer", { digits: digits.slice(0, 32) });
    }
    if (digits.length > 17 || Math.abs(Number(digits)) > MAX_INTEGER) throw new Wrong("json_large_integer");
    return begin + digits.length;
  }

  /** @param {number} begin @param {"}" | "]"} end @param {boolean} named @returns {number} */
  list(begin, end, named) {
    const { text } = this;
    let at = this.space(begin + 1);
    if (text[at] === end) return at + 1;
    while (true) {
      if (named) {
        if (text[at] !== '"') throw new Wrong("no_json");
        at = this.space(this.string(at));
        if (text[at] !== ":") throw new Wrong("no_json");
        at = this.space(at + 1);
      }
      at = this.space(this.value(at));
      if (text[at] === end) return at + 1;
      if (text[at] !== ",") throw new Wrong("no_json");
      at = this.space(at + 1);
    }
  }

  /** @param {number} begin */
  string(begin) {
    for (let at = begin + 1; at < this.text.length; at += 1) {
      const one = this.text[at] ?? "";
      if (one === '"') return at + 1;
      if (one < " ") break;
      if (one === "\\") {
        at += 1;
        const mark = this.text[at] ?? "";
        if (mark === "u") {
          if (!/^[0-9a-fA-F]{4}$/.test(this.text.slice(at + 1, at + 5))) break;
          at += 4;
        } else if (mark === "" || !'"\\/bfnrt'.includes(mark)) break;
      }
    }
    throw new Wrong("no_json");
  }

  /** @param {number} begin */
  space(begin) {
    let at = begin;
    while (" \t\n\r".includes(this.text[at] ?? "x")) at += 1;
    return at;
  }
}
