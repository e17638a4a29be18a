// @ts-check
/**
 * The parts of a package, parsed as `server/evidence` parses them, each with its one spelling: envelopes, bodies,
 * proofs, the checkpoint and the key. What is wrong is said in the same words as there. Pure.
 */

import { parseCanonicalObject, textOf } from "./canonical.js";
import { fromHex, same, toHex } from "./evidence.js";
import { hashNow } from "./hashing.js";
import { attempt, CannotBeMade, Said, Wrong } from "./said.js";

/** @typedef {import("./canonical.js").Json} Json */
/** @typedef {import("./zip_container.js").Content} Content */
/** @typedef {Uint8Array<ArrayBuffer>} Bytes */
/** @typedef {{kind: string, case_id: string, number: number, previous_hash: string, role: string, actor_id: string,
 *   session_id: string, recorded_at: string, commitment: string}} Envelope */
/** @typedef {{origin: string, tree_size: number, root: Bytes}} Checkpoint */
/** @typedef {{name: string, type: number, public_key: Bytes, key_hash: Bytes}} Key */
/** @typedef {{leaf_index: number, tree_size: number, hashes: Bytes[]}} Proof */

export const FIRST_PREVIOUS_HASH = "0".repeat(64);
export const MAX_NOTE_SIZE = 65_536;
const SALT_BYTES = 32;
const MAX_BODY_BYTES = 65_535; // C2SP tlog-tiles frames an entry with a 16-bit length
const MAX_PROOF_LENGTH = 64; // hashes; a log of 2^64 leaves
const MAX_TREE_SIZE = 2 ** 53 - 1;
export const KEY_HASH_BYTES = 4; // C2SP signed-note
// C2SP signed-note, "Signature types".
const ED25519 = 1;
const COSIGNATURE = 4;
const PUBLIC_KEY_BYTES = 32;
const LEAF = Uint8Array.of(0); // RFC 9162 §2.1.1
const NODE = Uint8Array.of(1);

const ID = "[A-Za-z0-9_-]{1,64}";
/** In canonical order; the value as it stands between its quotes. */
const FIELDS = Object.entries({
  actor_id: ID,
  case_id: ID,
  commitment: "[0-9a-f]{64}",
  kind: "[a-z][a-z0-9_]{0,63}",
  number: "[1-9][0-9]{0,14}",
  previous_hash: "[0-9a-f]{64}",
  recorded_at: "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z",
  role: "[a-z][a-z0-9_]{0,31}",
  session_id: "[A-Za-z0-9_-]{0,64}",
  version: "1",
});
const BARE = new Set(["number", "version"]);
const ENVELOPE = new RegExp(
  `^\\{${FIELDS.map(([name, value]) => (BARE.has(name) ? `"${name}":(${value})` : `"${name}":"(${value})"`)).join(",")}\\}$`,
);
// What Python calls a space: JavaScript's list is another one.
const SPACES = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const ORIGIN = new RegExp(`^[^${SPACES}+\\x00-\\x1f\\x7f]{1,255}$`, "u");
const SIGNATURE_LINE = new RegExp(`^— ([^${SPACES}+]+) ([A-Za-z0-9+/]+={0,2})$`, "u");
const PROOF =
  /^\{"hashes":\[(?:"([0-9a-f",]+)")?\],"leaf_index":(0|[1-9][0-9]{0,14}),"tree_size":(0|[1-9][0-9]{0,14})\}$/;

/**
 * A file of the package, parsed; or what is wrong with it.
 * @template T
 * @param {(data: Bytes) => T} parse
 * @param {Content | undefined} content
 * @returns {T | Said}
 */
export function parsed(parse, content) {
  return attempt(() => {
    if (!content) throw new Wrong("file_missing");
    if (!content.bytes) throw new Wrong("file_too_long", { size: content.size });
    return parse(content.bytes);
  });
}

/** @param {Bytes} data @returns {Envelope} */
export function parseEnvelope(data) {
  const match = ENVELOPE.exec(textOf(data) ?? "");
  if (!match) throw complaintOf(data);
  const [, actor_id, case_id, commitment, kind, number, previous_hash, recorded_at, role, session_id] =
    /** @type {string[]} */ (/** @type {unknown} */ (match));
  if (!isMoment(recorded_at ?? "")) throw new Wrong("envelope_moment", { at: recorded_at });
  return /** @type {Envelope} */ ({
    kind,
    case_id,
    number: Number(number),
    previous_hash,
    role,
    actor_id,
    session_id,
    recorded_at,
    commitment,
  });
}

/** @param {string} text */
function isMoment(text) {
  const at = new Date(text);
  return !text.startsWith("0000") && !Number.isNaN(at.getTime()) && at.toISOString() === text;
}

/** What is wrong with an envelope that the regular expression refused. @param {Bytes} data */
function complaintOf(data) {
  const fields = attempt(() => parseCanonicalObject(data));
  if (fields instanceof Said) return new Wrong("envelope_malformed", { what: fields });
  for (const [name, pattern] of FIELDS) {
    if (!Object.hasOwn(fields, name)) return new Wrong("envelope_lacks", { name });
    const value = fields[name];
    const right_type = typeof value === (BARE.has(name) ? "number" : "string");
    if (!right_type || !new RegExp(`^(?:${pattern})$`).test(String(value))) {
      return new Wrong("envelope_field", { name, value: quoted([...shown(value)].slice(0, 80).join("")) });
    }
  }
  const own = new Set(FIELDS.map(([name]) => name));
  const others = Object.keys(fields).filter((name) => !own.has(name));
  return new Wrong("envelope_foreign", { names: `[${others.sort().map(quoted).join(", ")}]` });
}

/** A value as Python's str() shows it. @param {unknown} value @returns {string} */
function shown(value) {
  if (typeof value === "string") return value;
  return represented(value);
}

/** @param {unknown} value @returns {string} */
export function represented(value) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "string") return quoted(value);
  if (Array.isArray(value)) return `[${value.map(represented).join(", ")}]`;
  if (typeof value === "object") {
    const object = /** @type {Json} */ (value);
    const items = Object.keys(object).sort();
    return `{${items.map((name) => `${quoted(name)}: ${represented(object[name])}`).join(", ")}}`;
  }
  return String(value);
}

