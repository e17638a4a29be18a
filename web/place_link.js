// @ts-check
/** A place as a link to a map, opened beside the page. The map learns the place, and not who asks. */

import { h } from "./dom.js";

/** @typedef {import("./protocol.js").Place} Place */

/** @param {Place} place in degrees, six decimals @returns {{latitude: string, longitude: string}} */
export function degreesOf({ latitude_e6, longitude_e6 }) {
  return { latitude: (latitude_e6 / 1e6).toFixed(6), longitude: (longitude_e6 / 1e6).toFixed(6) };
}

/** @param {Place} place */
export function placeLink(place) {
  const { latitude, longitude } = degreesOf(place);
  return h("a", {
    class: "place-link",
    testid: "place-link",
    href: `https://www.openstreetmap.org/?mlat=${latitude}&mlon=${longitude}#map=18/${latitude}/${longitude}`,
    target: "_blank",
    rel: "noreferrer noopener",
  });
}
