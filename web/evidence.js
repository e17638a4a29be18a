// @ts-check
/**
 * The proof of one entry, checked here and not asked from the server.
 *
 *     body ── salt ──► commitment ─┐                      ┌─ SHA-256 of the picture's bytes
 *     envelope (RFC 8785) ─────────┴─► entry hash ─► next entry's previous_hash
 *            └─► leaf hash (RFC 9162 §2.1.1) ─ inclusion proof ─► root ─ signed checkpoint (C2SP signed note)
 *
 * `proofSteps` yields the state of each step as it is reached. A step that cannot be made here is named
 * "unavailable" with the reason, never passed over.
 */

/** @typedef {import("./protocol.js").Entry} Entry */
/** @typedef {import("./api.js").Proof} Proof */
/** @typedef {"envelope" | "chain" | "body" | "inclusion" | "signature" | "blob"} StepName */
/** @typedef {"waiting" | "running" | "passed" | "failed" | "unavailable"} StepState */
/** @typedef {{step: StepName, state: StepState, detail: string}} Step */

/** The bytes or the text are not what they should be. */
export class MalformedEvidence extends Error {
  code = "malformed_evidence";
}

/** The bytes are not to be had here, for a reason that the page has words for. */
export class NotHere extends Error {
  /** @param {string} code */
  constructor(code) {
    super(code);
    this.code = code;
  }
}

const LARGEST_INTEGER = 2 ** 53 - 1;
const utf8 = new TextEncoder();

/**
 * RFC 8785 for what bodies and envelopes may hold: no floats, integers below 2^53.
 * @param {unknown} value
 * @returns {string}
 */
export function canonicalJson(value) {
  if (value === null || typeof value === "boolean") return JSON.stringify(value);
  if (typeof value === "number") {
    if (!Number.isInteger(value) || Math.abs(value) > LARGEST_INTEGER) {
      throw new MalformedEvidence("a number that is not an integer below 2^53");
    }
    return JSON.stringify(value === 0 ? 0 : value);
  }
  if (typeof value === "string") {
    // §3.2.2.2: a lone surrogate has no UTF-8 form.
    if (/[\ud800-\udfff]/u.test(value)) throw new MalformedEvidence("a string with a lone surrogate");
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value === "object") {
    // §3.2.3: sorted by UTF-16 code units, which is what sort() compares.
    const names = Object.keys(value).sort();
    const object = /** @type {Record<string, unknown>} */ (value);
    return `{${names.map((name) => `${canonicalJson(name)}:${canonicalJson(object[name])}`).join(",")}}`;
  }
  throw new MalformedEvidence(`${typeof value} is not JSON`);
}

/** @param {unknown} value @returns {Uint8Array<ArrayBuffer>} */
export function canonicalBytes(value) {
  return /** @type {Uint8Array<ArrayBuffer>} */ (utf8.encode(canonicalJson(value)));
}

/** @param {...(Uint8Array<ArrayBuffer>)} parts @returns {Promise<Uint8Array<ArrayBuffer>>} */
export async function sha256(...parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", whole));
}

