// @ts-check
/**
 * What somebody outside the house said of the log, as `server/evidence/attested.py` checks it: tokens of time-stamping
 * authorities, words of witnesses. Pure.
 *
 *     attested/57: checkpoint ── consistency.json ──▶ the package's own checkpoint    the same log, RFC 9162 §2.1.4
 *                      ├── timestamp-1.der: an authority saw these bytes at its time    leaves 0 to 56 were there
 *                      └── cosignatures: witnesses saw no other log of that name
 *
 * Whose word counts is not for the package to say: roots and witnesses are those that the person trusts. The signature
 * of a token is not checked on this page, and that is named.
 */

import { parseCanonicalObject, textOf } from "./canonical.js";
import { same } from "./evidence.js";
import { checkNote, fromBase64, hashChildren, MAX_NOTE_SIZE, readCheckpoint } from "./package_entry.js";
import { attempt, CannotBeMade, Said, said, Wrong } from "./said.js";
import { checkImprint } from "./timestamp_token.js";
import { cosignersOf, namesOf, ofOtherLogs, shortOfQuorum, splitCosignatures } from "./witness_policy.js";

/** @typedef {import("./package_entry.js").Checkpoint} Checkpoint */
/** @typedef {import("./package_entry.js").Key} Key */
/** @typedef {import("./package_check.js").Finding} Finding */
/** @typedef {import("./witness_policy.js").Policy} Policy */
/** @typedef {import("./zip_container.js").Content} Content */
/** @typedef {{number: number, leaf_index: number}} PlacedEntry an entry whose place in the log is proven */
/** @typedef {{folders: Map<number, Map<string, Content>>, checkpoint: Checkpoint, key: Key | null,
 *   keys: Key[], entries: PlacedEntry[]}} Outside `folders`: by tree size, the files of each by name;
 *   `keys`: of the log, with earlier ones that it is shown to have had */
/** @typedef {{message: Said, findings: Finding[], unmade: Finding[], passed: boolean}} Checked
 *   `passed`: somebody who is trusted did say something */
/** @typedef {{size: number, name: string, note: Uint8Array<ArrayBuffer>, content: Content}} Word */

const MAX_TOKEN_BYTES = 65_536;
const MAX_SHOWN = 3; // times named in a sentence
const EMPTY_ROOT = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"; // RFC 9162 §2.1.1

/** @returns {Checked} */
function nothingYet() {
  return { message: said("nothing"), findings: [], unmade: [], passed: false };
}

/** @param {string} member @param {Said} what @returns {Finding} */
function at(member, what) {
  return { said: said("at_file", { name: member, what }), member, entry: null };
}

/** Step 12. @param {Outside} outside @param {{roots: boolean, own_roots: boolean}} given whose roots there are @returns {Promise<Checked>} */
export async function checkTimes(outside, { roots, own_roots }) {
  const checked = nothingYet();
  /** @type {Said[]} */
  const claims = [];
  for (const { size, name, note, content } of await wordsOf(outside, "timestamp-", checked)) {
    const token = await content.head(MAX_TOKEN_BYTES + 1);
    const seen = attempt(() => checkImprint(token, note));
    if (seen instanceof Said) {
      checked.findings.push(at(name, seen));
      continue;
    }
    claims.push(said("token_claim", { at: momentOf(seen), size }));
    const why = said(roots || own_roots ? "no_token_reader" : "no_root");
    checked.unmade.push(at(name, said("token_unchecked", { why })));
  }
  if (claims.length === 0 && checked.findings.length === 0) throw new CannotBeMade("no_time_stamp");
  if (!roots) {
    const shown = claims.slice(0, MAX_SHOWN);
    const more = claims.length > MAX_SHOWN;
    checked.message = said("times_unrooted", { count: claims.length, shown, more });
  }
  return checked;
}

