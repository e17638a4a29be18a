// @ts-check
/** What somebody gets of the pictures of others, and why that and no more, as QA reads it: pure. */

import { nameOf } from "./sentences.js";
import { kilobits } from "./words.js";

/**
 * A line for each person whose picture they get, and one for what holds their network's estimate where it is.
 * @param {NonNullable<import("./protocol.js").PersonQuality["numbers"]>} numbers
 * @param {import("./state.js").State} state
 * @param {import("./words.js").Words} words
 * @returns {string[]}
 */
export function watchedLines({ watched = [], limit = null }, state, words) {
  const { desk } = words;
  const lines = watched.map(({ actor_id, rid, temporal_layers, bitrate_bps, picture, reason }) => {
    const encodings = /** @type {Record<string, string>} */ (desk.encoding);
    const what =
      picture === "live"
        ? [
            rid === null ? desk.encoding_only : (encodings[rid] ?? rid),
            ...(temporal_layers === null ? [] : [desk.layers(temporal_layers)]),
          ]
        : [desk.picture[picture]];
    const rate = `${kilobits(bitrate_bps)} ${words.desk.rate}`;
    const why = reason === null ? [] : [desk.layer_reason[reason]];
    const mine = actor_id === state.you?.actor_id;
    return [
      mine ? desk.watches_you : desk.watches(nameOf(state, actor_id, words)),
      ...what,
      rate,
      ...why,
    ].join(" · ");
  });
  return limit === null ? lines : [...lines, desk.limit_of(desk.limit[limit])];
}