/** @param {Uint8Array} bytes */
export function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {string} hex @returns {Uint8Array<ArrayBuffer>} */
export function fromHex(hex) {
  if (!/^([0-9a-f]{2})*$/.test(hex)) throw new MalformedEvidence("not lowercase hexadecimal");
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** @param {string} text @returns {Uint8Array<ArrayBuffer>} */
export function fromBase64(text) {
  let decoded;
  try {
    decoded = atob(text);
  } catch {
    throw new MalformedEvidence("not base64");
  }
  // Strict: one value has one spelling, or a changed character could go unnoticed.
  if (btoa(decoded) !== text) throw new MalformedEvidence("not the base64 of its value");
  return Uint8Array.from(decoded, (character) => character.charCodeAt(0));
}

/** @param {Uint8Array} a @param {Uint8Array} b */
export function same(a, b) {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** @param {import("./protocol.js").Envelope} envelope */
export async function entryHash(envelope) {
  return toHex(await sha256(canonicalBytes(envelope)));
}

/** @param {string} salt @param {import("./protocol.js").Body} body */
export async function commitmentOf(salt, body) {
  return toHex(await sha256(fromHex(salt), canonicalBytes(body)));
}

/**
 * RFC 9162 §2.1.3.2, the verifier's algorithm, step by step.
 * @param {{leaf_hash: Uint8Array<ArrayBuffer>, leaf_index: number, tree_size: number, hashes: Uint8Array<ArrayBuffer>[]}} proof
 * @returns {Promise<Uint8Array<ArrayBuffer>>} the root that the proof leads to
 */
export async function rootFromInclusionProof({ leaf_hash, leaf_index, tree_size, hashes }) {
  if (!Number.isSafeInteger(leaf_index) || leaf_index < 0 || leaf_index >= tree_size) {
    throw new MalformedEvidence("the leaf lies outside the tree");
  }
  const node = new Uint8Array([1]);
  // BigInt, because the shifts of a Number end at 32 bits.
  let fn = BigInt(leaf_index);
  let sn = BigInt(tree_size - 1);
  let root = leaf_hash;
  for (const hash of hashes) {
    if (sn === 0n) throw new MalformedEvidence("the proof is longer than its tree is high");
    if (fn & 1n || fn === sn) {
      root = await sha256(node, hash, root);
      while (!(fn & 1n) && fn !== 0n) {
        fn >>= 1n;
        sn >>= 1n;
      }
    } else {
      root = await sha256(node, root, hash);
    }
    fn >>= 1n;
    sn >>= 1n;
  }
  if (sn !== 0n) throw new MalformedEvidence("the proof is shorter than its tree is high");
  return root;
}

/** @param {import("./protocol.js").Envelope} envelope */
export async function leafHash(envelope) {
  return sha256(new Uint8Array([0]), canonicalBytes(envelope));
}

/**
 * C2SP signed note with a C2SP tlog checkpoint as its text.
 * @typedef {{origin: string, tree_size: number, root: Uint8Array<ArrayBuffer>, text: string,
 *   signatures: {name: string, key_hash: Uint8Array<ArrayBuffer>, signature: Uint8Array<ArrayBuffer>}[]}} Checkpoint
 */

/**
 * C2SP signed note: the text with its last line end, and who signed it.
 * @typedef {{text: string,
 *   signatures: {name: string, key_hash: Uint8Array<ArrayBuffer>, signature: Uint8Array<ArrayBuffer>}[]}} Note
 */

/** @param {string} note @returns {Note} */
function parseNote(note) {
  const split = note.lastIndexOf("\n\n");
  if (split < 0 || !note.endsWith("\n")) throw new MalformedEvidence("not a signed note");
  const signatures = note
    .slice(split + 2, -1)
    .split("\n")
    .map((line) => {
      const match = /^— ([^\s+]+) (\S+)$/.exec(line);
      if (!match) throw new MalformedEvidence("not a signature line");
      const bytes = fromBase64(match[2] ?? "");
      if (bytes.length <= 4) throw new MalformedEvidence("a signature is too short");
      return { name: match[1] ?? "", key_hash: bytes.slice(0, 4), signature: bytes.slice(4) };
    });
  return { text: note.slice(0, split + 1), signatures };
}

/** @param {string} note @returns {Checkpoint} */
export function parseCheckpoint(note) {
  const { text, signatures } = parseNote(note);
  const [origin = "", size = "", root = "", ...rest] = text.slice(0, -1).split("\n");
  if (origin === "" || !/^(0|[1-9][0-9]{0,15})$/.test(size) || rest.length > 0) {
    throw new MalformedEvidence("not a checkpoint of three lines");
  }
  const root_bytes = fromBase64(root);
  if (root_bytes.length !== 32) throw new MalformedEvidence("a root has 32 bytes");
  return { origin, tree_size: Number(size), root: root_bytes, text, signatures };
}

/**
 * `name+hash+base64(0x01 || public key)`, C2SP signed-note §signature types: 1 is Ed25519.
 * @param {string} vkey
 */
export function parseVkey(vkey) {
  const match = /^([^+\s]+)\+([0-9a-f]{8})\+(\S+)$/.exec(vkey);
  const bytes = fromBase64(match?.[3] ?? "");
  if (!match || bytes.length !== 33 || bytes[0] !== 1)
    throw new MalformedEvidence("not an Ed25519 verifier key");
  return {
    name: match[1] ?? "",
    key_hash: fromHex(match[2] ?? ""),
    public_key: bytes.slice(1),
    typed_key: bytes,
  };
}

/**
 * @param {Checkpoint} checkpoint
 * @param {string} vkey
 * @returns {Promise<boolean | null>} null when this browser knows no Ed25519
 */
export async function signatureHolds(checkpoint, vkey) {
  return parseVkey(vkey).name === checkpoint.origin ? noteHolds(checkpoint, vkey) : false;
}

/** Whether the hash in a verifier key is that of its name and key. @param {string} vkey */
async function keyFits(vkey) {
  const key = parseVkey(vkey);
  const named = /** @type {Uint8Array<ArrayBuffer>} */ (utf8.encode(key.name));
  const expected = (await sha256(named, new Uint8Array([10]), key.typed_key)).slice(0, 4);
  return same(expected, key.key_hash);
}

/**
 * Whether the key signed the note: each signature under its name has to hold, others are passed over.
 * @param {Note} note
 * @param {string} vkey
 * @returns {Promise<boolean | null>} null when this browser knows no Ed25519
 */
async function noteHolds(note, vkey) {
  const key = parseVkey(vkey);
  if (!(await keyFits(vkey))) return false;
  const own = note.signatures.filter(
    ({ name, key_hash }) => name === key.name && same(key_hash, key.key_hash),
  );
  const text = /** @type {Uint8Array<ArrayBuffer>} */ (utf8.encode(note.text));
  const public_key = await ed25519Key(key.public_key);
  if (public_key === null) return null;
  for (const { signature } of own) {
    if (!(await crypto.subtle.verify({ name: "Ed25519" }, public_key, signature, text))) return false;
  }
  return own.length > 0;
}

/**
 * @param {Uint8Array<ArrayBuffer>} public_key
 * @returns {Promise<CryptoKey | null>} null when this browser knows no Ed25519
 */
async function ed25519Key(public_key) {
  try {
    return await crypto.subtle.importKey("raw", public_key, { name: "Ed25519" }, false, ["verify"]);
  } catch (error) {
    if (error instanceof DOMException && error.name === "NotSupportedError") return null;
    throw new MalformedEvidence("not a public key of Ed25519");
  }
}

/** The blob that a body refers to, if it does. @param {import("./protocol.js").Body | null} body */
export function blobOf(body) {
  const blob = body?.blob;
  return blob && typeof blob.sha256 === "string"
    ? /** @type {import("./protocol.js").BlobReference} */ (blob)
    : null;
}

/**
 * @typedef {{
 *   proof: (number: number) => Promise<Proof>,
 *   blob: (sha256: string) => Promise<ArrayBuffer>,
 *   pinnedVkey: (vkey: string) => string,
 * }} Sources
 *   pinnedVkey: the key to believe, given the one that the server shows now
 */

/** @param {Entry} entry @returns {StepName[]} */
export function stepsOf(entry) {
  /** @type {StepName[]} */
  const steps = ["envelope", "chain", "body", "inclusion", "signature"];
  return blobOf(entry.body) ? [...steps, "blob"] : steps;
}

/**
 * @param {Entry} entry
 * @param {readonly Entry[]} entries the whole case from number 1, as it arrived
 * @param {Sources} sources
 * @returns {AsyncGenerator<Step>}
 */
export async function* proofSteps(entry, entries, sources) {
  const names = stepsOf(entry);
  if (globalThis.crypto?.subtle === undefined) {
    for (const step of names) yield { step, state: "unavailable", detail: "insecure_page" };
    return;
  }
  /** @type {{proof?: Proof, checkpoint?: Checkpoint}} */
  const found = {};
  /** @type {Record<StepName, () => Promise<Step>>} */
  const checks = {
    envelope: async () => {
      const hash = await entryHash(entry.envelope);
      return verdict("envelope", hash === entry.hash, hash);
    },
    chain: async () => {
      let previous = "0".repeat(64);
      for (const [index, { envelope }] of entries.slice(0, entry.envelope.number).entries()) {
        if (envelope.number !== index + 1 || envelope.case_id !== entry.envelope.case_id) {
          return verdict("chain", false, String(index + 1));
        }
        if (envelope.previous_hash !== previous) return verdict("chain", false, String(index + 1));
        previous = await entryHash(envelope);
      }
      return verdict("chain", previous === (await entryHash(entry.envelope)), `1–${entry.envelope.number}`);
    },
    body: async () => {
      if (entry.body === null || entry.salt === null)
        return { step: "body", state: "unavailable", detail: "withheld" };
      const commitment = await commitmentOf(entry.salt, entry.body);
      return verdict("body", commitment === entry.envelope.commitment, commitment);
    },
    inclusion: async () => {
      found.proof = await sources.proof(entry.envelope.number);
      const { leaf_index, tree_size, hashes, checkpoint } = found.proof;
      found.checkpoint = parseCheckpoint(checkpoint);
      const root = await rootFromInclusionProof({
        leaf_hash: await leafHash(entry.envelope),
        leaf_index,
        tree_size,
        hashes: hashes.map(fromHex),
      });
      const leads = same(root, found.checkpoint.root) && tree_size === found.checkpoint.tree_size;
      return verdict("inclusion", leads && leaf_index === entry.leaf_index, `${leaf_index} / ${tree_size}`);
    },
    signature: async () => {
      if (!found.proof || !found.checkpoint)
        return { step: "signature", state: "unavailable", detail: "no_proof" };
      const vkey = sources.pinnedVkey(found.proof.vkey);
      if (vkey !== found.proof.vkey) return verdict("signature", false, vkey);
      const holds = await signatureHolds(found.checkpoint, vkey);
      if (holds === null) return { step: "signature", state: "unavailable", detail: "no_ed25519" };
      return verdict("signature", holds, vkey);
    },
    blob: async () => {
      const blob = blobOf(entry.body);
      const bytes = new Uint8Array(await sources.blob(blob?.sha256 ?? ""));
      const hash = toHex(await sha256(bytes));
      return verdict("blob", hash === blob?.sha256 && bytes.length === blob?.size_bytes, hash);
    },
  };
  for (const step of names) {
    yield { step, state: "running", detail: "" };
    try {
      yield await checks[step]();
    } catch (error) {
      if (error instanceof MalformedEvidence) yield verdict(step, false, error.message);
      else {
        const detail = error instanceof NotHere ? error.code : "unreachable";
        yield { step, state: "unavailable", detail };
      }
    }
  }
}

/** @param {StepName} step @param {boolean} holds @param {string} detail @returns {Step} */
function verdict(step, holds, detail) {
  return { step, state: holds ? "passed" : "failed", detail };
}
