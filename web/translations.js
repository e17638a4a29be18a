// @ts-check
/** Sentences that came with an entry in every language of the wording: the one that this reader reads. Pure. */

/** @typedef {Readonly<Record<string, string>>} Translations by language tag (RFC 5646) */

/**
 * The page's language first; else what the browser prefers; else English, else whatever there is.
 * @param {Translations} translations
 * @param {readonly string[]} languages the reader's, the preferred first
 */
export function say(translations, languages) {
  const tags = Object.keys(translations);
  for (const wanted of [...languages, "en"]) {
    const whole = tags.find((tag) => tag.toLowerCase() === wanted.toLowerCase());
    const primary = tags.find((tag) => tag.split("-")[0] === wanted.toLowerCase().split("-")[0]);
    const found = whole ?? primary;
    if (found !== undefined) return translations[found] ?? "";
  }
  return Object.values(translations)[0] ?? "";
}
