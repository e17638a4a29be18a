// @ts-check
/**
 * What only the page knows of a call: how it played what came, from RTCPeerConnection.getStats(). Pure.
 * Of how the networks are the service says more: it sees both ends of every way.
 */

/**
 * As in PROTOCOL.md, without its kind.
 * @typedef {{frames: number, freezes: number, frozen_ms: number, audio_samples: number, concealed_samples: number}} Played
 */

/** @type {Readonly<Played>} */
export const NOTHING_PLAYED = Object.freeze({
  frames: 0,
  freezes: 0,
  frozen_ms: 0,
  audio_samples: 0,
  concealed_samples: 0,
});

const MOST = 2 ** 32; // PROTOCOL.md

/**
 * Since the connection began, over all that it receives.
 * @param {Iterable<any>} report what getStats() gives
 * @returns {Played}
 */
export function readPlayed(report) {
  const sum = { ...NOTHING_PLAYED };
  for (const item of report) {
    if (item.type !== "inbound-rtp") continue;
    sum.frames += item.framesDecoded ?? 0;
    sum.freezes += item.freezeCount ?? 0;
    sum.frozen_ms += Math.round((item.totalFreezesDuration ?? 0) * 1000);
    sum.audio_samples += item.totalSamplesReceived ?? 0;
    // Silence is made up while nobody sends, too; what is heard of it is the rest.
    sum.concealed_samples += (item.concealedSamples ?? 0) - (item.silentConcealedSamples ?? 0);
  }
  return sum;
}

/** @param {Played} one @param {Played} more @returns {Played} */
export function add(one, more) {
  return each((name) => one[name] + more[name]);
}

/** The readings of one connection. */
export class Playback {
  /** @type {Played} */
  #before = NOTHING_PLAYED;

  /** @param {Played} now since the connection began @returns {Played} since the reading before */
  handleReading(now) {
    const before = this.#before;
    this.#before = now;
    return each((name) => now[name] - before[name]);
  }
}

/** Whole numbers within the protocol's bounds. @param {(name: keyof Played) => number} value @returns {Played} */
function each(value) {
  /** @param {keyof Played} name */
  const bounded = (name) => Math.min(MOST, Math.max(0, Math.round(value(name)) || 0));
  return {
    frames: bounded("frames"),
    freezes: bounded("freezes"),
    frozen_ms: bounded("frozen_ms"),
    audio_samples: bounded("audio_samples"),
    concealed_samples: bounded("concealed_samples"),
  };
}
