// @ts-check
/**
 * A voucher, checked here and not asked from the server: the numbered steps of `proofcall verify`, one by one.
 *
 *     bytes (JSON, or a PDF that carries it) ─► 1 document ─► 2 checkpoint ─► 3 seal ─► 4 … 8 the two entries
 *     ─► 9 photos, 10 key, 11 history, 12 time, 13 witnesses: what a voucher alone cannot show is named
 *
 * Steps 1 to 8 make it genuine; none of the others may fail. Pure: what comes from outside is the key to compare
 * with, and the policy that says whose cosignatures count.
 */

import { checkConsistency } from "./attested.js";
import { parseCanonicalObject } from "./canonical.js";
import {
  canonicalBytes,
  canonicalJson,
  fromHex,
  MalformedEvidence,
  rootFromInclusionProof,
  same,
  sha256,
  toHex,
} from "./evidence.js";
import {
  checkNote,
  fromBase64,
  openCheckpoint,
  openNote,
  parseKey,
  readCheckpoint,
} from "./package_entry.js";
import { attempt, CannotBeMade, Said, said, Wrong } from "./said.js";
import { cosignersOf, ofOtherLogs, shortOfQuorum, splitCosignatures } from "./witness_policy.js";

/** @typedef {import("./package_entry.js").Checkpoint} Checkpoint */
/** @typedef {import("./package_entry.js").Key} Key */
/** @typedef {import("./witness_policy.js").Policy} Policy */

/** In the order of their numbers, from 1. */
export const STEPS = /** @type {const} */ ([
  "document",
  "checkpoint",
  "seal",
  "entries",
  "inclusion",
  "bodies",
  "receipt",
  "order",
  "attachments",
  "key",
  "history",
  "time",
  "witnesses",
]);
export const INNER_STEPS = 8;
export const MAX_VOUCHER_BYTES = 512 * 1024; // as the service: two bodies of 64 KiB, a checkpoint, and room
export const MAX_PDF_BYTES = 16 * 1024 * 1024;
const MAX_HASHES = 64; // of a proof: a log of 2^64 leaves
const MAX_ATTESTED = 16; // checkpoints, as the service

/** @typedef {(typeof STEPS)[number]} StepName */
/** @typedef {"passed" | "failed" | "unavailable"} StepState */
/** @typedef {{number: number, name: StepName, state: StepState, why: string}} Step `why`: a code for the words */
/** @typedef {"genuine" | "wrong" | "unknown"} Verdict */
/** @typedef {{[name: string]: any}} Json */
/** @typedef {{envelope: import("./protocol.js").Envelope, body: Json, salt: string, proof: Json}} VoucherEntry */
/**
 * @typedef {{waybill: string, case_id: string, time_zone: string, checkpoint: string, vkey: string, seal: string,
 *   handed_over: VoucherEntry, confirmed: VoucherEntry}} Voucher
 */
/** @typedef {{steps: Step[], verdict: Verdict, voucher: Voucher | null, between: number, from_pdf: boolean,
 *   witnesses: string[]}} Check
 *   `voucher` only if it is genuine: what is not proven is not shown */

/** A step that failed; the code says why. `said`: the same in the words of the command, of a file that is no voucher. */
export class Failed extends Error {
  /** @param {string} code @param {Said | null} [told] */
  constructor(code, told = null) {
    super(code);
    this.said = told;
  }
}
/** A step that lacks what it needs. */
class Unavailable extends Error {}

const FORMAT = "proofcall-voucher";
/** What is wrong with a JSON, in the codes of this page; all else is its spelling. @type {Record<string, string>} */
const JSON_CODES = { no_json: "no_json", json_no_object: "no_voucher" };
const ID = /^[A-Za-z0-9_-]{1,64}$/;
const HASH = /^[0-9a-f]{64}$/;
/** @type {Record<string, (value: unknown) => boolean>} */
const ENVELOPE = {
  actor_id: matches(ID),
  case_id: matches(ID),
  commitment: matches(HASH),
  kind: matches(/^[a-z][a-z0-9_]{0,63}$/),
  number: (value) => isCount(value) && value !== 0,
  previous_hash: matches(HASH),
  recorded_at: (value) =>
    matches(/^(?!0000)[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$/)(value) &&
    isMoment(String(value)),
  role: matches(/^[a-z][a-z0-9_]{0,31}$/),
  session_id: matches(/^[A-Za-z0-9_-]{0,64}$/),
  version: (value) => value === 1,
};
const TEXTS = ["case_id", "checkpoint", "format", "seal", "time_zone", "vkey", "waybill"];
const FIELDS = [...TEXTS, "confirmed", "handed_over", "version"].sort();
/** @type {Record<number, string[]>} by the version of the format */
const FIELDS_OF = { 1: FIELDS, 2: [...FIELDS, "attested"].sort() };
const ATTESTED_FIELDS = ["checkpoint", "consistency", "cosignatures", "timestamps"];
const ENTRY_FIELDS = ["body", "envelope", "proof", "salt"];

/** @param {RegExp} pattern @returns {(value: unknown) => boolean} */
function matches(pattern) {
  return (value) => typeof value === "string" && pattern.test(value);
}

/** @param {unknown} value */
function isCount(value) {
  return Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) < 1e15;
}

