// @ts-check
/**
 * Whom a person trusts: the key of a log alone, or a trust file of `proofcall verify --trust`, with keys, roots of
 * time-stamping authorities, other roots of who signs pictures, and witnesses. Whatever is not named is not trusted. Pure.
 */

import { parseKey } from "./package_entry.js";
import { Wrong } from "./said.js";
import { parsePolicy } from "./witness_policy.js";

/** @typedef {{vkeys: import("./package_entry.js").Key[], roots: string[], picture_roots: string[],
 *   policy: import("./witness_policy.js").Policy | null}} Trust */

/** @type {Trust} */
export const NOBODY = Object.freeze({ vkeys: [], roots: [], picture_roots: [], policy: null });
const MAX_SIZE_BYTES = 1 << 20; // as the command: hundreds of roots
const MAX_ITEMS = 256;
const MEMBERS = ["format", "picture_roots", "policy", "roots", "version", "vkeys"];

/** Raises Wrong. @param {string} text a key, or a trust file @returns {Trust} */
export function parseTrust(text) {
  if (!text.trim().startsWith("{")) return { ...NOBODY, vkeys: [parseKey(text.trim())] };
  if (new TextEncoder().encode(text).length > MAX_SIZE_BYTES) {
    throw new Wrong("trust_long", { limit: MAX_SIZE_BYTES });
  }
  let document;
  try {
    document = JSON.parse(text);
  } catch {
    throw new Wrong("trust_json");
  }
  if (document.format !== "proofcall-trust" || document.version !== 1) throw new Wrong("trust_format");
  const unknown = Object.keys(document).find((name) => !MEMBERS.includes(name));
  if (unknown !== undefined) throw new Wrong("trust_member", { name: unknown });
  const { policy = null } = document;
  if (policy !== null && typeof policy !== "string") throw new Wrong("trust_policy");
  return {
    vkeys: textsOf(document, "vkeys").map((vkey) => parseKey(vkey.trim())),
    roots: rootsOf(document, "roots"),
    picture_roots: rootsOf(document, "picture_roots"),
    policy: policy === null ? null : parsePolicy(policy),
  };
}

/** @param {{[name: string]: unknown}} document @param {string} name @returns {string[]} */
function rootsOf(document, name) {
  const roots = textsOf(document, name);
  if (!roots.every((root) => root.includes("-----BEGIN CERTIFICATE-----"))) {
    throw new Wrong("trust_root", { name });
  }
  return roots;
}

/** @param {{[name: string]: unknown}} document @param {string} name @returns {string[]} */
function textsOf(document, name) {
  const texts = Object.hasOwn(document, name) ? document[name] : [];
  const right = Array.isArray(texts) && texts.length <= MAX_ITEMS;
  if (!right || !texts.every((text) => typeof text === "string")) throw new Wrong("trust_texts", { name });
  return texts;
}
