// @ts-check
/** What an entry `erased` took with it, so that pages show no more than the service has. Pure. */

/** @typedef {import("./protocol.js").Entry} Entry */
/** @typedef {import("./protocol.js").Body} Body */

/**
 * Whether this `erased` took the body of an entry that comes before it (PROTOCOL.md).
 * @param {Body} erased
 * @param {{number: number, kind: string}} envelope
 */
export function covers({ numbers, kinds }, { number, kind }) {
  return (numbers === "all" || numbers.includes(number)) && (kinds === null || kinds.includes(kind));
}

/**
 * The entries of a case, those without their bodies that this `erased`, the last of them, took.
 * @param {readonly Entry[]} entries
 * @param {Body} erased
 * @returns {readonly Entry[]}
 */
export function withoutErased(entries, erased) {
  return entries.map((entry, place) =>
    place < entries.length - 1 && covers(erased, entry.envelope)
      ? { ...entry, body: null, salt: null }
      : entry,
  );
}

/**
 * Whether the body of an entry is gone, and not only withheld from who reads.
 * @param {Entry} entry
 * @param {readonly Entry[]} entries
 */
export function isErased({ envelope }, entries) {
  return entries.some(
    (later) =>
      later.envelope.kind === "erased" &&
      later.envelope.number > envelope.number &&
      later.body !== null &&
      covers(later.body, envelope),
  );
}