/** @param {string} text */
function isMoment(text) {
  const at = new Date(text);
  return !Number.isNaN(at.getTime()) && at.toISOString() === text;
}

/** @param {unknown} value @returns {value is Json} */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @param {Json} object @param {readonly string[]} names sorted */
function hasExactly(object, names) {
  const own = Object.keys(object).sort();
  return own.length === names.length && own.every((name, index) => name === names[index]);
}

/** @param {Uint8Array} bytes */
function isPdf(bytes) {
  return String.fromCharCode(...bytes.slice(0, 5)) === "%PDF-";
}

/**
 * The document in a file: all of it, or what a PDF has attached.
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function findDocument(bytes) {
  if (!isPdf(bytes)) return bytes;
  if (bytes.length > MAX_PDF_BYTES) throw new Failed("too_long", said("voucher_pdf_long"));
  // One character a byte, so that places in the text are places in the file.
  const text = new TextDecoder("latin1").decode(bytes);
  const found = [
    ...text.matchAll(
      /\/ProofcallVoucher [\s\S]{0,400}?>>\s*stream\r?\n(?<document>[^\r\n]*)\r?\nendstream/dg,
    ),
  ];
  const [begin, end] = found[0]?.indices?.groups?.document ?? [];
  if (found.length !== 1 || begin === undefined || end === undefined) {
    throw found.length > 1
      ? new Failed("many_in_pdf", said("voucher_many_in_pdf"))
      : new Failed("none_in_pdf", said("voucher_none_in_pdf"));
  }
  return bytes.slice(begin, end);
}

/** The outer form alone; raises Failed. @param {Uint8Array<ArrayBuffer>} bytes @returns {Json} */
export function parseDocument(bytes) {
  if (bytes.length > MAX_VOUCHER_BYTES) {
    throw new Failed("too_long", said("voucher_too_long", { limit: MAX_VOUCHER_BYTES }));
  }
  const value = attempt(() => parseCanonicalObject(bytes));
  if (value instanceof Said) throw new Failed(JSON_CODES[value.code] ?? "spelling", value);
  if (value.format !== FORMAT) throw new Failed("no_voucher", said("voucher_no_voucher"));
  const fields = FIELDS_OF[value.version];
  if (typeof value.version !== "number" || !fields) throw new Failed("version", said("voucher_version"));
  if (!hasExactly(value, fields)) throw new Failed("fields", said("voucher_fields"));
  const name = TEXTS.find((text) => typeof value[text] !== "string");
  if (name !== undefined) throw new Failed("fields", said("voucher_text", { name }));
  return value;
}

/** Whether a file means to be a voucher, whole or not: a JSON of this format, or a PDF. @param {Uint8Array<ArrayBuffer>} bytes its first MAX_VOUCHER_BYTES */
export function isVoucher(bytes) {
  // One character a byte: the marks that are looked for are ASCII.
  const text = new TextDecoder("latin1").decode(bytes);
  return isPdf(bytes) || (!text.startsWith("PK") && (text.startsWith("{") || text.includes(FORMAT)));
}

/** @typedef {{note: string, hashes: Uint8Array<ArrayBuffer>[], lines: import("./witness_policy.js").Line[], timestamps: number}} Attested */