/** A string in quotes as Python's repr() shows it: nothing of it may be taken for something else. @param {string} text */
export function quoted(text) {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const inner = Array.from(text, (one) => {
    if (one === quote || one === "\\") return `\\${one}`;
    if (one === "\n") return "\\n";
    if (one === "\r") return "\\r";
    if (one === "\t") return "\\t";
    if (one === " " || !/[\p{C}\p{Z}]/u.test(one)) return one;
    const code = one.codePointAt(0) ?? 0;
    if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
    return code < 0x10000
      ? `\\u${code.toString(16).padStart(4, "0")}`
      : `\\U${code.toString(16).padStart(8, "0")}`;
  }).join("");
  return `${quote}${inner}${quote}`;
}

/** @param {Envelope} envelope @param {{case_id: string, number: number, previous_hash: string}} due */
export function checkSuccessor(envelope, { case_id, number, previous_hash }) {
  if (envelope.case_id !== case_id) throw new Wrong("another_case", { is: envelope.case_id, case_id });
  if (envelope.number !== number) throw new Wrong("another_number", { is: envelope.number, number });
  if (envelope.previous_hash !== previous_hash) throw new Wrong("no_successor", { before: number - 1 });
}

/** @param {Bytes} data @returns {Json} */
export function parseBody(data) {
  if (data.length > MAX_BODY_BYTES) {
    throw new Wrong("body_too_long", { size: data.length, limit: MAX_BODY_BYTES });
  }
  const body = attempt(() => parseCanonicalObject(data));
  if (body instanceof Said) throw new Wrong("body_malformed", { what: body });
  return body;
}

/** Raises Wrong unless salt and body are those that the envelope commits to. @param {Envelope} envelope @param {Bytes} body @param {Bytes} salt */
export function checkCommitment(envelope, body, salt) {
  if (salt.length !== SALT_BYTES) throw new Wrong("salt_size", { size: salt.length, due: SALT_BYTES });
  if (toHex(hashNow(salt, body)) !== envelope.commitment) throw new Wrong("commitment");
}

/** @param {Bytes} data @returns {Proof} */
export function parseProof(data) {
  const match = PROOF.exec(textOf(data) ?? "");
  if (!match) throw new Wrong("proof_form");
  const texts = match[1] === undefined ? [] : match[1].split('","');
  if (texts.length > MAX_PROOF_LENGTH) throw new Wrong("proof_many", { limit: MAX_PROOF_LENGTH });
  if (!texts.every((text) => /^([0-9a-f]{2})*$/.test(text))) throw new Wrong("proof_hex");
  if (!texts.every((text) => text.length === 64)) throw new Wrong("proof_digits", { digits: 64 });
  return { leaf_index: Number(match[2]), tree_size: Number(match[3]), hashes: texts.map(fromHex) };
}

