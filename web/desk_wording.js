// @ts-check
/** What can be said and decided at the desk: the service's own wording, fetched once (PROTOCOL.md, `GET /api/wording`). */

/** @typedef {import("./translations.js").Translations} Translations */
/**
 * @typedef {{
 *   rules: {
 *     notices: Record<string, {senders: readonly string[], choices?: readonly string[]}>,
 *     decisions: Record<string, {wants_remark?: boolean}>,
 *     phrases: Record<string, readonly string[]>,
 *   },
 *   texts: Record<string, Record<string, string | readonly string[]>>,
 * }} Wording
 */
/** @typedef {{code: string, label: Translations, wants_remark: boolean}} Word */

/** A text of the wording in every language that has it. @param {Wording} wording @param {string} key @returns {Translations} */
export function textOf({ texts }, key) {
  /** @type {Record<string, string>} */
  const said = {};
  for (const [tag, language] of Object.entries(texts)) {
    const told = language[key];
    if (typeof told === "string") said[tag] = told;
  }
  return said;
}

/** @param {Wording} wording @returns {Word[]} in the order of the rules */
export function decisionsOf(wording) {
  return Object.entries(wording.rules.decisions).map(([code, { wants_remark = false }]) => ({
    code,
    label: textOf(wording, `decision.${code}`),
    wants_remark,
  }));
}

/** The notices that a role may send. @param {Wording} wording @param {string} role @returns {Word[]} */
export function noticesOf(wording, role) {
  return Object.entries(wording.rules.notices)
    .filter(([, { senders }]) => senders.includes(role))
    .map(([code]) => ({ code, label: textOf(wording, `notice.${code}`), wants_remark: false }));
}

/** @param {Wording} wording @param {string} role @returns {Word[]} */
export function phrasesOf(wording, role) {
  return (wording.rules.phrases[role] ?? []).map((code) => ({
    code,
    label: textOf(wording, `phrase.${code}`),
    wants_remark: false,
  }));
}