/** The attested checkpoints of a document, their form alone. @param {Json} document @returns {Attested[] | null} */
function parseAttested({ attested = [] }) {
  if (!Array.isArray(attested) || attested.length > MAX_ATTESTED) return null;
  return orNull(() =>
    attested.map((item) => {
      const { checkpoint, consistency, cosignatures, timestamps } = isObject(item) ? item : {};
      const right =
        isObject(item) &&
        hasExactly(item, ATTESTED_FIELDS) &&
        typeof checkpoint === "string" &&
        typeof cosignatures === "string" &&
        Array.isArray(consistency) &&
        consistency.length <= MAX_HASHES &&
        consistency.every(matches(HASH)) &&
        Array.isArray(timestamps) &&
        timestamps.every((token) => typeof token === "string");
      if (!right) throw new MalformedEvidence("not an attested checkpoint");
      const read = attempt(() => splitCosignatures(new TextEncoder().encode(cosignatures)));
      if (read instanceof Said || timestamps.some((token) => fromBase64(token) === null)) {
        throw new MalformedEvidence("not an attested checkpoint");
      }
      const lines = read;
      return { note: checkpoint, hashes: consistency.map(fromHex), lines, timestamps: timestamps.length };
    }),
  );
}

/** One of the two entries, as far as it can be read; null stands for what cannot. */
class Part {
  /** @param {string} kind @param {Json} fields */
  constructor(kind, fields) {
    this.kind = kind;
    this.raw = fields;
    const { envelope, body, salt } = fields;
    const whole = isObject(envelope) && hasExactly(envelope, Object.keys(ENVELOPE));
    const right = whole && Object.entries(ENVELOPE).every(([name, fits]) => fits(envelope[name]));
    /** @type {import("./protocol.js").Envelope | null} */
    this.envelope = right ? /** @type {any} */ (envelope) : null;
    /** @type {Json | null} */
    this.body = isObject(body) ? body : null;
    /** @type {string | null} */
    this.salt = matches(HASH)(salt) ? salt : null;
    /** @type {number | null} its leaf index, once it is shown to be that leaf */
    this.place = null;
  }
}

/** @param {Json} fields @param {number} tree_size @param {Uint8Array} root @returns {Promise<number | null>} */
async function placeOf({ envelope, proof }, tree_size, root) {
  if (!isObject(proof) || !hasExactly(proof, ["hashes", "leaf_index", "tree_size"])) return null;
  const { hashes, leaf_index } = proof;
  if (!isCount(leaf_index) || proof.tree_size !== tree_size || !Array.isArray(hashes)) return null;
  if (hashes.length > MAX_HASHES || !hashes.every(matches(HASH))) return null;
  try {
    const leaf_hash = await sha256(new Uint8Array([0]), canonicalBytes(envelope));
    const way = { leaf_hash, leaf_index, tree_size, hashes: hashes.map(fromHex) };
    return same(await rootFromInclusionProof(way), root) ? leaf_index : null;
  } catch (error) {
    if (error instanceof MalformedEvidence) return null;
    throw error;
  }
}

/** @template T @param {() => T} read @returns {T | null} null for what is malformed */
function orNull(read) {
  try {
    return read();
  } catch (error) {
    if (error instanceof MalformedEvidence) return null;
    throw error;
  }
}

/** Null for what is wrong. @template T @param {() => Promise<T> | T} read @returns {Promise<T | null>} */
async function orWrong(read) {
  try {
    return await read();
  } catch (error) {
    if (error instanceof Wrong) return null;
    throw error;
  }
}

/** @param {boolean} holds @param {string} why */
function claim(holds, why) {
  if (!holds) throw new Failed(why);
}

/**
 * @param {Uint8Array<ArrayBuffer>} bytes a voucher, JSON or PDF
 * @param {{vkey: string | null, policy?: Policy | null, demanded?: boolean}} expected the
 *   log's key from elsewhere, and whose cosignatures count; `demanded`: without their quorum the voucher fails
 * @returns {Promise<Check>}
 */
