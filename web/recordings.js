// @ts-check
/**
 * What was kept of the calls of a case, folded from its entries. Pure.
 *
 * A call is kept in pieces of a few seconds a sender, an entry each: thousands of them. Here they become what people
 * read: per call and sender how many, over which stretches of time, and where something is missing. Times are
 * milliseconds of the service's wall clock. Who may not read bodies learns one thing, from the envelopes: whose newest
 * piece was lost.
 */

/** @typedef {import("./protocol.js").Entry} Entry */

/** @typedef {{began_ms: number, ended_ms: number}} Stretch */
/** @typedef {Stretch & {number: number, pieces: number, reason: string}} Hole lost in a row; `number` is the first entry */
/** @typedef {{actor_id: string, sealed: number, lost: number, stretches: readonly Stretch[], holes: readonly Hole[]}} Track */
/** @typedef {{number: number, of: string, at_ms: number}} FrameMark */
/** @typedef {{number: number, actor_id: string, cause: string, began_ms: number, ended_ms: number | null}} GapMark */

/**
 * @typedef {Readonly<{
 *   call_number: number, began_ms: number, ended_ms: number | null, aborted: boolean,
 *   first_piece: number | null,
 *   tracks: readonly Track[], frames: readonly FrameMark[], gaps: readonly GapMark[],
 * }>} RecordedCall
 *   first_piece: the entry in whose place the log shows one line for all pieces
 */

/** @typedef {Readonly<{calls: readonly RecordedCall[], unkept: readonly string[]}>} Recordings */

/** @type {Recordings} */
export const NOTHING_RECORDED = Object.freeze({ calls: [], unkept: [] });

const SAME_STRETCH_MS = 1000; // a piece ends after 1 s of silence: what lies closer belongs together

/**
 * @param {Recordings} recordings
 * @param {Entry} entry
 * @returns {Recordings}
 */
export function keep(recordings, entry) {
  const { kind, number, actor_id, recorded_at } = entry.envelope;
  const { body } = entry;
  switch (kind) {
    case "call_started":
      return { calls: body ? [...recordings.calls, newCall(body.call_number, recorded_at)] : [], unkept: [] };
    case "segment_sealed":
    case "segment_lost": {
      const others = recordings.unkept.filter((id) => id !== actor_id);
      const unkept = kind === "segment_lost" ? [...others, actor_id] : others;
      return { ...change(recordings, body?.call_number, (call) => withPiece(call, entry)), unkept };
    }
    case "frame_sealed": {
      if (!body) return recordings;
      const at_ms = Date.parse(body.arrived_at);
      const call_number = body.journal?.call_number ?? callAt(recordings, at_ms)?.call_number;
      return change(recordings, call_number, (call) => ({
        ...call,
        frames: [...call.frames, { number, of: body.of, at_ms }],
      }));
    }
    case "gap_started":
      return change(recordings, body?.call_number, (call) => ({
        ...call,
        gaps: [
          ...call.gaps,
          { number, actor_id, cause: body?.cause, began_ms: Date.parse(body?.began_at), ended_ms: null },
        ],
      }));
    case "gap_ended":
      return change(recordings, body?.call_number, (call) => ({
        ...call,
        gaps: call.gaps.map((gap) =>
          gap.number === body?.number
            ? {
                ...gap,
                ended_ms:
                  body.duration_ms === null ? Date.parse(recorded_at) : gap.began_ms + body.duration_ms,
              }
            : gap,
        ),
      }));
    case "call_ended":
      // The end of a call that its service did not survive is written when the service is back: much later.
      return change(recordings, body?.call_number, (call) => ({
        ...call,
        ended_ms: call.began_ms + body?.duration_ms,
        aborted: body?.reason === "aborted",
      }));
    default:
      return recordings;
  }
}

