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
 * Whether something of the case is gone, be it a picture alone.
 * @param {readonly Entry[]} entries
 */
export function somethingErased(entries) {
  return entries.some(({ envelope }) => envelope.kind === "erased");
}

/**
 * Whether what an entry announced had come and is gone: its own entry of that is, and does not say whose it was.
 * @param {number} number
 * @param {readonly Entry[]} entries
 */
export function attachmentErased(number, entries) {
  return entries.some(
    (entry) =>
      entry.envelope.kind === "attachment_stored" &&
      entry.envelope.number > number &&
      entry.body === null &&
      isErased(entry, entries),
  );
}

/**
 * Whether pieces of that call's recording are gone: those sealed before another call began.
 * @param {number} call_number
 * @param {readonly Entry[]} entries
 */
export function recordingErased(call_number, entries) {
  let running = null;
  for (const entry of entries) {
    const { envelope, body } = entry;
    if (envelope.kind === "call_started") running = body?.call_number ?? null;
    if (running !== call_number || envelope.kind !== "segment_sealed" || body !== null) continue;
    if (isErased(entry, entries)) return true;
  }
  return false;
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
