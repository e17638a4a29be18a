// @ts-check
/**
 * All that the page knows, and the only place where it changes: `reduce(state, event) -> state`, pure.
 *
 * Entries fold here the way signaling/case.py folds them (`evolve`); what the log does not know, the socket,
 * the media, the camera, the person's own wish to be in the call, comes as events of its own.
 * Time enters as data: `at` is milliseconds of the page's clock, `offset_ms` what the server's clock is ahead.
 */

import { NO_ORDERS } from "./encodings.js";
import { withoutErased } from "./erasure.js";
import { followParcel, NO_PARCEL } from "./parcel.js";
import { keep, NOTHING_RECORDED } from "./recordings.js";
import { followTalk, NO_TALK } from "./talk.js";

/** @typedef {import("./protocol.js").Entry} Entry */
/** @typedef {import("./protocol.js").Command} Command */
/** @typedef {import("./protocol.js").Role} Role */
/** @typedef {import("./protocol.js").ServerMessage} ServerMessage */
/** @typedef {import("./synchronisation.js").FinalReason} FinalReason */
/** @typedef {import("./media_life.js").MediaState} MediaState */
/** @typedef {import("./recordings.js").Recordings} Recordings */
/** @typedef {import("./camera.js").CameraProblem} CameraProblem */

/** @typedef {{id: string, command: Command}} Waiting */
/** @typedef {{id: string, of: string, number: number | null}} Shot a pressed shutter whose entry is not here yet */
/** @typedef {{call_number: number, started_at: string, in_call: readonly string[]}} Call */
/** @typedef {{code: string, message: string, command: Command | null}} Refusal */
/** @typedef {{role: Role, name: string | null}} Known */
/** @typedef {{id: string, command: Command, code: string, message: string}} Failed a message that was not taken */

/** @typedef {"connecting" | "live" | "offline" | FinalReason} SocketState */
/** @typedef {"none" | "asking" | "ready" | "failed"} CameraState */

/**
 * @typedef {Readonly<{
 *   socket: SocketState,
 *   case: import("./protocol.js").CaseHeader | null,
 *   you: import("./protocol.js").You | null,
 *   entries: readonly Entry[],
 *   synced: boolean,
 *   alarm: boolean,
 *   waiting: readonly Waiting[],
 *   shots: readonly Shot[],
 *   refusal: Refusal | null,
 *   failed: readonly Failed[],
 *   people: readonly import("./protocol.js").Person[],
 *   slots: readonly import("./protocol.js").Slot[],
 *   orders: import("./encodings.js").Orders,
 *   qualities: readonly import("./protocol.js").PersonQuality[],
 *   known: Readonly<Record<string, Known>>,
 *   consented: readonly string[],
 *   call: Call | null,
 *   calls: number,
 *   recordings: Recordings,
 *   uploads: Readonly<Record<string, import("./upload_plan.js").Progress>>,
 *   durable: boolean,
 *   parcel: import("./parcel.js").Parcel,
 *   talk: import("./talk.js").Talk,
 *   wants_call: boolean,
 *   was_in_call: boolean,
 *   hung_up: boolean,
 *   media: MediaState,
 *   camera: CameraState,
 *   camera_problem: CameraProblem | null,
 *   has_video: boolean,
 *   has_audio: boolean,
 *   audio_muted: boolean,
 *   video_muted: boolean,
 *   offset_ms: number,
 * }>} State
 */

/**
 * @typedef {{type: "socket", state: SocketState}
 *   | {type: "received", message: ServerMessage, at: number}
 *   | {type: "forgotten"}
 *   | {type: "commanded", id: string, command: Command}
 *   | {type: "wish", wants_call: boolean}
 *   | {type: "media", state: MediaState}
 *   | {type: "camera", state: CameraState, problem?: CameraProblem, has_video?: boolean, has_audio?: boolean}
 *   | {type: "muted", audio: boolean, video: boolean}
 *   | {type: "clock", offset_ms: number}
 *   | {type: "upload", sha256: string, progress: import("./upload_plan.js").Progress | null}
 *   | {type: "volatile"}
 *   | {type: "refusal_seen"}
 *   | {type: "kept", failed: readonly Failed[]}
 *   | {type: "dropped", id: string}} Event
 *   kept: of an earlier life of the page; dropped: the person wants it no more, or says it anew
 */

