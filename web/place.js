// @ts-check
/** Where the phone is, asked for once: the place as messages write it, or why there is none. */

const PATIENCE_MS = 15_000; // a phone that begins with the satellites needs about ten seconds
const FRESH_ENOUGH_MS = 30_000; // nobody at a door has gone far since

/** @typedef {import("./protocol.js").Place} Place */
/** @typedef {"denied" | "unavailable" | "timeout" | "insecure"} PlaceProblem */

export class NoPlace extends Error {
  /** @param {PlaceProblem} code */
  constructor(code) {
    super(code);
    this.code = code;
  }
}

/** @returns {Promise<Place>} rejects with NoPlace */
export function askPlace() {
  return new Promise((resolve, reject) => {
    if (!isSecureContext) return reject(new NoPlace("insecure"));
    if (!navigator.geolocation) return reject(new NoPlace("unavailable"));
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => resolve(placeOf(coords)),
      ({ code }) => reject(new NoPlace(code === 1 ? "denied" : code === 3 ? "timeout" : "unavailable")),
      { enableHighAccuracy: true, timeout: PATIENCE_MS, maximumAge: FRESH_ENOUGH_MS },
    );
  });
}

/** In millionths of a degree; never claimed to be more exact than the phone says. @param {{latitude: number, longitude: number, accuracy: number}} coords @returns {Place} */
export function placeOf({ latitude, longitude, accuracy }) {
  return {
    latitude_e6: Math.round(latitude * 1e6),
    longitude_e6: Math.round(longitude * 1e6),
    accuracy_m: Math.min(40_000_000, Math.ceil(accuracy)),
  };
}
