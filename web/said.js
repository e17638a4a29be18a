// @ts-check
/**
 * A sentence before it is said in a language: a code, and what stands in it. Sentences hold others, as
 * "entry 5: its body is malformed: …" does; `check_words.js` has every code in every language. Pure.
 */

/** @typedef {{[name: string]: (values: any) => string}} Sentences */

export class Said {
  /** @param {string} code @param {{[name: string]: unknown}} values */
  constructor(code, values) {
    this.code = code;
    this.values = values;
  }
}

/** @param {string} code @param {{[name: string]: unknown}} [values] */
export function said(code, values = {}) {
  return new Said(code, values);
}

/** Evidence that does not hold. */
export class Wrong extends Error {
  /** @param {string} code @param {{[name: string]: unknown}} [values] */
  constructor(code, values) {
    super(code);
    this.said = said(code, values);
  }
}

/** A check lacks what it needs. */
export class CannotBeMade extends Error {
  /** @param {string} code @param {{[name: string]: unknown}} [values] */
  constructor(code, values) {
    super(code);
    this.said = said(code, values);
  }
}

/** @template T @param {() => T} read @returns {T | Said} what is wrong instead of an error */
export function attempt(read) {
  try {
    return read();
  } catch (error) {
    if (error instanceof Wrong) return error.said;
    throw error;
  }
}

/** @param {Said} what @param {Sentences} sentences @returns {string} */
export function tell(what, sentences) {
  /** @param {unknown} value @returns {unknown} */
  const inner = (value) => {
    if (value instanceof Said) return tell(value, sentences);
    return Array.isArray(value) ? value.map(inner) : value;
  };
  const values = Object.fromEntries(Object.entries(what.values).map(([name, value]) => [name, inner(value)]));
  const sentence = sentences[what.code];
  return sentence ? sentence(values) : what.code;
}
