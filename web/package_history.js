// @ts-check
/**
 * One log or two, as `server/evidence/history.py` compares them: inclusion proofs give away the hashes of many complete
 * subtrees, and these never change as a log grows (RFC 9162 §2.1.4). So of the larger of two trees the root of the
 * smaller can be folded, wherever its proofs reach. Where they do not, that is named. Pure.
 */

import { same } from "./evidence.js";
import { hashChildren } from "./package_entry.js";
import { said } from "./said.js";

/** @typedef {Uint8Array<ArrayBuffer>} Bytes */
/** @typedef {{leaf_index: number, leaf_hash: Bytes, hashes: Bytes[]}} Shown a proof that was found to hold */
/** @typedef {import("./said.js").Said} Said */

/** The hashes of complete subtrees that proofs have shown, of one log at one size; by level and position. */
export class KnownTree {
  /** @type {Map<string, {level: number, position: number, hash: Bytes}>} */
  nodes = new Map();
  /** Subtrees with something known beneath: no search goes in vain. @type {Set<string>} */
  #above = new Set();

  /** @param {number} tree_size @param {Bytes} root @param {Iterable<Shown>} [proofs] */
  constructor(tree_size, root, proofs = []) {
    this.tree_size = tree_size;
    this.root = root;
    if (tree_size > 0) this.#keep(0, tree_size, root);
    for (const proof of proofs) this.#add(proof);
  }

  /** @param {Shown} proof */
  #add({ leaf_index, leaf_hash, hashes }) {
    /** @type {[number, number][]} from the root down, as PATH(m, D_n) of RFC 9162 §2.1.3.1 goes */
    const places = [];
    let begin = 0;
    let end = this.tree_size;
    while (end - begin > 1) {
      const middle = begin + powerBelow(end - begin);
      places.push(leaf_index < middle ? [middle, end] : [begin, middle]);
      if (leaf_index < middle) end = middle;
      else begin = middle;
    }
    this.#keep(leaf_index, leaf_index + 1, leaf_hash);
    for (const [index, [first, last]] of places.reverse().entries()) {
      const hash = hashes[index];
      if (hash) this.#keep(first, last, hash);
    }
  }

  /** The root that this log had at a smaller size (> 0); null where the proofs do not reach. @param {number} tree_size */
  rootAt(tree_size) {
    if (tree_size === this.tree_size) return this.root;
    return tree_size > 0 && tree_size < this.tree_size ? this.#subtree(0, tree_size) : null;
  }

  /** Leaves for which the two logs have different hashes: the smallest such subtree. @param {KnownTree} other @returns {{begin: number, end: number} | null} */
  contradiction(other) {
    let least = null;
    for (const [key, node] of this.nodes) {
      const theirs = other.nodes.get(key);
      if (!theirs || same(node.hash, theirs.hash)) continue;
      const less = least && (node.level - least.level || node.position - least.position) < 0;
      if (least === null || less) least = node;
    }
    if (least === null) return null;
    const width = 2 ** least.level;
    return { begin: least.position * width, end: (least.position + 1) * width };
  }

  /** Incomplete subtrees change as the log grows: they are left out. @param {number} begin @param {number} end @param {Bytes} hash */
  #keep(begin, end, hash) {
    let level = Math.round(Math.log2(end - begin));
    if (2 ** level !== end - begin || begin % (end - begin) !== 0) return;
    let position = begin / (end - begin);
    this.nodes.set(`${level}/${position}`, { level, position, hash });
    for (; !this.#above.has(`${level}/${position}`) && 2 ** level < this.tree_size; level += 1) {
      this.#above.add(`${level}/${position}`);
      position = Math.floor(position / 2);
    }
  }

  /** @param {number} begin @param {number} end @returns {Bytes | null} */
  #subtree(begin, end) {
    const count = end - begin;
    const level = Math.round(Math.log2(count));
    if (2 ** level === count) {
      const key = `${level}/${begin / count}`;
      const known = this.nodes.get(key);
      if (known) return known.hash;
      if (level === 0 || !this.#above.has(key)) return null;
    }
    const middle = begin + powerBelow(count);
    const left = this.#subtree(begin, middle);
    const right = this.#subtree(middle, end);
    return left && right ? hashChildren(left, right) : null;
  }
}

/** The largest power of two smaller than count (> 1). @param {number} count */
function powerBelow(count) {
  let power = 1;
  while (power * 2 < count) power *= 2;
  return power;
}

/** Two trees of logs of one key: why there are two histories, or what proves that there is one; both null where that cannot be proven. @param {KnownTree} own @param {KnownTree} other @returns {{contradiction: Said | null, shown: Said | null}} */
export function compareHistories(own, other) {
  if (own.tree_size === other.tree_size && !same(own.root, other.root)) {
    return { contradiction: said("history_roots", { size: own.tree_size }), shown: null };
  }
  const leaves = own.contradiction(other);
  if (leaves) {
    const { begin, end } = leaves;
    return { contradiction: said("history_leaves", { first: begin, last: end - 1 }), shown: null };
  }
  const [smaller, larger] = own.tree_size <= other.tree_size ? [own, other] : [other, own];
  if (smaller.tree_size === 0) return { contradiction: null, shown: said("history_empty") };
  const folded = larger.rootAt(smaller.tree_size);
  if (folded === null) return { contradiction: null, shown: null };
  const sizes = { smaller: smaller.tree_size, larger: larger.tree_size };
  return same(folded, smaller.root)
    ? { contradiction: null, shown: said("history_one", sizes) }
    : { contradiction: said("history_two", sizes), shown: null };
}