export async function checkVoucher(bytes, { vkey, policy = null, demanded = true }) {
  /** @type {Json | null} */
  let document = null;
  /** @type {Part[]} */
  const parts = [];
  /** @type {Key | null} */
  let key = null;
  /** @type {Checkpoint | null} */
  let checkpoint = null;
  /** @type {Attested[] | null} null: not in their form */
  let attested = null;
  /** @type {(Checkpoint | null)[]} of those: null for one that is not of this log */
  const known = [];
  /** @type {string[]} names of the keys that make up the quorum */
  let witnesses = [];

  const whole = () => {
    if (!document) throw new Unavailable("no_document");
    return document;
  };
  /** @returns {[Part, Part]} */
  const pair = () => {
    whole();
    const [handed_over, confirmed] = parts;
    if (parts.length !== 2 || !handed_over || !confirmed) throw new Unavailable("no_entry");
    return [handed_over, confirmed];
  };

  /** The attested checkpoints that have what is asked for, each opened. @param {(one: Attested) => boolean} has */
  const sound = (has) => {
    whole();
    if (!attested) throw new Unavailable("attested_form");
    if (known.length !== attested.length || known.includes(null)) throw new Unavailable("attested_note");
    return attested
      .map((one, index) => ({ ...one, opened: /** @type {NonNullable<(typeof known)[0]>} */ (known[index]) }))
      .filter(has);
  };
  /** @param {number} tree_size */
  const covers = (tree_size) => {
    const places = pair().map(({ place }) => place);
    if (places.includes(null)) throw new Unavailable("no_place");
    return places.every((place) => place !== null && place < tree_size);
  };
  /** @param {Attested} one */
  const openAttested = async ({ note, hashes }) => {
    const own = checkpoint;
    const signer = key;
    if (!own || signer === null) return null;
    return orWrong(async () => {
      const opened = readCheckpoint(note);
      checkConsistency(opened.tree_size, own.tree_size, opened.root, own.root, hashes);
      // An older key of the log may have signed it: then the consistency alone says whose it is.
      await checkNote(note, signer);
      return opened.origin === own.origin ? opened : null;
    });
  };

  /** @type {Record<StepName, () => Promise<void>>} */
  const checks = {
    document: async () => {
      document = parseDocument(findDocument(bytes));
      const { waybill, time_zone } = document;
      for (const kind of ["handed_over", "confirmed"]) {
        const fields = document[kind];
        if (isObject(fields) && hasExactly(fields, ENTRY_FIELDS)) parts.push(new Part(kind, fields));
      }
      checkpoint = await orWrong(() => readCheckpoint(document?.checkpoint));
      key = await orWrong(() => parseKey(document?.vkey));
      if (checkpoint) {
        for (const part of parts) {
          part.place = await placeOf(part.raw, checkpoint.tree_size, checkpoint.root);
        }
      }
      attested = parseAttested(document);
      claim(parts.length === 2, "fields");
      claim(attested !== null, "attested_form");
      claim(waybill.length > 0 && [...waybill].length <= 64, "waybill");
      claim(/^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/.test(time_zone), "time_zone");
    },
    checkpoint: async () => {
      const { checkpoint: note } = whole();
      const signer = key;
      if (signer === null || !checkpoint) throw new Failed("form");
      const opened = await orWrong(() => openCheckpoint(note, signer));
      for (const one of attested ?? []) known.push(await openAttested(one));
      claim(opened !== null, "signature");
      claim(!known.includes(null), "attested_note");
    },
    seal: async () => {
      const { seal, ...rest } = whole();
      const signer = key;
      if (signer === null) throw new Unavailable("no_key");
      const text = await orWrong(() => openNote(seal, signer));
      claim(text !== null, "signature");
      const hash = toHex(await sha256(canonicalBytes(rest)));
      claim(text === `proofcall-voucher/${rest.version}\n${hash}\n`, "another");
    },
    entries: async () => {
      const { case_id } = whole();
      for (const { kind, envelope } of pair()) {
        if (!envelope) throw new Failed("form");
        claim(envelope.case_id === case_id, "another_case");
        claim(envelope.kind === kind, "kind");
      }
    },
    inclusion: async () => {
      const both = pair();
      if (!checkpoint) throw new Unavailable("no_checkpoint");
      claim(
        both.every(({ place }) => place !== null),
        "proof",
      );
    },
    bodies: async () => {
      for (const { envelope, body, salt } of pair()) {
        if (!envelope || !body || salt === null) throw new Failed("form");
        const commitment = toHex(await sha256(fromHex(salt), canonicalBytes(body)));
        claim(commitment === envelope.commitment, "commitment");
      }
    },
    receipt: async () => {
      const [handed_over, confirmed] = pair();
      if (!handed_over.envelope || !handed_over.body) throw new Failed("form");
      if (!confirmed.envelope || !confirmed.body) throw new Failed("form");
      claim(handed_over.envelope.role === "courier" && confirmed.envelope.role === "customer", "role");
      const { number, statement, reservation } = confirmed.body;
      claim(typeof number === "number" && number === handed_over.envelope.number, "another_hand_over");
      claim(typeof statement === "string" && statement.trim() !== "", "statement");
      claim(reservation === null || reservation === undefined || typeof reservation === "string", "form");
    },
    order: async () => {
      const [handed_over, confirmed] = pair();
      const first = handed_over.envelope;
      const second = confirmed.envelope;
      if (!first || !second) throw new Unavailable("no_entry");
      if (handed_over.place === null || confirmed.place === null) throw new Unavailable("no_place");
      claim(second.number > first.number, "order");
      claim(confirmed.place - handed_over.place >= second.number - first.number, "room");
      claim(handed_over.place >= first.number - 1, "room");
      claim(second.recorded_at >= first.recorded_at, "time");
      const follows = second.number === first.number + 1;
      const hash = toHex(await sha256(canonicalBytes(first)));
      claim(!follows || second.previous_hash === hash, "chain");
    },
    attachments: async () => {
      const named = pair().reduce(
        (sum, { body }) => sum + (Array.isArray(body?.attachments) ? body.attachments.length : 0),
        0,
      );
      if (named > 0) throw new Unavailable("in_package");
    },
    key: async () => {
      const { vkey: carried } = whole();
      if (vkey === null) throw new Unavailable("no_other_key");
      if (key === null) throw new Unavailable("no_key");
      claim(carried === vkey.trim(), "another_key");
    },
    history: async () => {
      throw new Unavailable("no_other_checkpoint");
    },
    time: async () => {
      throw new Unavailable(sound(({ timestamps }) => timestamps > 0).length > 0 ? "token" : "own_clock");
    },
    witnesses: async () => {
      const cosigned = sound(({ lines }) => lines.length > 0);
      if (policy === null) throw new Unavailable(cosigned.length > 0 ? "no_policy" : "no_witness");
      if (key === null) throw new Unavailable("no_key");
      claim(ofOtherLogs(policy, key) === null, "another_log");
      let met = shortOfQuorum(policy, []) === null;
      let wrong = false;
      /** @type {string[]} */
      let named = [];
      for (const { note, lines, opened } of cosigned) {
        const cosigners = await cosignersOf(lines, note, policy, () => {
          wrong = true;
        });
        if (shortOfQuorum(policy, cosigners) !== null || !covers(opened.tree_size)) continue;
        met = true;
        named = policy.witnesses.filter(({ key }) => cosigners.includes(key)).map(({ key }) => key.name);
      }
      claim(!wrong, "cosignature");
      witnesses = named;
      if (!met && !demanded) throw new Unavailable("no_quorum");
      claim(met, "no_quorum");
    },
  };

  /** @type {Step[]} */
  const steps = [];
  const insecure = globalThis.crypto?.subtle === undefined;
  for (const [index, name] of STEPS.entries()) {
    /** @type {Step} */
    const step = { number: index + 1, name, state: "passed", why: "" };
    try {
      if (insecure) throw new Unavailable("insecure_page");
      await checks[name]();
    } catch (error) {
      // Of what others' modules cannot make, there is the signature alone.
      const known = error instanceof Failed || error instanceof Unavailable || error instanceof CannotBeMade;
      if (!known) throw error;
      step.state = error instanceof Failed ? "failed" : "unavailable";
      step.why = error.message;
    }
    steps.push(step);
  }
  const verdict = verdictOf(steps);
  const [first, second] = parts;
  const between = (second?.envelope?.number ?? 0) - (first?.envelope?.number ?? 0) - 1;
  const voucher = verdict === "genuine" ? /** @type {Voucher} */ (/** @type {unknown} */ (document)) : null;
  return { steps, verdict, voucher, between: Math.max(0, between), from_pdf: isPdf(bytes), witnesses };
}

/** @param {readonly Step[]} steps @returns {Verdict} */
export function verdictOf(steps) {
  if (steps.some(({ state }) => state === "failed")) return "wrong";
  const inner = steps.slice(0, INNER_STEPS);
  return inner.length === INNER_STEPS && inner.every(({ state }) => state === "passed")
    ? "genuine"
    : "unknown";
}

/** What the next entry of the case would carry as `previous_hash`. @param {VoucherEntry} entry */
export async function hashOf({ envelope }) {
  return toHex(await sha256(canonicalBytes(envelope)));
}

/** The document anew, as the file had it. @param {Voucher} voucher */
export function spelled(voucher) {
  return canonicalJson(voucher);
}
