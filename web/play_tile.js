// @ts-check
/** One person's picture in a playback, with its name and sound, and in words what is there instead of a picture. */

import { draw, h, icon, set, text } from "./dom.js";

/** @typedef {import("./words.js").Words} Words */
/** @typedef {import("./playback_clock.js").PartState} PartState */

/**
 * @typedef {"shown" | "unasked" | "assembling" | "buffering" | "no_picture" | "absent" | "lost" | "unfinished"
 *   | "failed"} TileState
 */

/**
 * @param {{
 *   due: {state: PartState, flowing: boolean} | null, lost: boolean, silent: boolean, unfinished: boolean,
 * }} person
 *   due: their file at the cursor, if they were recorded then; lost: their pieces of this moment are;
 *   silent: the file has no picture; unfinished: why it failed
 * @returns {TileState}
 */
export function tileState({ due, lost, silent, unfinished }) {
  if (!due) return lost ? "lost" : "absent";
  if (due.state === "unasked") return "unasked";
  if (due.state === "asked") return "assembling";
  if (due.state === "failed") return unfinished ? "unfinished" : "failed";
  if (lost) return "lost";
  if (!due.flowing) return "buffering";
  return silent ? "no_picture" : "shown";
}

/** @param {{track: string, onChoose: () => void, onMute: () => void}} options */
export function makeTile({ track, onChoose, onMute }) {
  return h(
    "div",
    { class: "play-tile", testid: "play-tile", "data-actor-id": track },
    h("button", { class: "play-choose", type: "button", tabindex: -1, on: { click: onChoose } }),
    h("div", { class: "play-videos" }),
    h("p", { class: "play-what" }),
    h(
      "div",
      { class: "play-name" },
      h("span"),
      h(
        "button",
        { class: "icon-button", type: "button", testid: "play-mute", on: { click: onMute } },
        icon("sound"),
      ),
    ),
  );
}

/**
 * @param {HTMLElement} tile
 * @param {{
 *   state: TileState, name: string, chosen: boolean, muted: boolean, idle: boolean,
 *   videos: readonly HTMLVideoElement[], shown: HTMLVideoElement | null,
 * }} view
 *   idle: nobody has pressed play yet
 * @param {Words} words
 */
export function drawTile(tile, { state, name, chosen, muted, idle, videos, shown }, words) {
  const { player } = words.desk;
  const [choose, place, what, foot] = /** @type {HTMLElement[]} */ (Array.from(tile.children));
  const [who, mute] = /** @type {HTMLElement[]} */ (Array.from(foot?.children ?? []));
  const sound = mute?.querySelector("svg");
  if (!choose || !place || !what || !who || !mute || !sound) return;
  for (const video of videos) {
    if (video.parentElement !== place) place.append(video);
    set(video, "data-shown", video === shown);
  }
  set(tile, "data-state", state);
  set(tile, "data-chosen", chosen);
  const seen = state === "shown" || state === "unasked" || (idle && state === "absent");
  text(what, seen ? "" : player[/** @type {"lost"} */ (state)]);
  text(who, name);
  set(choose, "aria-label", player.choose(name));
  const word = muted ? player.unmute(name) : player.mute(name);
  set(mute, "aria-label", word);
  set(mute, "title", word);
  set(mute, "aria-pressed", String(muted));
  draw(sound, muted ? "sound_off" : "sound");
}
