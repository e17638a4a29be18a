// @ts-check
/**
 * How the key of the log follows from earlier ones, as `server/evidence/handover.py` checks it: for each, the entry
 * that names the next, as the last that the key before has signed. Pure.
 */

import { checkConsistency } from "./attested.js";
import { parseCanonicalObject } from "./canonical.js";
import { canonicalBytes, same } from "./evidence.js";
import {
  checkCommitment,
  checkInclusion,
  encodeKey,
  hashLeaf,
  openCheckpoint,
  parseBody,
  parseEnvelope,
  parseKey,
} from "./package_entry.js";
import { Wrong } from "./said.js";

/** @typedef {import("./canonical.js").Json} Json */
/** @typedef {import("./package_entry.js").Checkpoint} Checkpoint */
/** @typedef {import("./package_entry.js").Key} Key */
/** @typedef {{ends: number[], keys: Key[]}} KeyHistory `keys`: the oldest first; `ends`: of each but the newest, the
 *   size of the last checkpoint that it signed */

export const KEYS_FILE = "keys.json";
export const MAX_KEYS_BYTES = 4 << 20;
const MAX_HANDOVERS = 256;
const FIELDS = "body,checkpoint,consistency,envelope,hashes,salt";
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** The only key that may have signed a checkpoint of this size. @param {KeyHistory} history @param {number} tree_size */
export function keyAt({ ends, keys }, tree_size) {
  const place = ends.findIndex((end) => tree_size <= end);
  return /** @type {Key} */ (keys.at(place));
}

/** The keys that lead to the one that signed this tree. Raises Wrong, and CannotBeMade without Ed25519. @param {Uint8Array<ArrayBuffer>} data @param {Key} newest @param {Checkpoint} tree @returns {Promise<KeyHistory>} */
export async function readHistory(data, newest, tree) {
  const document = parseCanonicalObject(data);
  const { handovers } = document;
  const whole = Object.keys(document).sort().join() === "format,handovers,tree_size,version,vkey";
  const ours = document.format === "proofcall-keys" && document.version === 1;
  const fits = document.tree_size === tree.tree_size && document.vkey === encodeKey(newest);
  if (!whole || !ours || !fits || !Array.isArray(handovers)) throw new Wrong("keys_other");
  if (handovers.length === 0 || handovers.length > MAX_HANDOVERS) throw new Wrong("keys_other");
  /** @type {KeyHistory} */
  const history = { ends: [], keys: [] };
  /** @type {Key | null} */
  let due = null;
  for (const handover of handovers) {
    const { end, old_key, new_key } = await openHandover(handover, tree);
    const follows = due === null || encodeKey(due) === encodeKey(old_key);
    if (!follows || end <= (history.ends.at(-1) ?? 0)) throw new Wrong("keys_other");
    history.ends.push(end);
    history.keys.push(old_key);
    due = new_key;
  }
  if (due === null || encodeKey(due) !== encodeKey(newest)) throw new Wrong("keys_other");
  history.keys.push(newest);
  return history;
}

/** @param {Json} handover @param {Checkpoint} tree */
async function openHandover(handover, tree) {
  if (!isObject(handover) || Object.keys(handover).sort().join() !== FIELDS) throw new Wrong("keys_other");
  const { checkpoint: note } = handover;
  if (!isObject(handover.body) || !isObject(handover.envelope) || typeof note !== "string") {
    throw new Wrong("keys_other");
  }
  const envelope_bytes = canonicalBytes(handover.envelope);
  const envelope = parseEnvelope(envelope_bytes);
  if (envelope.case_id !== "house" || envelope.kind !== "key_rotated") throw new Wrong("keys_other");
  const body_bytes = canonicalBytes(handover.body);
  checkCommitment(envelope, body_bytes, bytesOf(handover.salt));
  const body = parseBody(body_bytes);
  if (body.key !== "log") throw new Wrong("keys_other");
  const old_key = parseKey(String(body.old));
  const new_key = parseKey(String(body.new));
  const differ = old_key.name === new_key.name && !same(old_key.public_key, new_key.public_key);
  if (!differ) throw new Wrong("keys_other");
  const last = await openCheckpoint(note, old_key);
  const end = last.tree_size;
  const proof = { leaf_index: end - 1, tree_size: end, hashes: listOf(handover.hashes) };
  if (end === 0 || end >= tree.tree_size) throw new Wrong("keys_other");
  checkInclusion(hashLeaf(envelope_bytes), proof, last.root);
  checkConsistency(end, tree.tree_size, last.root, tree.root, listOf(handover.consistency));
  return { end, old_key, new_key };
}

/** @param {unknown} value @returns {value is Json} */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @param {unknown} value */
function listOf(value) {
  if (!Array.isArray(value)) throw new Wrong("keys_other");
  return value.map(bytesOf);
}

/** @param {unknown} text @returns {Uint8Array<ArrayBuffer>} */
function bytesOf(text) {
  if (typeof text !== "string" || !BASE64.test(text)) throw new Wrong("keys_other");
  const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  if (btoa(String.fromCharCode(...bytes)) !== text) throw new Wrong("keys_other");
  return bytes;
}
