// @ts-check
/**
 * What a package that holds says, entry by entry, in the sentences of the desk's log: it is folded by the same
 * `reduce`. Pure; what an entry names is shown only if it is the file that was sealed.
 */

import { CUSTODY } from "./log_lines.js";
import { Said } from "./said.js";
import { sentenceOf } from "./sentences.js";
import { INITIAL, reduce } from "./state.js";

/** @typedef {import("./package_check.js").Report} Report */
/** @typedef {import("./package_frames.js").BlobReference} BlobReference */
/** @typedef {import("./state.js").State} State */
/** @typedef {import("./words.js").Words} Words */
/** @typedef {import("./protocol.js").Entry} Entry */
/** @typedef {keyof typeof STORY_FILTERS} StoryFilter */
/** @typedef {{number: number, kind: string, at: string, who: string, what: string, body: object | null,
 *   blobs: BlobReference[]}} Line a body of null was erased */

const MISSING = ["gap_started", "gap_ended", "segment_lost", "frame_failed", "attachment_refused"];

/** What somebody wants to read of it. */
export const STORY_FILTERS = Object.freeze({
  // Pieces of recordings and marks of what was read are many, and say little.
  main: (/** @type {Line} */ { kind }) => kind !== "segment_sealed" && kind !== "receipt",
  pictures: (/** @type {Line} */ { kind, blobs }) =>
    kind === "frame_sealed" || blobs.some(({ media_type }) => media_type.startsWith("image/")),
  missing: (/** @type {Line} */ { kind, body }) =>
    MISSING.includes(kind) || kind === "erased" || body === null,
  custody: (/** @type {Line} */ { kind }) => CUSTODY.includes(kind),
  everything: () => true,
});

/**
 * @param {Report} report one that holds
 * @param {Words} words
 * @returns {Line[]}
 */
export function storyOf({ pack }, words) {
  // Whoever reads is none of those who speak.
  /** @type {State} */
  let state = { ...INITIAL, you: { actor_id: "", session_id: "", role: "qa", name: "" } };
  /** @type {{entry: Entry, blobs: BlobReference[]}[]} */
  const told = [];
  for (const { envelope, body, references, place } of pack.parts.values()) {
    if (envelope instanceof Said || place instanceof Said) continue;
    const shown = body instanceof Said ? null : body;
    const entry = /** @type {Entry} */ (
      /** @type {unknown} */ ({ envelope, body: shown, salt: null, hash: "", leaf_index: place })
    );
    try {
      state = reduce(state, { type: "received", message: { type: "entry", entry }, at: 0 });
    } catch {
      // A body that this page does not know: it stands below its line all the same.
    }
    const blobs = references.filter(({ sha256 }) => pack.members.has(`blobs/${sha256}`));
    told.push({ entry, blobs });
  }
  return told.map(({ entry, blobs }) => lineOf(entry, blobs, state, words));
}

/** @param {Entry} entry @param {BlobReference[]} blobs @param {State} state at the end @param {Words} words @returns {Line} */
function lineOf(entry, blobs, state, words) {
  const { number, kind, recorded_at, role, actor_id } = entry.envelope;
  /** @type {string} */
  let what = kind;
  try {
    what = String(sentenceOf(entry, state, words));
  } catch {
    // The kind is its sentence.
  }
  const role_words = /** @type {Record<string, string>} */ (words.role);
  const who = [role_words[role] ?? role, state.known[actor_id]?.name].filter(Boolean).join(" ");
  return { number, kind, at: recorded_at, who, what, body: entry.body, blobs };
}
