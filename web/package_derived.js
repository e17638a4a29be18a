// @ts-check
/**
 * Files of a package that were made from its entries, which must not say anything else; and what was erased. As
 * `server/evidence/derived.py` and `erased_bodies.py` check them. Pure.
 */

import { parseCanonicalObject } from "./canonical.js";
import { canonicalBytes, same } from "./evidence.js";
import { represented } from "./package_entry.js";
import { entryFolder } from "./package_frames.js";
import { attempt, Said, said, Wrong } from "./said.js";

/** @typedef {import("./canonical.js").Json} Json */
/** @typedef {import("./package_entry.js").Envelope} Envelope */
/** @typedef {import("./package_check.js").Finding} Finding */
/** @typedef {{envelope: Envelope, body: Json | null}} Told an entry of custody; a body of null was erased */
/** @typedef {{number: number, reason: string, numbers: Set<number> | null, kinds: Set<string> | null}} Erasure
 *   `numbers` null: of all entries before it; `kinds` null: of every kind */

export const CUSTODY_FILE = "custody.json";
export const PLAYBACK_INDEX = "playback/index.json";
export const CUSTODY_KINDS = ["exported", "played_back", "read", "refused", "viewed"];
export const PLAYBACK_FILE = /^playback\/[1-9][0-9]{0,8}-[A-Za-z0-9_-]{1,64}-[1-9][0-9]{0,8}\.(?:webm|mp4)$/;
const REPORTS = ["report.en.pdf", "report.zh.pdf"];
const PROGRAMS = ["check.html", "verify.pyz"];
const MAX_REASON_CHARACTERS = 120; // shown of a reason; the entry has it whole

/** @param {Uint8Array} data @param {readonly Told[]} entries @returns {Finding[]} */
export function checkCustody(data, entries) {
  const custody = entries.map(({ envelope, body }) => ({
    actor_id: envelope.actor_id,
    body,
    entry: envelope.number,
    kind: envelope.kind,
    recorded_at: envelope.recorded_at,
    role: envelope.role,
  }));
  if (same(data, canonicalBytes({ custody, format: "proofcall-custody", version: 1 }))) return [];
  return [{ said: said("custody_other"), member: CUSTODY_FILE, entry: null }];
}

/**
 * Whether each playback file names its segments.
 * @param {Iterable<string>} members
 * @param {Uint8Array | null} index
 * @param {Map<number, Set<string>>} segments by entry, the files that it names
 * @returns {Finding[]}
 */
export function checkPlayback(members, index, segments) {
  const files = new Set([...members].filter((name) => PLAYBACK_FILE.test(name)));
  /** @param {string} code @param {string} member @param {Json} [values] @returns {Finding} */
  const finding = (code, member, values = {}) => ({
    said: said(code, { name: member, index: PLAYBACK_INDEX, ...values }),
    member,
    entry: null,
  });
  if (index === null) return files.size > 0 ? [finding("playback_no_index", PLAYBACK_INDEX)] : [];
  const listed = attempt(() => parseIndex(index));
  if (listed instanceof Said) return [finding("at_file", PLAYBACK_INDEX, { what: listed })];
  const findings = [...files]
    .filter((name) => !listed.has(name))
    .sort()
    .map((name) => finding("playback_unlisted", name));
  for (const [name, sources] of listed) {
    if (!files.has(name)) findings.push(finding("playback_missing", name));
    const wrong = sources.find(([entry, sha256]) => !segments.get(entry)?.has(sha256));
    if (wrong) findings.push(finding("playback_source", name, { entry: wrong[0] }));
  }
  return findings;
}