/** What a person has said, and will want to keep even if the service did not take it. */
const SAID = [
  "text",
  "phrase",
  "attach",
  "share_place",
  "request_change",
  "hand_over",
  "confirm",
  "refuse_receipt",
  "report_exception",
];

/** @type {State} */
export const INITIAL = Object.freeze({
  socket: "connecting",
  case: null,
  you: null,
  entries: [],
  synced: false,
  alarm: false,
  waiting: [],
  shots: [],
  refusal: null,
  failed: [],
  people: [],
  slots: [],
  orders: NO_ORDERS,
  qualities: [],
  known: {},
  consented: [],
  call: null,
  calls: 0,
  recordings: NOTHING_RECORDED,
  uploads: {},
  durable: true,
  parcel: NO_PARCEL,
  talk: NO_TALK,
  wants_call: false,
  was_in_call: false,
  hung_up: false,
  media: "none",
  camera: "none",
  camera_problem: null,
  has_video: false,
  has_audio: false,
  audio_muted: false,
  video_muted: false,
  offset_ms: 0,
});

/**
 * @param {State} state
 * @param {Event} event
 * @returns {State}
 */
export function reduce(state, event) {
  switch (event.type) {
    case "socket":
      // Who is present is a fact of the moment: without a socket nobody can say.
      return event.state === "live" || event.state === "connecting"
        ? { ...state, socket: event.state }
        : {
            ...state,
            socket: event.state,
            people: state.people.map((person) => ({ ...person, online: false })),
            qualities: [],
          };
    case "received":
      return receive(state, event.message, event.at);
    case "forgotten":
      return {
        ...state,
        entries: [],
        synced: false,
        alarm: true,
        consented: [],
        call: null,
        calls: 0,
        recordings: NOTHING_RECORDED,
        parcel: NO_PARCEL,
        talk: NO_TALK,
      };
    case "commanded":
      return {
        ...state,
        waiting: [...state.waiting, { id: event.id, command: event.command }],
        shots:
          event.command.kind === "take_frame"
            ? [...state.shots, { id: event.id, of: event.command.of, number: null }]
            : state.shots,
      };
    case "wish":
      return {
        ...state,
        wants_call: event.wants_call,
        was_in_call: state.was_in_call || event.wants_call,
        hung_up: !event.wants_call,
      };
    case "media":
      // The call is on another device of this person: this page wants it no longer.
      return event.state === "elsewhere"
        ? { ...state, media: event.state, wants_call: false }
        : { ...state, media: event.state };
    case "camera":
      return {
        ...state,
        camera: event.state,
        camera_problem: event.problem ?? null,
        has_video: event.has_video ?? false,
        has_audio: event.has_audio ?? false,
      };
    case "muted":
      return { ...state, audio_muted: event.audio, video_muted: event.video };
    case "clock":
      return { ...state, offset_ms: event.offset_ms };
    case "upload": {
      const { [event.sha256]: _, ...others } = state.uploads;
      return {
        ...state,
        uploads: event.progress ? { ...state.uploads, [event.sha256]: event.progress } : others,
      };
    }
    case "volatile":
      return { ...state, durable: false };
    case "refusal_seen":
      return { ...state, refusal: null };
    case "kept":
      return { ...state, failed: [...event.failed, ...state.failed] };
    case "dropped":
      return { ...state, failed: state.failed.filter(({ id }) => id !== event.id) };
  }
}