/** @param {number} call_number @param {string} began_at @returns {RecordedCall} */
function newCall(call_number, began_at) {
  const began_ms = Date.parse(began_at);
  return {
    call_number,
    began_ms,
    ended_ms: null,
    aborted: false,
    first_piece: null,
    tracks: [],
    frames: [],
    gaps: [],
  };
}

/**
 * @param {Recordings} recordings
 * @param {number | undefined} call_number
 * @param {(call: RecordedCall) => RecordedCall} how
 * @returns {Recordings}
 */
function change(recordings, call_number, how) {
  if (!recordings.calls.some((call) => call.call_number === call_number)) return recordings;
  return {
    ...recordings,
    calls: recordings.calls.map((call) => (call.call_number === call_number ? how(call) : call)),
  };
}

/** @param {RecordedCall} call @param {Entry} entry @returns {RecordedCall} */
function withPiece(call, { envelope, body }) {
  const { kind, number, actor_id } = envelope;
  const known = call.tracks.find((track) => track.actor_id === actor_id);
  const track = known ?? { actor_id, sealed: 0, lost: 0, stretches: [], holes: [] };
  const piece = { began_ms: Date.parse(body?.began_at), ended_ms: Date.parse(body?.ended_at) };
  /** @type {Track} */
  const next =
    kind === "segment_sealed"
      ? { ...track, sealed: track.sealed + 1, stretches: lengthened(track.stretches, piece) }
      : { ...track, lost: track.lost + 1, holes: deepened(track.holes, piece, number, body?.reason) };
  return {
    ...call,
    first_piece: call.first_piece ?? (kind === "segment_sealed" ? number : null),
    tracks: known ? call.tracks.map((other) => (other === known ? next : other)) : [...call.tracks, next],
  };
}

/** @param {readonly Stretch[]} stretches @param {Stretch} piece @returns {readonly Stretch[]} */
function lengthened(stretches, piece) {
  const last = stretches.at(-1);
  if (!last || piece.began_ms - last.ended_ms > SAME_STRETCH_MS) return [...stretches, piece];
  return [...stretches.slice(0, -1), { ...last, ended_ms: Math.max(last.ended_ms, piece.ended_ms) }];
}

/**
 * @param {readonly Hole[]} holes
 * @param {Stretch} piece
 * @param {number} number
 * @param {string} reason
 * @returns {readonly Hole[]}
 */
function deepened(holes, piece, number, reason) {
  const last = holes.at(-1);
  if (!last || last.reason !== reason || piece.began_ms - last.ended_ms > SAME_STRETCH_MS) {
    return [...holes, { ...piece, number, pieces: 1, reason }];
  }
  return [...holes.slice(0, -1), { ...last, ended_ms: piece.ended_ms, pieces: last.pieces + 1 }];
}

/** The call that a moment belongs to. @param {Recordings} recordings @param {number} at_ms */
export function callAt(recordings, at_ms) {
  return recordings.calls.findLast(({ began_ms }) => began_ms <= at_ms) ?? null;
}

/** How many pieces of a call are sealed and lost, over all people. @param {RecordedCall} call */
export function piecesOf(call) {
  return {
    sealed: call.tracks.reduce((sum, track) => sum + track.sealed, 0),
    lost: call.tracks.reduce((sum, track) => sum + track.lost, 0),
  };
}

/** From when to when there is something to play: a running call, up to its last sealed piece. @param {RecordedCall} call */
export function spanOf(call) {
  const last = call.tracks.flatMap(({ stretches, holes }) => [...stretches.slice(-1), ...holes.slice(-1)]);
  const ended_ms = Math.max(call.ended_ms ?? call.began_ms, ...last.map((stretch) => stretch.ended_ms));
  return { began_ms: call.began_ms, ended_ms };
}

/** When what an entry tells was so: not always when it was written. @param {Entry} entry @returns {number} */
export function momentOf({ envelope, body }) {
  const at = envelope.kind === "frame_sealed" ? body?.arrived_at : body?.began_at;
  return Date.parse(typeof at === "string" ? at : envelope.recorded_at);
}
