// @ts-check
/**
 * The networks of a call in numbers, as they run: for the desk. A row a person, below it a row a way, and what they get
 * of the pictures of others, with the reason.
 */

import { h, keyed, set, show, text } from "./dom.js";
import { networkBars, networkOf } from "./network.js";
import { nameOf } from "./sentences.js";
import { watchedLines } from "./watched.js";
import { kilobits, percent } from "./words.js";

/** @typedef {import("./protocol.js").PersonQuality} PersonQuality */
/** @typedef {import("./state.js").State} State */
/** @typedef {import("./words.js").Words} Words */

const ROWS = /** @type {const} */ (["person", "sent", "received", "watched"]);

/** @typedef {typeof ROWS[number]} Row */

export class NetworkTable {
  constructor() {
    this.title = h("h2");
    this.head = h("tr", {}, ...Array.from({ length: 5 }, () => h("th", { scope: "col" })));
    this.body = h("tbody");
    this.element = h(
      "section",
      { class: "network-numbers", testid: "network-numbers", hidden: true },
      this.title,
      h("table", {}, h("thead", {}, this.head), this.body),
    );
  }

  /** @param {State} state @param {Words} words */
  update(state, words) {
    const { desk } = words;
    const people = state.qualities.filter(({ numbers }) => numbers !== null);
    show(this.element, people.length > 0);
    text(this.title, desk.network);
    const heads = ["", desk.rate, desk.loss, desk.estimate, desk.freezes];
    for (const [place, cell] of Array.from(this.head.children).entries()) text(cell, heads[place] ?? "");
    keyed(
      this.body,
      people.flatMap(({ actor_id }) => ROWS.map((row) => `${row} ${actor_id}`)),
      (key) => makeRow(/** @type {Row} */ (key.split(" ")[0])),
      (row, key) => {
        const [which, actor_id] = key.split(" ");
        const quality = people.find((person) => person.actor_id === actor_id);
        if (quality) updateRow(row, /** @type {Row} */ (which), quality, state, words);
      },
    );
  }
}

/** @param {Row} which */
function makeRow(which) {
  const person = which === "person";
  if (which === "watched") return h("tr", {}, h("td", { colspan: 5 }));
  const network = h("span", { class: "network" }, networkBars(), person && h("span"));
  const head = h("th", { scope: "row", colspan: person ? 3 : 1 }, h("span"), network);
  return h(
    "tr",
    {},
    head,
    ...(person ? [h("td", { colspan: 2 })] : Array.from({ length: 4 }, () => h("td"))),
  );
}

/**
 * @param {HTMLElement} row
 * @param {Row} which
 * @param {PersonQuality} quality
 * @param {State} state
 * @param {Words} words
 */
function updateRow(row, which, quality, state, words) {
  const { desk } = words;
  const { actor_id, numbers } = quality;
  if (numbers === null) return;
  set(row, "data-row", which);
  set(row, "data-actor-id", actor_id);
  if (which === "watched") {
    const lines = watchedLines(numbers, state, words);
    show(row, lines.length > 0);
    const [cell] = row.children;
    if (cell instanceof HTMLElement) {
      keyed(
        cell,
        lines.map((_, place) => String(place)),
        () => h("p"),
        (line, place) => text(line, lines[Number(place)] ?? ""),
      );
    }
    return;
  }
  const [name, ...cells] = /** @type {HTMLElement[]} */ (Array.from(row.children));
  const [who, network] = /** @type {HTMLElement[]} */ (Array.from(name?.children ?? []));
  if (!who || !network) return;
  if (which === "person") {
    const level = networkOf(state, actor_id) ?? quality.level;
    text(who, nameOf(state, actor_id, words));
    set(network, "data-state", level);
    text(/** @type {Element} */ (network.lastElementChild), words.network[level]);
    const [round_trip] = cells;
    const { round_trip_ms } = numbers;
    if (round_trip)
      text(round_trip, desk.round_trip_of(round_trip_ms === null ? "–" : `${round_trip_ms} ms`));
    return;
  }
  const { playback } = numbers;
  const frozen = playback === null ? "–" : desk.freezes_text(playback.freezes, playback.frozen_ms / 1000);
  const { bitrate_bps, loss_permille, estimate_bps = null } = numbers[which];
  const estimate = estimate_bps === null ? "–" : kilobits(estimate_bps);
  const told = [kilobits(bitrate_bps), percent(loss_permille), estimate, which === "received" ? frozen : ""];
  text(who, which === "sent" ? desk.way_sent : desk.way_received);
  set(network, "data-state", quality[which]);
  set(network, "title", words.network[quality[which]]);
  for (const [place, cell] of cells.entries()) text(cell, told[place] ?? "");
}
