// @ts-check
/**
 * The conversation's messages, as signaling/PROTOCOL.md writes them: same names, same fields.
 *
 * `parseServerMessage` takes what the socket brought and answers a message or throws `MalformedMessage`.
 * `encodeClientMessage` is the only way out. Kinds of entries and events that this page does not know yet
 * pass through: a newer server may speak to an older page.
 */

export const PROTOCOL_VERSION = 1;

/** @typedef {"customer" | "courier" | "qa" | "dispatch" | "guest" | "integrator" | "system"} Role */
/** @typedef {"zh" | "en"} Language */
/** @typedef {"none" | "connecting" | "connected" | "silent"} MediaConnection */

/** @typedef {{sha256: string, size_bytes: number, media_type: string}} BlobReference */

/**
 * The public part of an entry: these fields, in RFC 8785 form, are the leaf of the log.
 * @typedef {{
 *   version: number, kind: string, case_id: string, number: number, previous_hash: string, role: Role,
 *   actor_id: string, session_id: string, recorded_at: string, commitment: string,
 * }} Envelope
 */

/** @typedef {{[key: string]: any}} Body the sealed part; its fields depend on the kind */

/** @typedef {{envelope: Envelope, body: Body | null, salt: string | null, hash: string, leaf_index: number}} Entry */

/**
 * @typedef {{
 *   actor_id: string, role: Role, name: string, online: boolean, in_call: boolean,
 *   connection: MediaConnection, media_session?: string | null, audio_muted: boolean, video_muted: boolean,
 * }} Person media_session: which of their connections that is
 */

/**
 * What comes of a person's picture: all of it; a sharp one now and then; nothing.
 * @typedef {"live" | "stills" | "paused"} Picture
 */

/**
 * @typedef {{
 *   slot: number, actor_id: string, audio_mid: string | null, video_mid: string | null,
 *   picture?: Picture, sharp?: boolean,
 * }} Slot picture, sharp: older services do not say them; sharp: their camera prefers detail to movement now
 */

/** @typedef {{latitude_e6: number, longitude_e6: number, accuracy_m: number}} Place millionths of a degree */
/** @typedef {"photo" | "voice"} Medium */
/** @typedef {"camera" | "album" | "microphone"} CapturePath */

/**
 * Bytes that somebody has and will send: the hash goes ahead of them.
 * @typedef {{
 *   medium: Medium, sha256: string, size_bytes: number, media_type: string, capture_path: CapturePath,
 *   captured_at: string,
 * }} Attachment
 */

/**
 * Fields that may be missing are `null` then. `captured_at`: when the person did it, by this device's clock.
 * @typedef {{kind: "consent", statement: string, language: Language}
 *   | {kind: "join"} | {kind: "leave"} | {kind: "decline_call"}
 *   | {kind: "take_frame", of: string}
 *   | {kind: "end_case"}
 *   | {kind: "text", text: string, seen?: number | null, captured_at?: string | null}
 *   | {kind: "phrase", phrase: string, captured_at?: string | null}
 *   | {kind: "attach", attachment: Attachment, caption?: string | null}
 *   | {kind: "share_place", place: Place, captured_at?: string | null}
 *   | {kind: "mark", delivered: number, read: number}
 *   | {kind: "announce", notice: string, captured_at?: string | null}
 *   | {kind: "answer", number: number, choice: string, when_at?: string | null, detail?: string | null,
 *       replaces?: number | null, captured_at?: string | null}
 *   | {kind: "take_answer", number: number}
 *   | {kind: "request_change", what: ChangeOf, text: string, when_at?: string | null, place?: Place | null,
 *       captured_at?: string | null}
 *   | {kind: "answer_change", number: number, accepted: boolean, remark?: string | null}
 *   | {kind: "withdraw_change", number: number}
 *   | {kind: "hand_over", how: string, text?: string | null, attachments?: Attachment[], place?: Place | null,
 *       captured_at?: string | null}
 *   | {kind: "confirm", number: number, statement: string, language: Language, reservation?: string | null,
 *       exception?: string, attachments?: Attachment[], captured_at?: string | null}
 *   | {kind: "refuse_receipt", number: number, text: string, attachments?: Attachment[], captured_at?: string | null}
 *   | {kind: "report_exception", exception: string, text?: string | null, attachments?: Attachment[],
 *       place?: Place | null, place_refused?: boolean, captured_at?: string | null}
 *   | {kind: "take_exception", number: number, instead_of?: string | null}
 *   | {kind: "decide_exception", number: number, decision: string, remark?: string | null}
 *   | {kind: "acknowledge_exception", number: number, decided: number}
 *   | {kind: "close_exception", number: number, remark?: string | null}} Command
 */

/** @typedef {"address" | "time" | "person"} ChangeOf */

/** @typedef {"good" | "fair" | "weak"} Level */

/** @typedef {{bitrate_bps: number, loss_permille: number, estimate_bps?: number | null}} WayNumbers loss before repair */

/** @typedef {"best" | "network" | "shared" | "switching" | "not_sent"} LayerReason */
/** @typedef {"start" | "delay" | "loss" | "silence" | "receiver" | "demand"} Limit */

/**
 * What a person gets of another's picture.
 * @typedef {{
 *   actor_id: string, rid: string | null, temporal_layers: number | null, bitrate_bps: number, picture: Picture,
 *   reason: LayerReason | null,
 * }} Watched
 */

