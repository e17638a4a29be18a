// @ts-check
/** An entry of the log as a line that people read. Pure. */

import { isErased } from "./erasure.js";
import { callerOf } from "./parcel_next.js";
import { sayTime } from "./parcel_times.js";
import { piecesOf } from "./recordings.js";
import { say } from "./translations.js";
import { languageIn, percent } from "./words.js";

/** @typedef {import("./protocol.js").Entry} Entry */
/** @typedef {import("./state.js").State} State */
/** @typedef {import("./words.js").Words} Words */

/**
 * @param {State} state
 * @param {string} actor_id
 * @param {Words} words
 */
export function nameOf(state, actor_id, words) {
  if (actor_id === state.you?.actor_id) return words.you;
  const known = state.known[actor_id];
  return known?.name ?? (known ? words.role[known.role] : words.somebody);
}

/** The same, of whom something is done to. @param {State} state @param {string} actor_id @param {Words} words */
function objectOf(state, actor_id, words) {
  return actor_id === state.you?.actor_id ? words.you_object : nameOf(state, actor_id, words);
}

/** Who it is, by role and name, for what a role decides. @param {State} state @param {string} actor_id @param {Words} words */
export function personOf(state, actor_id, words) {
  const known = state.known[actor_id];
  if (!known) return words.somebody;
  return [words.role[known.role], known.name].filter(Boolean).join(" ");
}

/** @param {number} duration_ms @param {Words} words */
export function duration(duration_ms, words) {
  const seconds = Math.round(duration_ms / 1000);
  return words.minutes(Math.floor(seconds / 60), seconds % 60);
}

/**
 * @param {Entry} entry
 * @param {State} state
 * @param {Words} words
 * @returns {string}
 */
export function sentenceOf(entry, state, words) {
  const { kind, actor_id } = entry.envelope;
  const name = nameOf(state, actor_id, words);
  const body = entry.body;
  if (body === null) {
    const plain =
      kind === "case_opened" ? words.entry.case_opened : kind === "exported" && words.entry.exported(name);
    return plain || (isErased(entry, state.entries) ? words.entry.body_erased : words.entry.withheld);
  }
  switch (kind) {
    case "case_opened":
      return words.entry.case_opened;
    case "link_issued":
      return words.entry.link_issued(
        `${words.role[/** @type {"qa"} */ (body.role)] ?? body.role} ${body.name}`,
      );
    case "link_revoked":
      return words.entry.link_revoked(objectOf(state, body.link_id, words));
    case "consented":
      return words.entry.consented(name);
    case "call_started":
      return words.entry.call_started(body.call_number);
    case "joined":
      return words.entry.joined(name);
    case "gap_started":
      return (
        words.entry.gap_started[/** @type {"network"} */ (body.cause)] ?? words.entry.gap_started.network
      )(name);
    case "gap_ended": {
      const lasted = body.duration_ms === null ? words.unknown_time : duration(body.duration_ms, words);
      const over =
        words.entry.gap_ended[/** @type {"network"} */ (body.cause)] ?? words.entry.gap_ended.network;
      return over(name, lasted);
    }
    case "call_quality":
      return words.entry.call_quality(
        name,
        percent(body.sent.loss_permille),
        percent(body.received.loss_permille),
        body.gaps.count,
      );
    case "left":
      return (words.entry.left[/** @type {"left"} */ (body.reason)] ?? words.entry.left.left)(name);
    case "call_ended":
      return (body.reason === "aborted" ? words.entry.call_aborted : words.entry.call_ended)(
        duration(body.duration_ms, words),
      );
    case "segment_sealed":
      return words.entry.segment_sealed(name, body.segment);
    case "segment_lost":
      return words.entry.segment_lost(name, body.segment);
    case "text":
      return body.text;
    case "phrase":
    case "notice_sent":
      return said(body.text, words);
    case "attached":
      return words.entry[/** @type {"photo"} */ (body.attachment.medium)](body.caption ?? "");
    case "attachment_stored": {
      const photo = body.shown.media_type.startsWith("image/");
      return (photo ? words.entry.photo_stored : words.entry.voice_stored)(body.number);
    }
    case "attachment_refused":
      return words.entry.attachment_refused(body.number);
    case "placed": {
      const accuracy = String(body.place.accuracy_m);
      return body.distance_m === null
        ? words.entry.placed(name, accuracy)
        : words.entry.placed_at(name, accuracy, distance(body.distance_m, words));
    }
    case "receipt":
      return body.read > 0 && body.read === body.delivered
        ? words.entry.receipt_read(name, body.read)
        : words.entry.receipt_delivered(name, body.delivered);
    case "notice_repeated":
      return words.entry.notice_repeated;
    case "notice_unanswered":
      return words.entry.notice_unanswered;
    case "answered":
      return (body.replaces === null ? words.entry.answered : words.entry.answer_changed)(
        answerWords(/** @type {any} */ (body), state, words),
      );
    case "answer_taken":
      return actor_id === state.you?.actor_id ? words.entry.answer_taken_you : words.entry.answer_taken(name);
    case "change_requested":
    case "agreed": {
      const forms = words.entry[kind];
      return forms[/** @type {"address"} */ (body.what)](wishWords(/** @type {any} */ (body), state, words));
    }
    case "change_answered": {
      const answer = (body.accepted ? words.entry.change_accepted : words.entry.change_declined)(name);
      return joined([answer, body.remark]);
    }
    case "change_withdrawn":
      return words.entry.change_withdrawn(name);
    case "handed_over":
      return words.entry.handed_over(joined([said(body.label, words), body.text]));
    case "confirmed":
      return body.reservation === null ? words.entry.confirmed : words.entry.confirmed_with(body.reservation);
    case "receipt_refused":
      return words.entry.receipt_refused(body.text);
    case "exception_reported":
      return words.entry.exception_reported(joined([said(body.label, words), body.text]));
    case "exception_taken":
      return words.entry.exception_taken(name, body.number);
    case "exception_decided":
      return words.entry.exception_decided(body.number, joined([said(body.label, words), body.remark]));
    case "exception_acknowledged":
      return words.entry.exception_acknowledged(name, body.number);
    case "exception_closed":
      return joined([words.entry.exception_closed(body.number), body.remark]);
    case "exception_overdue":
      return words.entry.exception_overdue(body.number);
    case "call_rung":
      return words.entry.call_rung(name, namesOf(state, body.of, words));
    case "call_declined":
      return words.entry.call_declined(name);
    case "call_missed":
      return body.of.includes(state.you?.actor_id)
        ? words.entry.call_missed_you(callerName(state, body.call_number, words))
        : words.entry.call_missed(namesOf(state, body.of, words));
    case "frame_sealed":
      if (body.of === state.you?.actor_id) return words.entry.frame_sealed_you;
      return words.entry.frame_sealed(nameOf(state, body.of, words));
    case "frame_failed":
      return words.entry.frame_failed(objectOf(state, body.of, words));
    case "viewed":
      return (body.original ? words.entry.viewed_original : words.entry.viewed)(name, body.number);
    case "exported":
      return words.entry.exported(name);
    case "read": {
      const range = numbers(body.after + 1, body.up_to);
      if (body.up_to <= body.after) return words.entry.read_nothing_new(name);
      return (body.live ? words.entry.read_live : words.entry.read)(name, range);
    }
    case "played_back":
      return words.entry.played_back(name, nameOf(state, body.of, words), body.call_number);
    case "refused":
      return words.entry.refused(name, refusedWhat(body.what, words));
    case "case_ended":
      return words.entry.case_ended;
    case "erased": {
      const what =
        body.kinds === null && body.numbers === "all" ? words.entry.erased : words.entry.erased_media;
      return joined([what, body.reason]);
    }
    case "hold_set":
      return joined([words.entry.hold_set(name), body.reason]);
    case "hold_lifted":
      return joined([words.entry.hold_lifted(name, body.number), body.reason]);
    default:
      return kind;
  }
}