/** @param {Uint8Array} data */
export function hashLeaf(data) {
  return hashNow(LEAF, data);
}

/** @param {Uint8Array} left @param {Uint8Array} right */
export function hashChildren(left, right) {
  return hashNow(NODE, left, right);
}

/**
 * RFC 9162 §2.1.3.2, the verifier's algorithm, step by step.
 * @param {Bytes} leaf_hash @param {Proof} proof @param {Bytes} root
 */
export function checkInclusion(leaf_hash, { leaf_index, tree_size, hashes }, root) {
  if (leaf_index >= tree_size) throw new Wrong("no_such_leaf", { leaf_index, tree_size });
  // Halved, not shifted: the shifts of a Number end at 32 bits.
  let fn = leaf_index;
  let sn = tree_size - 1;
  let r = leaf_hash;
  const halve = () => {
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  };
  for (const p of hashes) {
    if (sn === 0) throw new Wrong("inclusion_long");
    if (fn % 2 === 1 || fn === sn) {
      r = hashChildren(p, r);
      while (fn % 2 === 0 && fn > 0) halve();
    } else r = hashChildren(r, p);
    halve();
  }
  if (sn !== 0) throw new Wrong("inclusion_short");
  if (!same(r, root)) throw new Wrong("inclusion_root");
}

/** Strict: one value has one spelling. @param {string} text @returns {Bytes | null} */
export function fromBase64(text) {
  try {
    const decoded = atob(text);
    if (btoa(decoded) !== text) return null;
    return Uint8Array.from(decoded, (character) => character.charCodeAt(0));
  } catch {
    return null;
  }
}

/** @param {Bytes} data @returns {Checkpoint} */
export function parseCheckpointFile(data) {
  const text = textOf(data);
  if (text === null) throw new Wrong("checkpoint_utf");
  return readCheckpoint(text);
}

/** What a note says, its signatures not looked at. @param {string} note @returns {Checkpoint} */
export function readCheckpoint(note) {
  const lines = splitNote(note).text.split("\n");
  if (lines.length !== 4 || lines[3] !== "") throw new Wrong("checkpoint_lines");
  const [origin = "", size = "", root = ""] = lines;
  if (!ORIGIN.test(origin)) {
    throw new Wrong("checkpoint_origin", { origin: quoted([...origin].slice(0, 80).join("")) });
  }
  if (!/^(0|[1-9][0-9]{0,15})$/.test(size) || Number(size) > MAX_TREE_SIZE) {
    throw new Wrong("checkpoint_size", { size: quoted([...size].slice(0, 32).join("")) });
  }
  const root_hash = fromBase64(root);
  if (!root_hash) throw new Wrong("checkpoint_root");
  if (root_hash.length !== 32) throw new Wrong("checkpoint_root_size");
  return { origin, tree_size: Number(size), root: root_hash };
}

/** The signed text, with its last line end, and who signed; nothing is verified. @param {string} note @returns {{text: string, signatures: [string, Bytes][]}} */
export function splitNote(note) {
  if (note.length > MAX_NOTE_SIZE && [...note].length > MAX_NOTE_SIZE) throw new Wrong("note_long");
  // C2SP signed-note: "followed by a blank line, and then by one or more signature lines".
  const blank = note.lastIndexOf("\n\n");
  if (blank < 0 || blank + 2 >= note.length || !note.endsWith("\n")) throw new Wrong("note_form");
  const signatures = note
    .slice(blank + 2, -1)
    .split("\n")
    .map(parseSignatureLine);
  return { text: note.slice(0, blank + 1), signatures };
}

/** Key name, and key hash and signature, of a line without its line end. @param {string} line @returns {[string, Bytes]} */
export function parseSignatureLine(line) {
  const match = SIGNATURE_LINE.exec(line);
  if (!match) throw new Wrong("note_line");
  const signature = fromBase64(match[2] ?? "");
  if (!signature) throw new Wrong("note_signature");
  if (signature.length <= KEY_HASH_BYTES) throw new Wrong("note_signature_short");
  return [match[1] ?? "", signature];
}

