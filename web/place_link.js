// @ts-check
/** A place as a link to a map, opened beside the page. The map learns the place, and not who asks. */

import { h } from "./dom.js";

/** @typedef {import("./protocol.js").Place} Place */

/** @param {Place} place in degrees, six decimals @returns {{latitude: string, longitude: string}} */
export function degreesOf({ latitude_e6, longitude_e6 }) {
  return { latitude: (latitude_e6 / 1e6).toFixed(6), longitude: (longitude_e6 / 1e6).toFixed(6) };
}

/**
 * An https address, for web views of other apps know no geo: links. Phones that read Chinese are mostly where the
 * one map works, the others where the other does; both take WGS 84.
 * @param {Place} place
 * @param {import("./protocol.js").Language} language
 */
export function mapAddress(place, language) {
  const { latitude, longitude } = degreesOf(place);
  return language === "zh"
    ? `https://uri.amap.com/marker?position=${longitude},${latitude}&coordinate=wgs84`
    : `https://www.openstreetmap.org/?mlat=${latitude}&mlon=${longitude}#map=17/${latitude}/${longitude}`;
}

/** In the language of the page at that moment. @param {Place} place */
export function placeLink(place) {
  const language = document.documentElement.lang.startsWith("zh") ? "zh" : "en";
  return h("a", {
    class: "place-link",
    testid: "place-link",
    href: mapAddress(place, language),
    target: "_blank",
    rel: "noreferrer noopener",
  });
}