/** What people will read, look at and run, and nothing here can compare with the entries. @param {Iterable<string>} members @returns {Finding[]} */
export function uncompared(members) {
  const names = [...members];
  const reports = REPORTS.filter((name) => names.includes(name));
  const films = names.filter((name) => PLAYBACK_FILE.test(name)).length;
  const programs = PROGRAMS.filter((name) => names.includes(name));
  const found = [];
  if (reports.length > 0 || films > 0) found.push(said("told_uncompared", { reports, films }));
  if (programs.length > 0) found.push(said("programs_uncompared", { programs }));
  return found.map((what) => ({ said: what, member: null, entry: null }));
}

/** @param {Uint8Array} data @returns {Map<string, [number, string][]>} */
function parseIndex(data) {
  const { files } = parseCanonicalObject(data);
  /** @type {Map<string, [number, string][]>} */
  const listed = new Map();
  for (const file of Array.isArray(files) ? files : [null]) {
    const { file: name, segments } = isObject(file) ? file : {};
    if (typeof name !== "string" || !Array.isArray(segments) || segments.length === 0) {
      throw new Wrong("index_files");
    }
    listed.set(name, segments.map(parseSegment));
  }
  const told = [...listed.keys()].sort().map((file) => ({
    file,
    segments: (listed.get(file) ?? []).map(([entry, sha256]) => ({ entry, sha256 })),
  }));
  if (!same(canonicalBytes({ files: told, format: "proofcall-playback", version: 1 }), data)) {
    throw new Wrong("index_other");
  }
  return listed;
}

/** @param {unknown} segment @returns {[number, string]} */
function parseSegment(segment) {
  const { entry, sha256 } = isObject(segment) ? segment : {};
  if (!Number.isInteger(entry) || typeof sha256 !== "string") throw new Wrong("index_segment");
  return [entry, sha256];
}

/** @param {unknown} value @returns {value is Json} */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What an entry says of erasing; null for one of another kind, and for one that is malformed: then nothing that is missing is covered. @param {Envelope} envelope @param {Json} body @returns {Erasure | null} */
export function readErased({ kind, number }, body) {
  if (kind !== "erased") return null;
  const { numbers = null, kinds = null, reason = null } = body;
  const some = Array.isArray(numbers) && numbers.length > 0 && numbers.every(Number.isInteger);
  if (numbers !== "all" && !some) return null;
  const of_kinds = Array.isArray(kinds) && kinds.length > 0 && kinds.every((one) => typeof one === "string");
  if (kinds !== null && !of_kinds) return null;
  return {
    number,
    reason: typeof reason === "string" ? reason : represented(reason),
    numbers: numbers === "all" ? null : new Set(numbers),
    kinds: kinds === null ? null : new Set(kinds),
  };
}

/** Whether the body of that entry went with this one. @param {Erasure} erasure @param {Envelope} envelope */
export function covers({ number, numbers, kinds }, envelope) {
  return (
    envelope.number < number &&
    (numbers === null || numbers.has(envelope.number)) &&
    (kinds === null || kinds.has(envelope.kind))
  );
}

/**
 * Step 15: what was erased is gone. What is missing without having been erased is found by step 6.
 * @param {readonly Erasure[]} erasures
 * @param {readonly {envelope: Envelope, missing: boolean}[]} entries
 */
export function checkErasure(erasures, entries) {
  /** @type {Finding[]} */
  const findings = [];
  let gone = 0;
  for (const { envelope, missing } of entries) {
    const covering = erasures.find((erasure) => covers(erasure, envelope));
    if (!covering) continue;
    if (missing) gone += 1;
    else {
      const what = said("erased_is_here", { by: covering.number });
      findings.push({
        said: said("of_entry", { entry: envelope.number, what }),
        member: `${entryFolder(envelope.number)}body.json`,
        entry: envelope.number,
      });
    }
  }
  if (erasures.length === 0) return { message: said("erasure_none"), findings };
  const told = erasures.map(({ number, reason }) =>
    said("erasure_reason", { entry: number, reason: [...reason].slice(0, MAX_REASON_CHARACTERS).join("") }),
  );
  return { message: said("erasure_passed", { gone, told }), findings };
}