/** Step 13. @param {Outside} outside @param {Policy | null} policy @param {Policy | null} own_policy that which the package carries itself @returns {Promise<Checked>} */
export async function checkWitnesses(outside, policy, own_policy) {
  const checked = nothingYet();
  const asked = policy ?? own_policy;
  const named_before =
    policy && outside.keys.some((key) => policy.logs.length > 0 && !ofOtherLogs(policy, key));
  const others = policy && outside.key && !named_before ? ofOtherLogs(policy, outside.key) : null;
  if (others) checked.findings.push(at("vkey", others));
  const names = new Set();
  /** @type {{size: number, named: string[]} | null} */
  let best = null;
  let short = said("no_witness_signed");
  for (const { size, name, note, content } of await wordsOf(outside, "cosignatures", checked)) {
    const data = await content.head(MAX_NOTE_SIZE + 1);
    try {
      const lines = splitCosignatures(data);
      for (const [cosigner] of lines) names.add(cosigner);
      if (asked === null) continue;
      const cosigners = await cosignersOf(lines, textOf(note) ?? "", asked);
      const lacking = shortOfQuorum(asked, cosigners);
      const covers = outside.entries.some(({ leaf_index }) => leaf_index < size);
      if (lacking) short = said("of_log_size", { size, what: lacking });
      else if (!covers) short = said("of_log_size_before", { size });
      else if (best === null || size > best.size) best = { size, named: namesOf(asked, cosigners) };
    } catch (error) {
      if (!(error instanceof Wrong)) throw error;
      checked.findings.push(at(name, error.said));
    }
  }
  if (names.size === 0 && checked.findings.length === 0 && policy === null) {
    throw new CannotBeMade("no_witness");
  }
  if (policy === null) {
    checked.message = said("witnesses_untrusted", { names: [...names].join(", "), enough: best !== null });
    return checked;
  }
  if (best === null || best.named.length === 0) {
    if (shortOfQuorum(policy, []) === null)
      return { ...checked, message: said("no_witness_asked"), passed: true };
    checked.findings.push({ said: short, member: null, entry: null });
    return checked;
  }
  const { size, named } = best;
  const covered = outside.entries.filter(({ leaf_index }) => leaf_index < size);
  const later = outside.entries.filter(({ leaf_index }) => leaf_index >= size);
  checked.message = said("witnesses_passed", { names: named.join(", "), size, span: spanOf(covered) });
  if (later.length > 0) {
    checked.unmade.push({
      said: said("witnesses_later", { span: spanOf(later) }),
      member: null,
      entry: null,
    });
  }
  checked.passed = true;
  return checked;
}

/** The files of that name, each with the note of this log that it is about. @param {Outside} outside @param {string} prefix @param {Checked} checked */
async function wordsOf(outside, prefix, checked) {
  /** @type {Word[]} */
  const words = [];
  for (const size of [...outside.folders.keys()].sort((a, b) => a - b)) {
    const files = outside.folders.get(size) ?? new Map();
    const chosen = [...files.keys()].filter((name) => name.startsWith(prefix)).sort();
    if (chosen.length === 0) continue;
    const folder = `attested/${size}/`;
    let note;
    try {
      note = await openNote(outside, size, files);
      // An older key of the log may have signed it: then the consistency proof alone says whose it is.
      if (outside.key !== null) await checkNote(textOf(note) ?? "", outside.key);
    } catch (error) {
      if (error instanceof Wrong) {
        checked.findings.push(at(`${folder}checkpoint`, error.said));
        continue;
      }
      if (!(error instanceof CannotBeMade) || !note) throw error;
      checked.unmade.push(at(`${folder}checkpoint`, error.said));
    }
    for (const name of chosen) words.push({ size, name: folder + name, note, content: files.get(name) });
  }
  return words;
}

