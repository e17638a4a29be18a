// @ts-check
/** The service's wording: which notices, choices, kinds of exceptions and phrases there are, and what they say. */

import { Backoff, PATIENT } from "./backoff.js";
import { say } from "./translations.js";

/** @typedef {import("./protocol.js").Language} Language */
/** @typedef {import("./protocol.js").Role} Role */

/**
 * As signaling/wording.py has it; every mapping in the order in which pages show it.
 * @typedef {{
 *   notices: Record<string, {senders: Role[], to: "customer" | "courier", choices?: string[], minutes?: number | null}>,
 *   choices: Record<string, {wants?: "nothing" | "time" | "text"}>,
 *   exceptions: Record<string, {reporters: Role[], due_after_s: number, notice?: string | null}>,
 *   decisions: Record<string, {wants_remark?: boolean}>,
 *   hand_overs: string[],
 *   phrases: Partial<Record<Role, string[]>>,
 * }} Rules
 */
/** @typedef {{rules: Rules, texts: Record<string, Record<string, string | string[]>>}} Wording */

const KEY = "proofcall.wording";

/** @param {Wording | null} wording @param {string} key such as `exception.damage` @param {Language} language */
export function wordOf(wording, key, language) {
  /** @type {Record<string, string>} */
  const said = {};
  for (const [tag, texts] of Object.entries(wording?.texts ?? {})) {
    const text = texts[key];
    if (typeof text === "string") said[tag] = text;
  }
  return say(said, [language]);
}

/** What a person of this role may report, in the order of the wording. @param {Wording | null} wording @param {Role} role */
export function reportable(wording, role) {
  return codes(wording?.rules.exceptions, ({ reporters }) => reporters.includes(role));
}

/** What a person of this role may announce. @param {Wording | null} wording @param {Role} role */
export function announceable(wording, role) {
  return codes(wording?.rules.notices, ({ senders }) => senders.includes(role));
}

/** A text without what does not change its meaning: case, width, punctuation, space at its ends. @param {string} text */
function plainWords(text) {
  const folded = text.normalize("NFKC").toLowerCase();
  return folded
    .replaceAll(/[\p{P}\p{Z}\p{S}\p{C}]/gu, " ")
    .trim()
    .replaceAll(/ +/g, " ");
}

/**
 * The choice that a text plainly means: its number from 1, or one of its words, as signaling/wording.py reads it.
 * @param {Wording | null} wording
 * @param {readonly string[]} choices
 * @param {string} text
 * @returns {string | null}
 */
export function choiceMeant(wording, choices, text) {
  const plain = plainWords(text);
  if (/^\d{1,2}$/.test(plain)) return choices[Number(plain) - 1] ?? null;
  const means = (/** @type {string} */ choice) =>
    Object.values(wording?.texts ?? {}).some((texts) =>
      [texts[`choice.${choice}`] ?? [], texts[`choice.${choice}.words`] ?? []]
        .flat()
        .some((word) => plainWords(word) === plain),
    );
  return choices.find(means) ?? null;
}

/** @template T @param {Record<string, T> | undefined} rules @param {(rule: T) => boolean} fits */
function codes(rules, fits) {
  return Object.entries(rules ?? {})
    .filter(([, rule]) => fits(rule))
    .map(([code]) => code);
}

/** @param {unknown} value @returns {Wording | null} null for what is no wording */
function wordingIn(value) {
  const wording = /** @type {Wording | null} */ (value);
  return wording?.rules?.notices && wording.rules.exceptions && wording.texts ? wording : null;
}

/** Brings the wording, now and whenever the network is back; what was brought once is there without network too. */
export class WordingSource {
  /** @type {Wording | null} */
  current = kept();
  #onChange;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #again;
  #fresh = false;
  #backoff = new Backoff(Math.random, PATIENT);

  /** @param {() => void} onChange */
  constructor(onChange) {
    this.#onChange = onChange;
    addEventListener("online", () => this.#fresh || this.load());
    this.load();
  }

  async load() {
    clearTimeout(this.#again);
    try {
      const response = await fetch("/api/wording");
      const wording = response.ok ? wordingIn(await response.json()) : null;
      if (wording === null) throw new TypeError("no wording");
      this.#fresh = true;
      this.current = wording;
      keep(wording);
      this.#onChange();
    } catch {
      this.#again = setTimeout(() => this.load(), this.#backoff.next() * 1000);
    }
  }
}

/** @returns {Wording | null} */
function kept() {
  try {
    return wordingIn(JSON.parse(localStorage.getItem(KEY) ?? "null"));
  } catch {
    return null;
  }
}

/** @param {Wording} wording */
function keep(wording) {
  try {
    localStorage.setItem(KEY, JSON.stringify(wording));
  } catch {
    // then it is there while the network is
  }
}
