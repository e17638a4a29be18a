// @ts-check
/**
 * What the entries of the log say about talk: which attachments have come, and what has reached whom. Pure;
 * signaling/talk.py folds the same.
 *
 *     announced (an entry names a hash) ──► stored | refused (an entry of its own, when the bytes have come)
 *
 * An attachment is known by the entry's number and its hash, whatever the kind of the entry.
 */

/** @typedef {import("./protocol.js").Entry} Entry */
/** @typedef {import("./protocol.js").Body} Body */
/** @typedef {import("./protocol.js").Attachment} Attachment */
/** @typedef {import("./protocol.js").BlobReference} BlobReference */

/**
 * @typedef {{number: number, sha256: string, original: BlobReference, shown: BlobReference, width: number | null,
 *   height: number | null, duration_ms: number | null, waveform: readonly number[],
 *   credentials?: import("./credentials.js").BroughtCredentials | null}} Stored
 */
/** @typedef {{number: number, sha256: string, reason: string, message: string}} Refused */
/** @typedef {{state: "announced" | "stored" | "refused", stored: Stored | null, refused: Refused | null}} AttachmentState */
/** @typedef {Readonly<{delivered: number, read: number}>} Marks up to which entry */

/** @typedef {Readonly<{settled: Readonly<Record<string, AttachmentState>>, marks: Readonly<Record<string, Marks>>}>} Talk */

/** @type {Talk} */
export const NO_TALK = Object.freeze({ settled: Object.freeze({}), marks: Object.freeze({}) });

/** @type {AttachmentState} */
const ANNOUNCED = Object.freeze({ state: "announced", stored: null, refused: null });

/** @type {Marks} */
const NO_MARKS = Object.freeze({ delivered: 0, read: 0 });

/** @param {Talk} talk @param {Entry} entry @returns {Talk} */
export function followTalk(talk, { envelope, body }) {
  if (body === null) return talk;
  switch (envelope.kind) {
    case "attachment_stored":
      return settle(talk, body, { state: "stored", stored: /** @type {Stored} */ (body), refused: null });
    case "attachment_refused":
      return settle(talk, body, { state: "refused", stored: null, refused: /** @type {Refused} */ (body) });
    case "receipt": {
      const before = marksOf(talk, envelope.actor_id);
      const delivered = Math.max(before.delivered, body.delivered, body.read);
      const marks = { delivered, read: Math.max(before.read, body.read) };
      return { ...talk, marks: { ...talk.marks, [envelope.actor_id]: marks } };
    }
    default:
      return talk;
  }
}

/** @param {Talk} talk @param {Body} body @param {AttachmentState} state @returns {Talk} */
function settle(talk, body, state) {
  return { ...talk, settled: { ...talk.settled, [keyOf(body.number, body.sha256)]: state } };
}

/** What has become of an attachment of entry `number`. @param {Talk} talk @param {number} number @param {string} sha256 */
export function attachmentState(talk, number, sha256) {
  return talk.settled[keyOf(number, sha256)] ?? ANNOUNCED;
}

/** Up to where the log has reached a person's devices and eyes. @param {Talk} talk @param {string} actor_id @returns {Marks} */
export function marksOf(talk, actor_id) {
  return talk.marks[actor_id] ?? NO_MARKS;
}

/** What an entry of any kind has attached. @param {Body | null} body @returns {readonly Attachment[]} */
export function attachmentsOf(body) {
  if (body?.attachment) return [body.attachment];
  return Array.isArray(body?.attachments) ? body.attachments : [];
}

/** @param {number} number @param {string} sha256 */
function keyOf(number, sha256) {
  return `${number} ${sha256}`;
}