/** @param {State} state @param {ServerMessage} message @param {number} at @returns {State} */
function receive(state, message, at) {
  switch (message.type) {
    case "welcome": {
      // An entry names its actor by id alone: these are all whom an entry may name.
      let known = state.known;
      for (const { actor_id, role, name } of [...message.people, message.you])
        known = know(known, actor_id, role, name);
      // Of an erased case the page knows what it knows of one that has ended: nothing more can be done in it.
      const over = message.case.state === "erased";
      const header = over ? { ...message.case, state: "ended" } : message.case;
      return { ...state, case: header, you: message.you, known };
    }
    case "entry": {
      // What is caught up on after a break was recorded long ago, and says nothing about the clock.
      const heard =
        state.socket === "live"
          ? { ...state, offset_ms: sooner(state, message.entry.envelope.recorded_at, at) }
          : state;
      return evolve(heard, message.entry);
    }
    case "synced":
      return { ...state, socket: "live", synced: true };
    case "ack": {
      // The shot stays until its entry is here: the picture never leaves the strip between the two.
      const number = message.number;
      const shots = state.shots
        .map((shot) => (shot.id === message.id ? { ...shot, number } : shot))
        .filter((shot) => shot.id !== message.id || (number !== null && number > state.entries.length));
      return { ...state, shots, waiting: state.waiting.filter((waiting) => waiting.id !== message.id) };
    }
    case "nack": {
      const command = state.waiting.find((waiting) => waiting.id === message.id)?.command ?? null;
      return {
        ...state,
        waiting: state.waiting.filter((waiting) => waiting.id !== message.id),
        shots: state.shots.filter((shot) => shot.id !== message.id),
        // A mark is nothing that the person did: they are not told of it.
        refusal:
          command?.kind === "mark"
            ? state.refusal
            : { code: message.code, message: message.message, command },
        failed:
          command && SAID.includes(command.kind)
            ? [...state.failed, { id: message.id, command, code: message.code, message: message.message }]
            : state.failed,
        // Refused at the door: asking again by itself would only be refused again.
        wants_call: command?.kind === "join" || command?.kind === "consent" ? false : state.wants_call,
      };
    }
    case "event":
      switch (message.event.kind) {
        case "slots":
          return { ...state, slots: message.event.slots };
        case "encodings": {
          const { encodings, sharp } = message.event;
          return { ...state, orders: { encodings, sharp } };
        }
        case "presence": {
          let known = state.known;
          for (const person of message.event.people)
            known = know(known, person.actor_id, person.role, person.name);
          return { ...state, people: message.event.people, known };
        }
        case "quality":
          return { ...state, qualities: message.event.people };
        default:
          return state;
      }
    default:
      return state;
  }
}

/** One more entry of the log. @param {State} state @param {Entry} entry @returns {State} */
function evolve(state, entry) {
  const { kind, number, actor_id, role, recorded_at } = entry.envelope;
  if (number !== state.entries.length + 1) return state; // the synchronisation lets no hole through
  const { body } = entry;
  /** @type {State} */
  const next = {
    ...state,
    entries: [...state.entries, entry],
    shots: withoutAnswered(state, entry),
    known: know(state.known, actor_id, role, null),
    recordings: keep(state.recordings, entry),
    parcel: followParcel(state.parcel, entry),
    talk: followTalk(state.talk, entry),
  };
  if (body === null) return next; // withheld from this reader, or erased: nobody knows what it changed
  switch (kind) {
    case "link_issued":
      return { ...next, known: know(next.known, body.link_id, body.role, body.name) };
    case "consented":
      return { ...next, consented: [...new Set([...next.consented, actor_id])] };
    case "call_started":
      return {
        ...next,
        calls: body.call_number,
        call: { call_number: body.call_number, started_at: recorded_at, in_call: [] },
      };
    case "joined": {
      if (!next.call) return next;
      const in_call = [...next.call.in_call.filter((id) => id !== actor_id), actor_id];
      const mine = actor_id === next.you?.actor_id;
      return { ...next, was_in_call: next.was_in_call || mine, call: { ...next.call, in_call } };
    }
    case "left":
      if (!next.call) return next;
      return { ...next, call: { ...next.call, in_call: next.call.in_call.filter((id) => id !== actor_id) } };
    case "call_ended":
      return { ...next, call: null };
    case "erased":
      return refold(next, withoutErased(next.entries, body));
    case "case_ended":
      return {
        ...next,
        call: null,
        wants_call: false,
        case: next.case ? { ...next.case, state: "ended" } : null,
      };
    default:
      return next;
  }
}