/** The note of a folder, once it is found to be of the package's log. @param {Outside} outside @param {number} size @param {Map<string, Content>} files @returns {Promise<Uint8Array<ArrayBuffer>>} */
async function openNote({ checkpoint: own }, size, files) {
  const data = (await files.get("checkpoint")?.head(MAX_NOTE_SIZE + 1)) ?? new Uint8Array();
  const text = textOf(data);
  if (text === null) throw new Wrong("checkpoint_utf");
  const checkpoint = readCheckpoint(text);
  if (checkpoint.origin !== own.origin || checkpoint.tree_size !== size) {
    throw new Wrong("attested_other", { origin: own.origin, size });
  }
  const proof = files.get("consistency.json");
  if (size === own.tree_size) {
    if (proof) throw new Wrong("consistency_undue");
    if (!same(checkpoint.root, own.root)) throw new Wrong("attested_root");
    return data;
  }
  if (!proof) throw new Wrong("consistency_missing");
  const { first, second, hashes } = parseConsistency(await proof.head(MAX_NOTE_SIZE + 1));
  if (first !== size || second !== own.tree_size) {
    throw new Wrong("consistency_sizes", { size, own: own.tree_size });
  }
  checkConsistency(first, second, checkpoint.root, own.root, hashes);
  return data;
}

/** @param {Uint8Array} data */
function parseConsistency(data) {
  const document = attempt(() => parseCanonicalObject(data));
  if (document instanceof Said) throw new Wrong("consistency_malformed", { what: document });
  const { from: first, to: second, hashes: texts } = document;
  const names = Object.keys(document).sort();
  const whole = names.length === 3 && names.join() === "from,hashes,to";
  const sizes = Number.isInteger(first) && Number.isInteger(second) && first >= 0 && first <= second;
  if (!whole || !sizes || !Array.isArray(texts)) throw new Wrong("consistency_form");
  const hashes = texts.map((text) => {
    const hash = typeof text === "string" ? fromBase64(text) : null;
    if (hash === null) throw new Wrong("consistency_base");
    return hash;
  });
  return { first, second, hashes };
}

/**
 * RFC 9162 §2.1.4.2, the verifier's algorithm, step by step.
 * @param {number} first @param {number} second @param {Uint8Array<ArrayBuffer>} first_root
 * @param {Uint8Array<ArrayBuffer>} second_root @param {Uint8Array<ArrayBuffer>[]} hashes
 */
export function checkConsistency(first, second, first_root, second_root, hashes) {
  if (first > second) throw new Wrong("consistency_backwards", { first, second });
  if (first === 0 || first === second) {
    if (hashes.length > 0) throw new Wrong("consistency_more");
    const root = Array.from(first_root, (byte) => byte.toString(16).padStart(2, "0")).join("");
    const right = first === 0 ? root === EMPTY_ROOT : same(first_root, second_root);
    if (!right) throw new Wrong("two_roots", { first });
    return;
  }
  if (hashes.length === 0) throw new Wrong("consistency_empty");
  const is_power = 2 ** Math.round(Math.log2(first)) === first;
  const [start = first_root, ...path] = is_power ? [first_root, ...hashes] : hashes;
  let fn = first - 1;
  let sn = second - 1;
  const halve = () => {
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  };
  while (fn % 2 === 1) halve();
  let fr = start;
  let sr = start;
  for (const c of path) {
    if (sn === 0) throw new Wrong("consistency_long");
    if (fn % 2 === 1 || fn === sn) {
      fr = hashChildren(c, fr);
      sr = hashChildren(c, sr);
      while (fn % 2 === 0 && fn > 0) halve();
    } else sr = hashChildren(sr, c);
    halve();
  }
  if (sn !== 0) throw new Wrong("consistency_short");
  if (!same(fr, first_root)) throw new Wrong("consistency_older");
  if (!same(sr, second_root)) throw new Wrong("consistency_newer");
}

/** @param {Date} date */
function momentOf(date) {
  return `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** Entries in words: a case's are placed in order, so what is covered is a run from its beginning. @param {readonly PlacedEntry[]} entries */
function spanOf(entries) {
  const first = entries[0]?.number;
  const last = entries.at(-1)?.number;
  return first === undefined ? said("span_none") : said("span", { first, last });
}
