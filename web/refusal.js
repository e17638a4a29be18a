// @ts-check
/** What the service would not do, said to the person where they are. */

import { set, show, text } from "./dom.js";

/** @param {string} code @param {import("./words.js").Words} words */
export function refusalWords(code, { refused }) {
  return refused[/** @type {keyof typeof refused} */ (code in refused ? code : "other")];
}

/** @param {HTMLElement} element @param {import("./state.js").State} state @param {import("./words.js").Words} words */
export function updateRefusal(element, state, words) {
  show(element, state.refusal !== null);
  if (!state.refusal) return;
  set(element, "data-code", state.refusal.code);
  text(element, refusalWords(state.refusal.code, words));
}