/**
 * The one line for all that an entry stands for in the log: a call's recording, a run of lost pieces.
 * @param {Entry} entry
 * @param {State} state
 * @param {Words} words
 */
export function foldedSentence(entry, state, words) {
  const { kind, number, actor_id } = entry.envelope;
  const call = state.recordings.calls.find(({ call_number }) => call_number === entry.body?.call_number);
  if (kind === "segment_sealed" && call?.first_piece === number) {
    const { sealed, lost } = piecesOf(call);
    return (call.ended_ms === null ? words.entry.recording : words.entry.recorded)(sealed, lost);
  }
  const hole = call?.tracks.flatMap(({ holes }) => holes).find((hole) => hole.number === number);
  if (kind === "segment_lost" && hole) {
    const lasted = duration(hole.ended_ms - hole.began_ms, words);
    return words.entry.hole(nameOf(state, actor_id, words), hole.pieces, lasted);
  }
  return sentenceOf(entry, state, words);
}

/** A text of the log in the language of these words. @param {import("./translations.js").Translations} texts @param {Words} words */
export function said(texts, words) {
  return say(texts, [languageIn(words)]);
}

/** @param {number} distance_m @param {Words} words */
export function distance(distance_m, words) {
  return distance_m < 1000 ? words.metres(distance_m) : words.kilometres((distance_m / 1000).toFixed(1));
}

/**
 * The choice, and what was said with it.
 * @param {{label: import("./translations.js").Translations, when_at: string | null, detail: string | null}} answer
 * @param {State} state
 * @param {Words} words
 */
export function answerWords({ label, when_at, detail }, state, words) {
  return joined([said(label, words), wishedTime(when_at, state, words), detail]);
}

/**
 * What is wished for, or agreed: a time before the words about it.
 * @param {{text: string, when_at: string | null}} wish
 * @param {State} state
 * @param {Words} words
 */
export function wishWords({ text, when_at }, state, words) {
  return joined([wishedTime(when_at, state, words), text]);
}

/** @param {string | null} when_at @param {State} state @param {Words} words */
function wishedTime(when_at, state, words) {
  return when_at && sayTime(when_at, state.case?.time_zone, languageIn(words));
}

/** @param {(string | null | undefined)[]} parts */
function joined(parts) {
  return parts.filter((part) => part !== null && part !== undefined && part !== "").join(" · ");
}

/** @param {State} state @param {readonly string[]} actor_ids @param {Words} words */
function namesOf(state, actor_ids, words) {
  return actor_ids.map((actor_id) => objectOf(state, actor_id, words)).join(words.and);
}

/** Who began a call. @param {State} state @param {number} call_number @param {Words} words */
export function callerName(state, call_number, words) {
  const caller = callerOf(state, call_number);
  return caller === null ? words.somebody : nameOf(state, caller, words);
}

/** What was asked for and refused: the operations of the API by their names. @param {string} what @param {Words} words */
export function refusedWhat(what, words) {
  const known = words.desk.refused_what;
  return known[/** @type {keyof typeof known} */ (what)] ?? what;
}

/** @param {number} first @param {number} last */
function numbers(first, last) {
  return first === last ? String(first) : `${first}–${last}`;
}