/** Raises Wrong if the note carries a signature of this key that does not hold; one that others alone signed passes. @param {string} note @param {Key} key */
export async function checkNote(note, key) {
  const { text, signatures } = splitNote(note);
  await checkOwn(text, signatures, key);
}

/** How many signatures of the key there are, each of which holds. @param {string} text @param {[string, Bytes][]} signatures @param {Key} key */
async function checkOwn(text, signatures, key) {
  const own = signatures.filter(
    ([name, data]) => name === key.name && same(data.subarray(0, KEY_HASH_BYTES), key.key_hash),
  );
  for (const [name, data] of own) {
    const signed = new TextEncoder().encode(text);
    if (!(await ed25519Holds(key.public_key, data.slice(KEY_HASH_BYTES), signed))) {
      throw new Wrong("signature", { name });
    }
  }
  return own.length;
}

/**
 * What a note says; raises like `openNote`.
 * @param {string} note
 * @param {Key} key
 */
export async function openCheckpoint(note, key) {
  const checkpoint = readCheckpoint(note);
  await openNote(note, key);
  if (checkpoint.origin !== key.name) {
    throw new Wrong("checkpoint_of_another", { origin: checkpoint.origin, name: key.name });
  }
  return checkpoint;
}

/** The text of a signed note. Raises Wrong unless the key signed it: signatures of others are passed over. @param {string} note @param {Key} key */
export async function openNote(note, key) {
  const { text, signatures } = splitNote(note);
  if ((await checkOwn(text, signatures, key)) === 0) throw new Wrong("not_signed", { key: encodeKey(key) });
  return text;
}

/** @param {Bytes} public_key @param {Bytes} signature @param {Bytes} data @returns {Promise<boolean>} raises CannotBeMade */
export async function ed25519Holds(public_key, signature, data) {
  const subtle = globalThis.crypto?.subtle;
  if (!subtle) throw new CannotBeMade("no_webcrypto");
  let key;
  try {
    key = await subtle.importKey("raw", public_key, { name: "Ed25519" }, false, ["verify"]);
  } catch (error) {
    if (error instanceof DOMException && error.name === "NotSupportedError") {
      throw new CannotBeMade("no_ed25519");
    }
    return false;
  }
  return subtle.verify({ name: "Ed25519" }, key, signature, data);
}

/** @param {Bytes} data @returns {Key} */
export function parseKeyFile(data) {
  const text = textOf(data);
  if (text === null) throw new Wrong("key_utf");
  if (!text.endsWith("\n")) throw new Wrong("key_line");
  return parseKey(text.slice(0, -1));
}

/** The key of a log: `<name>+<key hash>+<base64(0x01 || public key)>`. @param {string} text @returns {Key} */
export function parseKey(text) {
  return parseVkey(text, ED25519);
}

/** The key of a witness: the same with 0x04. @param {string} text @returns {Key} */
export function parseWitnessKey(text) {
  return parseVkey(text, COSIGNATURE);
}

/** @param {string} text @param {number} type @returns {Key} */
function parseVkey(text, type) {
  const first = text.indexOf("+");
  const second = text.indexOf("+", first + 1);
  const name = text.slice(0, first);
  const digits = text.slice(first + 1, second);
  if (first < 0 || second < 0 || !ORIGIN.test(name) || !/^[0-9a-f]{8}$/.test(digits)) {
    throw new Wrong("key_form");
  }
  const decoded = fromBase64(text.slice(second + 1));
  if (!decoded) throw new Wrong("key_base64");
  const known = decoded[0] === ED25519 || decoded[0] === COSIGNATURE;
  if (decoded.length !== 1 + PUBLIC_KEY_BYTES || !known) throw new Wrong("key_kind");
  if (decoded[0] !== type) throw new Wrong(type === ED25519 ? "key_of_witness" : "key_of_log");
  const key_hash = hashNow(new TextEncoder().encode(`${name}\n`), decoded).slice(0, KEY_HASH_BYTES);
  if (toHex(key_hash) !== digits) throw new Wrong("key_hash");
  return { name, type, public_key: decoded.slice(1), key_hash };
}

/** @param {Key} key */
export function encodeKey(key) {
  const material = btoa(String.fromCharCode(key.type, ...key.public_key));
  return `${key.name}+${toHex(key.key_hash)}+${material}`;
}