/**
 * @typedef {{
 *   actor_id: string, level: Level, sent: Level, received: Level,
 *   sent_repair_ms: number, received_repair_ms: number,
 *   numbers: {
 *     sent: WayNumbers, received: WayNumbers, round_trip_ms: number | null,
 *     limit?: Limit | null, watched?: readonly Watched[],
 *     playback: {freezes: number, frozen_ms: number, concealed_permille: number} | null,
 *   } | null,
 * }} PersonQuality numbers: for QA alone
 */

/**
 * @typedef {{kind: "muted", audio: boolean, video: boolean, hidden: boolean, media_session?: string | null}
 *   | {kind: "playback", outgoing_bps: number | null} & import("./playback.js").Played} Signal
 */

/**
 * @typedef {{type: "hello", version: number, token: string, after: number, hash: string | null, clock: boolean}
 *   | {type: "command", id: string, command: Command}
 *   | {type: "signal", signal: Signal}
 *   | {type: "sharpen", actor_id: string}
 *   | {type: "clock", probe: number, at: string}
 *   | {type: "ping"}} ClientMessage
 */

/** @typedef {{case_id: string, waybill: string, language: Language, time_zone: string, state: string}} CaseHeader */
/** @typedef {{actor_id: string, role: Role, name: string, session_id: string}} You */

/**
 * `people`: all who have or had a link to the case, present or not.
 * @typedef {{type: "welcome", case: CaseHeader, you: You, people: {actor_id: string, role: Role, name: string}[],
 *       number: number}
 *   | {type: "entry", entry: Entry}
 *   | {type: "synced", number: number}
 *   | {type: "ack", id: string, number: number | null}
 *   | {type: "nack", id: string, code: string, message: string}
 *   | {type: "event", event: {kind: "slots", slots: Slot[]} | {kind: "presence", people: Person[]}
 *       | {kind: "quality", people: PersonQuality[]}
 *       | {kind: "encodings"} & import("./encodings.js").Orders}
 *   | {type: "resync", code: string, message: string}
 *   | {type: "clock_probe", probe: number}
 *   | {type: "pong"}} ServerMessage
 */

/** Why the server closed the socket, where coming back by itself would not help. */
export const FINAL_CLOSE_CODES = Object.freeze(
  /** @type {Record<number, "outdated" | "bad_link" | "revoked" | "replaced" | "erased">} */ ({
    4400: "outdated",
    4401: "bad_link",
    4403: "bad_link",
    4404: "bad_link",
    4409: "outdated",
    4410: "revoked",
    4411: "replaced",
    4414: "erased",
  }),
);

/** The text is not a message of the protocol. */
export class MalformedMessage extends Error {
  code = "malformed_message";
}

/** @typedef {"string" | "number" | "string?" | "number?" | "object" | "array"} Shape */

/** What each message must carry for the page to rely on it. @type {Record<string, Record<string, Shape>>} */
const REQUIRED = {
  welcome: {
    "case.case_id": "string",
    "case.waybill": "string",
    "case.language": "string",
    "case.time_zone": "string",
    "case.state": "string",
    "you.actor_id": "string",
    "you.role": "string",
    "you.name": "string",
    "you.session_id": "string",
    people: "array",
    number: "number",
  },
  entry: {
    "entry.envelope.kind": "string",
    "entry.envelope.case_id": "string",
    "entry.envelope.number": "number",
    "entry.envelope.previous_hash": "string",
    "entry.envelope.role": "string",
    "entry.envelope.actor_id": "string",
    "entry.envelope.recorded_at": "string",
    "entry.envelope.commitment": "string",
    "entry.salt": "string?",
    "entry.hash": "string",
    "entry.leaf_index": "number",
  },
  synced: { number: "number" },
  ack: { id: "string", number: "number?" },
  nack: { id: "string", code: "string", message: "string" },
  event: { "event.kind": "string" },
  resync: { code: "string", message: "string" },
  clock_probe: { probe: "number" },
  pong: {},
};

/** @param {unknown} value @param {Shape} shape */
function fits(value, shape) {
  if (shape === "array") return Array.isArray(value);
  if (shape === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
  if (shape.endsWith("?")) return value === null || typeof value === shape.slice(0, -1);
  return typeof value === shape;
}

/** @param {any} message @param {string} path */
function at(message, path) {
  let value = message;
  for (const name of path.split(".")) value = value?.[name];
  return value;
}

/**
 * @param {string} text
 * @returns {ServerMessage}
 */
export function parseServerMessage(text) {
  let message;
  try {
    message = JSON.parse(text);
  } catch {
    throw new MalformedMessage("not JSON");
  }
  const required = fits(message, "object") && Object.hasOwn(REQUIRED, message.type) && REQUIRED[message.type];
  if (!required) throw new MalformedMessage("unknown type of message");
  for (const [path, shape] of Object.entries(required)) {
    if (!fits(at(message, path), shape))
      throw new MalformedMessage(`${message.type}: ${path} is not ${shape}`);
  }
  if (message.type === "entry" && message.entry.body !== null && !fits(message.entry.body, "object")) {
    throw new MalformedMessage("entry: entry.body is not an object");
  }
  if (message.type === "event") {
    const list = { slots: "slots", presence: "people", quality: "people", encodings: "encodings" }[
      /** @type {string} */ (message.event.kind)
    ];
    if (list !== undefined && !fits(message.event[list], "array")) {
      throw new MalformedMessage(`event: event.${list} is not a list`);
    }
  }
  return message;
}

/**
 * @param {ClientMessage} message
 * @returns {string}
 */
export function encodeClientMessage(message) {
  return JSON.stringify(message);
}
