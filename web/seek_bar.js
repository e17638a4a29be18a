// @ts-check
/**
 * The time of a call as a line to move along, and below it a lane for each person: what was recorded of them, what
 * was lost, when they were away, and where a picture was sealed.
 */

import { h, keyed, set, text } from "./dom.js";
import { duration } from "./sentences.js";
import { clockTime } from "./words.js";

/** @typedef {import("./recordings.js").RecordedCall} RecordedCall */
/** @typedef {import("./words.js").Words} Words */

/** @typedef {{key: string, kind: "stretch" | "gap" | "hole" | "frame", began_ms: number, ended_ms: number, told: string}} Mark */

export class SeekBar {
  #began_ms = 0;
  #whole_ms = 1;

  /** @param {(at_ms: number) => void} onSeek */
  constructor(onSeek) {
    this.past = h("div", { class: "seek-past" });
    this.cursor = h("div", { class: "seek-cursor" });
    this.lanes = h("div", { class: "seek-lanes" });
    this.names = h("div", { class: "seek-names" });
    this.field = h(
      "div",
      { class: "seek-field", role: "slider", tabindex: 0, testid: "seek" },
      h("div", { class: "seek-line" }, this.past),
      this.lanes,
      this.cursor,
    );
    this.element = h("div", { class: "seek" }, this.names, this.field);
    /** @param {PointerEvent} event */
    const seek = (event) => {
      const { left, width } = this.field.getBoundingClientRect();
      const share = Math.max(0, Math.min(1, (event.clientX - left) / Math.max(1, width)));
      onSeek(this.#began_ms + share * this.#whole_ms);
    };
    this.field.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.field.setPointerCapture(event.pointerId);
      seek(event);
    });
    this.field.addEventListener("pointermove", (event) => {
      if (this.field.hasPointerCapture(event.pointerId)) seek(event);
    });
  }

  /**
   * @param {RecordedCall} call
   * @param {{began_ms: number, ended_ms: number}} span
   * @param {readonly {actor_id: string, name: string}[]} people
   * @param {Words} words
   * @param {string} [time_zone] of the case
   */
  update(call, { began_ms, ended_ms }, people, words, time_zone) {
    this.#began_ms = began_ms;
    this.#whole_ms = Math.max(1, ended_ms - began_ms);
    set(this.field, "aria-label", words.desk.player.position);
    set(this.field, "aria-valuemin", 0);
    set(this.field, "aria-valuemax", Math.round(this.#whole_ms / 1000));
    const lanes = people.map(({ actor_id }) => actor_id);
    const lane = () => h("div", { class: "seek-lane" });
    keyed(
      this.names,
      lanes,
      () => h("span", { class: "seek-name" }),
      (name, actor_id) => text(name, people.find((person) => person.actor_id === actor_id)?.name ?? ""),
    );
    keyed(this.lanes, lanes, lane, (element, actor_id) => {
      set(element, "data-actor-id", actor_id);
      const marks = new Map(
        marksOf(call, actor_id, ended_ms, words, time_zone).map((mark) => [mark.key, mark]),
      );
      keyed(
        element,
        [...marks.keys()],
        () => h("span", { class: "seek-mark" }),
        (item, key) => {
          const mark = marks.get(key);
          if (!mark) return;
          set(item, "data-kind", mark.kind);
          set(item, "title", mark.told);
          item.style.setProperty("left", this.#percent(mark.began_ms));
          if (mark.kind !== "frame") {
            const share = Math.max(0, mark.ended_ms - mark.began_ms) / this.#whole_ms;
            item.style.setProperty("width", `${(100 * share).toFixed(3)}%`);
          }
        },
      );
    });
  }

  /** @param {number} at_ms @param {string} told the time in words */
  move(at_ms, told) {
    const left = this.#percent(at_ms);
    if (this.cursor.style.left !== left) {
      this.cursor.style.setProperty("left", left);
      this.past.style.setProperty("width", left);
    }
    set(this.field, "aria-valuenow", Math.round((at_ms - this.#began_ms) / 1000));
    set(this.field, "aria-valuetext", told);
  }

  /** @param {number} at_ms */
  #percent(at_ms) {
    const share = Math.max(0, Math.min(1, (at_ms - this.#began_ms) / this.#whole_ms));
    return `${(100 * share).toFixed(3)}%`;
  }
}

/**
 * What a person's lane shows, the later above the earlier. Pure.
 * @param {RecordedCall} call
 * @param {string} actor_id
 * @param {number} ended_ms until when a gap lasts that nobody ended
 * @param {Words} words
 * @param {string} [time_zone] of the case
 * @returns {Mark[]}
 */
export function marksOf(call, actor_id, ended_ms, words, time_zone) {
  const { player } = words.desk;
  const track = call.tracks.find((track) => track.actor_id === actor_id);
  /** @type {Mark[]} */
  const marks = [];
  for (const stretch of track?.stretches ?? []) {
    marks.push({ key: `stretch ${stretch.began_ms}`, kind: "stretch", ...stretch, told: player.recorded });
  }
  for (const gap of call.gaps) {
    if (gap.actor_id !== actor_id) continue;
    const ended = gap.ended_ms ?? ended_ms;
    const known = words.entry.gap_ended;
    const told = known[/** @type {keyof typeof known} */ (gap.cause)] ?? known.network;
    const lasted = duration(ended - gap.began_ms, words);
    const since = clockTime(gap.began_ms, time_zone);
    marks.push({
      key: `gap ${gap.number}`,
      kind: "gap",
      began_ms: gap.began_ms,
      ended_ms: ended,
      told: told(since, lasted),
    });
  }
  for (const hole of track?.holes ?? []) {
    const lasted = duration(hole.ended_ms - hole.began_ms, words);
    marks.push({
      key: `hole ${hole.number}`,
      kind: "hole",
      began_ms: hole.began_ms,
      ended_ms: hole.ended_ms,
      told: player.hole(clockTime(hole.began_ms, time_zone), lasted),
    });
  }
  for (const frame of call.frames) {
    if (frame.of !== actor_id) continue;
    const told = words.sealed(clockTime(frame.at_ms, time_zone), frame.number);
    marks.push({
      key: `frame ${frame.number}`,
      kind: "frame",
      began_ms: frame.at_ms,
      ended_ms: frame.at_ms,
      told,
    });
  }
  return marks;
}
