// @ts-check
/**
 * How the networks of a call are, as people read it: a word, three bars, and a sentence that says whose it is.
 * The levels are the service's, which knows both ends of every way and lets none flicker.
 */

import { set } from "./dom.js";
import { inCall, others } from "./state.js";

/** @typedef {import("./protocol.js").Level} Level */
/** @typedef {import("./state.js").State} State */
/** @typedef {import("./words.js").Words} Words */
/** @typedef {Level | "silent"} Network silent: nothing of theirs arrives just now */

/**
 * null: nobody can say.
 * @param {State} state
 * @param {string} actor_id
 * @returns {Network | null}
 */
export function networkOf(state, actor_id) {
  const person = state.people.find((one) => one.actor_id === actor_id);
  if (!person?.in_call) return null;
  const mine = actor_id === state.you?.actor_id;
  // That its own connection is gone the page says in another place, and sooner.
  if (mine && state.media !== "connected") return null;
  if (person.connection === "silent" || (person.connection === "none" && !mine)) return "silent";
  return state.qualities.find((quality) => quality.actor_id === actor_id)?.level ?? null;
}

/**
 * The one sentence worth saying: of one's own network first, then of the worst of the others'.
 * @param {State} state
 * @param {Words} words
 * @returns {{network: Network, of: string, sentence: string} | null}
 */
export function networkSentence(state, words) {
  const me = state.you?.actor_id;
  if (me === undefined || !inCall(state)) return null;
  const mine = networkOf(state, me);
  if (mine === "silent" || mine === "weak")
    return { network: mine, of: me, sentence: words.own_network[mine] };
  for (const network of /** @type {const} */ (["silent", "weak"])) {
    const of = others(state).find((actor_id) => networkOf(state, actor_id) === network);
    const role = of === undefined ? undefined : state.known[of]?.role;
    if (of === undefined || role === undefined) continue;
    const whose = words.whose[/** @type {"qa"} */ (role)] ?? words.whose.qa;
    return { network, of, sentence: words.their_network[network](whose) };
  }
  return mine === null ? null : { network: mine, of: me, sentence: words.own_network[mine] };
}

/**
 * How long to wait, in each receive slot, for what was lost and is sent again: first on the way from whoever sits
 * there, then on the way to the reader. A shorter buffer shows a picture that stands still.
 * @param {State} state
 * @returns {Map<string, number>} milliseconds by mid
 */
export function patience(state) {
  const of = (/** @type {string | undefined} */ actor_id) =>
    state.qualities.find((quality) => quality.actor_id === actor_id);
  const own_ms = of(state.you?.actor_id)?.received_repair_ms ?? 0;
  return new Map(
    state.slots.flatMap(({ actor_id, audio_mid, video_mid }) => {
      const wait_ms = own_ms + (of(actor_id)?.sent_repair_ms ?? 0);
      return [audio_mid, video_mid].flatMap((mid) => (mid === null ? [] : [[mid, wait_ms]]));
    }),
  );
}

const SVG = "http://www.w3.org/2000/svg";

/** Three bars; the sheet fills as many as the level has, and strikes them out for silence. */
export function networkBars() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 14");
  svg.setAttribute("class", "bars");
  svg.setAttribute("aria-hidden", "true");
  for (const [x, height] of [
    [0.5, 4],
    [6, 8],
    [11.5, 12.5],
  ]) {
    const bar = document.createElementNS(SVG, "rect");
    set(bar, "x", x ?? 0);
    set(bar, "y", 13.5 - (height ?? 0));
    set(bar, "width", 4);
    set(bar, "height", height ?? 0);
    svg.append(bar);
  }
  const strike = document.createElementNS(SVG, "path");
  strike.setAttribute("d", "M1 1l14 12.500");
  svg.append(strike);
  return svg;
}