/**
 * The state that these entries lead to, the last of which is in the state by now: what a page that is loaded now has.
 * @param {State} state
 * @param {readonly Entry[]} entries
 * @returns {State}
 */
function refold(state, entries) {
  if (entries.every(({ body }, place) => body === state.entries[place]?.body)) return state;
  const { consented, call, calls, recordings, parcel, talk } = INITIAL;
  const last = entries.length - 1;
  const folded = entries
    .slice(0, last)
    .reduce(evolve, { ...state, entries: [], consented, call, calls, recordings, parcel, talk });
  return { ...folded, entries };
}

/**
 * A picture of mine answers my oldest press on the same person, whether or not its ack came first.
 * @param {State} state
 * @param {Entry} entry
 */
function withoutAnswered({ shots, you }, { envelope, body }) {
  const answers = envelope.kind === "frame_sealed" || envelope.kind === "frame_failed";
  if (!answers || envelope.actor_id !== you?.actor_id) return shots;
  const shot =
    shots.find(({ number }) => number === envelope.number) ??
    shots.find(({ of, number }) => number === null && of === body?.of);
  return shots.filter((other) => other !== shot);
}

/**
 * @param {Readonly<Record<string, Known>>} known
 * @param {string} actor_id
 * @param {Role} role
 * @param {string | null} name
 */
function know(known, actor_id, role, name) {
  const before = known[actor_id];
  if (before && before.role === role && (name === null || before.name === name)) return known;
  return { ...known, [actor_id]: { role, name: name ?? before?.name ?? null } };
}

/** The server's clock is ahead by at least this much: an entry cannot arrive before it was recorded. */
/** @param {State} state @param {string} recorded_at @param {number} at */
function sooner(state, recorded_at, at) {
  const offset_ms = Date.parse(recorded_at) - at;
  return Number.isNaN(offset_ms) ? state.offset_ms : offset_ms;
}

// What the views ask of a state.

/** @param {State} state */
export function inCall(state) {
  return state.you !== null && (state.call?.in_call ?? []).includes(state.you.actor_id);
}

/** Whether this person is in the call with another device; here they may take it over. @param {State} state */
export function isElsewhere(state) {
  const me = state.people.find((person) => person.actor_id === state.you?.actor_id);
  return state.media === "elsewhere" && inCall(state) && !state.wants_call && me?.media_session != null;
}

/** @param {State} state */
export function hasConsented(state) {
  return state.you !== null && state.consented.includes(state.you.actor_id);
}

/** Others in the call, the ones to show large first: customer and courier before QA. @param {State} state */
export function others(state) {
  const weight = { customer: 0, courier: 0, guest: 0, qa: 1, dispatch: 1, integrator: 2, system: 2 };
  const ids = (state.call?.in_call ?? []).filter((id) => id !== state.you?.actor_id);
  return ids.sort(
    (a, b) => weight[state.known[a]?.role ?? "system"] - weight[state.known[b]?.role ?? "system"],
  );
}

/**
 * Whose picture the shutter takes: the chosen one while they are there, else the first of the others.
 * @param {State} state
 * @param {string | null} chosen
 */
export function targetOf(state, chosen) {
  const present = others(state);
  if (chosen !== null && (present.includes(chosen) || chosen === state.you?.actor_id)) return chosen;
  return present[0] ?? null;
}

/** What comes of somebody's picture to this page. @param {State} state @param {string} actor_id @returns {import("./protocol.js").Picture} */
export function pictureOf(state, actor_id) {
  return state.slots.find((slot) => slot.actor_id === actor_id)?.picture ?? "live";
}

