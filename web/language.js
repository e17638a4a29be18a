// @ts-check
/** The language of this page: the browser's, until the person switches. */

import { languageOf, WORDS } from "./words.js";

/** @typedef {import("./protocol.js").Language} Language */

const KEY = "proofcall.language";

/** @returns {Language} */
function first() {
  try {
    const chosen = localStorage.getItem(KEY);
    if (chosen === "zh" || chosen === "en") return chosen;
  } catch {
    // no storage: the browser's language it is
  }
  return languageOf(navigator.languages);
}

export class PageLanguage {
  /** @type {Language} */
  #language = first();
  /** @type {() => void} */
  onChange = () => {};

  constructor() {
    this.#apply();
  }

  get language() {
    return this.#language;
  }

  get words() {
    return WORDS[this.#language];
  }

  switch() {
    this.#language = this.#language === "zh" ? "en" : "zh";
    try {
      localStorage.setItem(KEY, this.#language);
    } catch {
      // chosen for this visit
    }
    this.#apply();
    this.onChange();
  }

  #apply() {
    document.documentElement.lang = this.#language === "zh" ? "zh-Hans" : "en";
  }
}