/** Whether somebody's camera prefers detail to movement now. @param {State} state @param {string | null} actor_id */
export function isSharp(state, actor_id) {
  if (actor_id === state.you?.actor_id) return actor_id !== undefined && state.orders.sharp;
  return state.slots.find((slot) => slot.actor_id === actor_id)?.sharp ?? false;
}

/**
 * What still has to be said to the server for the person's wish to come true; each at most once at a time.
 * It repeats by itself after a reconnect, a lost call, a reload.
 * @param {State} state
 * @param {{statement: string, language: import("./protocol.js").Language}} consent what the person read and agreed to
 * @returns {Command[]}
 */
export function intentions(state, consent) {
  if (!state.synced || state.socket !== "live" || !state.you || state.case?.state === "ended") return [];
  /** @param {string} kind */
  const said = (kind) => state.waiting.some(({ command }) => command.kind === kind);
  if (!state.wants_call || inCall(state) || said("join") || said("leave")) return [];
  /** @type {Command[]} */
  const commands = hasConsented(state) || said("consent") ? [] : [{ kind: "consent", ...consent }];
  return [...commands, { kind: "join" }];
}

/**
 * @typedef {"connecting" | "ready" | "connected" | "left" | "reconnecting" | "offline" | "ended" | "bad_link" | "revoked"
 *   | "erased"
 *   | "replaced" | "outdated"} Connection
 */

/** The one word on the connection that the page shows. @param {State} state @returns {Connection} */
export function connection(state) {
  if (state.socket !== "live" && state.socket !== "connecting" && state.socket !== "offline")
    return state.socket;
  if (state.case?.state === "ended") return "ended";
  if (state.socket === "offline") return state.synced ? "reconnecting" : "offline";
  if (!state.synced || state.socket === "connecting") return state.synced ? "reconnecting" : "connecting";
  if (state.hung_up) return "left";
  if (state.media === "connecting" || (state.media === "none" && state.wants_call)) return "connecting";
  if (state.media === "reconnecting" || state.media === "refused") return "reconnecting";
  if (!state.wants_call) return "ready";
  return inCall(state) ? "connected" : "connecting";
}

/** Sealed pictures of this log that were not erased, in order. @param {State} state */
export function frames(state) {
  return state.entries.filter(({ envelope, body }) => envelope.kind === "frame_sealed" && body !== null);
}

/**
 * Whether sound and picture of the call are being kept: "broken" while the newest piece of somebody in it was lost.
 * @param {State} state
 * @returns {"none" | "recording" | "broken"}
 */
export function recording(state) {
  if (!state.call) return "none";
  const { in_call } = state.call;
  return state.recordings.unkept.some((id) => in_call.includes(id)) ? "broken" : "recording";
}

/** Seconds that the call has lasted. @param {State} state @param {number} at milliseconds of the page's clock */
export function callSeconds(state, at) {
  if (!state.call) return 0;
  const started = Date.parse(state.call.started_at);
  return Math.max(0, Math.floor((at + state.offset_ms - started) / 1000));
}

/**
 * What the person did here, for the page after the call: entries from their first joining on.
 * @param {State} state
 */
export function summary(state) {
  const first = state.entries.find(
    ({ envelope }) => envelope.kind === "joined" && envelope.actor_id === state.you?.actor_id,
  );
  const since = first ? state.entries.slice(first.envelope.number - 1) : [];
  const duration_ms = since
    .filter(({ envelope }) => envelope.kind === "call_ended")
    .reduce((sum, entry) => sum + (entry.body?.duration_ms ?? 0), 0);
  const pictures = since.filter(({ envelope }) => envelope.kind === "frame_sealed");
  return {
    first: first?.envelope.number ?? 0,
    last: state.entries.length,
    duration_ms,
    pictures: pictures.filter(({ body }) => body !== null),
    erased_pictures: pictures.filter(({ body }) => body === null).length,
  };
}
