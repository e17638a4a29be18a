// @ts-check
/**
 * How the own camera is encoded, from what the service asks for: pure.
 *
 * The service says how many bits a second each encoding may have (PROTOCOL.md, `encodings`); how large the picture
 * then is, and how often it comes, is decided here. Fewer bits make a smaller picture before they make a slow one:
 * below a dozen pictures a second nobody follows a hand. Whoever asked for detail gets the reverse.
 */

/** As the offer names them, the least first (RFC 8852). */
export const RIDS = Object.freeze(/** @type {const} */ (["low", "mid", "high"]));

/** The service leaves it to the browser: as much as the uplink carries. */
export const UNLIMITED_BPS = 0xffff_ffff;

/**
 * `encodings` of PROTOCOL.md: none where the camera sends as it likes.
 * @typedef {{rid: string, max_bitrate_bps: number, for_stills?: boolean}} Order
 * @typedef {{encodings: readonly Order[], sharp: boolean}} Orders
 */

/** @type {Readonly<Orders>} */
export const NO_ORDERS = Object.freeze({ encodings: Object.freeze([]), sharp: false });

/** What the camera gives. @typedef {{width: number, height: number}} Size */

/** `scale`: by how much each side is shorter than the camera's. @typedef {{frame_rate: number, scale: number}} Shape */

/**
 * One encoding. `ours`: its shape is to stay as it is here said, the browser shall not adapt it.
 * @typedef {Shape & {active: boolean, bitrate_bps: number, ours: boolean}} Encoding
 */

const SMALLEST = 4;
const SCALES = [1, 1.5, 2, 3, SMALLEST];
const SMALLEST_OF_HD = 6; // about as many pixels as the smallest of VGA
const HD_PIXELS = 1280 * 720;
const SLOW = 5; // pictures a second, of the smallest picture: the encoder drops what does not fit
const SLOWEST = 3; // pictures a second that are asked to be sharp
const FRAME_RATES = [25, 20, 15, 12, 8, SLOW]; // pictures a second
const SHARP_FRAME_RATES = [...FRAME_RATES, SLOWEST];
const EVEN_FRAME_RATES = FRAME_RATES.filter((frame_rate) => frame_rate <= 15); // of few bits
/** All of what the camera gives, which is asked for 25 pictures a second: none of them is to be left out. */
const WHOLE = Object.freeze({ frame_rate: 30, scale: 1 });

const BITS = 0.06; // a pixel and picture: VP8 and H.264 show a hand and a label with that many
const FLUENT_BITS = 0.09; // with less the encoder drops pictures, and each keyframe is a pause
const FEW_BPS = 100_000; // below, a picture is small,
const FEW_BITS = 0.18; // and needs twice as many to come evenly: with less an encoder leaves out every other one,
const SHARP_BITS = 0.12; // and small print with twice as many
const FLUENT = 20; // pictures a second, so that a dozen are left where the encoder drops some
const FLUENT_FROM_BPS = 150_000;
const BEARABLE = 12; // pictures a second, where there is less than that
/**
 * For so many times fewer bits, or more, than it would be chosen for, a shape is kept. libwebrtc begins all encodings
 * anew for another shape of one: each has a keyframe, and a sixth less for a second or two, also what is recorded.
 */
const NEAR = 1.25;
const NEAR_OF_LITTLE = 1.5; // to be larger: what voice leaves of a narrow network wavers more

/** What browsers take for a picture of so many pixels, when nobody limits them: more is not seen. */
const ENOUGH_BPS = /** @type {const} */ ([
  [320 * 240, 600_000],
  [640 * 480, 1_700_000],
  [960 * 540, 2_000_000],
  [Number.POSITIVE_INFINITY, 2_500_000],
]);

/**
 * Of several encodings at a time libwebrtc leaves out each that what is left by the lesser ones does not give the
 * least for a picture of its size, wholly, even if it could do with less (VP8 and H.264; between these, in even steps;
 * never more than `maxBitrate`). One that is sent alone it spares this.
 */
const LEAST_BPS = /** @type {const} */ ([
  [320 * 180, 30_000],
  [480 * 270, 150_000],
  [640 * 360, 150_000],
  [960 * 540, 350_000],
  [1280 * 720, 600_000],
  [1920 * 1080, 800_000],
]);
const SPARE = 1.25; // of the least: libwebrtc wants 1.2 to begin again, and what the uplink carries is a belief
const VOICE_BPS = 60_000; // sound sent twice (RED), with its headers

/** Before there is a camera. @type {Readonly<Size>} */
export const ANY_SIZE = Object.freeze({ width: 1280, height: 720 });

/**
 * What each encoding of an offer sends.
 * @param {Orders} orders
 * @param {readonly string[]} rids of the offer, the least first; one that has no name is the only one
 * @param {Size} size of the camera
 * @param {number | null} uplink_bps what gets through from here in all, as the browser believes
 * @param {readonly Encoding[]} [present] in the same order, of the same camera and `sharp`: shapes that still do are kept
 * @returns {Encoding[]} in the order of `rids`
 */
export function plan({ encodings, sharp }, rids, size, uplink_bps, present = []) {
  const best = rids.length - 1;
  const asked = new Map(encodings.map((order) => [order.rid, order]));
  const asked_for = rids.map((rid, place) => {
    // A browser that offered three and was left one sends the best by that one. An order for rids that are not
    // ours (another page of this person is in the call) says nothing.
    const name = rids.length === 1 ? "high" : rid;
    const otherwise_bps = place === best ? UNLIMITED_BPS : 0;
    const order = asked.get(name);
    const order_bps = order?.max_bitrate_bps ?? otherwise_bps;
    return encoding(order_bps, size, sharp || order?.for_stills === true, uplink_bps, present[place]);
  });
  return uplink_bps === null ? asked_for : sideBySide(asked_for, size, sharp, uplink_bps);
}

/**
 * The best is what is recorded: a lesser one beside it makes it smaller where the uplink is narrow, and does not end it.
 * Its bits stay unlimited, so that the browser's belief can grow; but detail keeps its size, and is given fewer.
 * @param {readonly Encoding[]} encodings
 * @param {Size} size
 * @param {boolean} sharp
 * @param {number} uplink_bps
 */
function sideBySide(encodings, size, sharp, uplink_bps) {
  let left_bps = uplink_bps - VOICE_BPS;
  let beside = false;
  return encodings.map((encoding) => {
    if (!encoding.active) return encoding;
    const fits = (/** @type {number} */ scale) =>
      SPARE * Math.min(leastOf(size, scale), encoding.bitrate_bps) <= left_bps;
    const fitted = { ...encoding };
    if (beside && !fits(encoding.scale)) {
      if (sharp) {
        fitted.bitrate_bps = Math.max(Math.round(left_bps / SPARE), LEAST_BPS[0][1]);
        Object.assign(fitted, sharpest(fitted.bitrate_bps, size));
      } else
        fitted.scale =
          SCALES.find((scale) => scale > encoding.scale && fits(scale)) ?? Math.max(SMALLEST, encoding.scale);
    }
    beside = true;
    left_bps -= fitted.bitrate_bps;
    return fitted;
  });
}

/** @param {Size} size of the camera @param {number} scale */
function leastOf({ width, height }, scale) {
  const pixels = (width * height) / scale ** 2;
  let [below, below_bps] = /** @type {readonly [number, number]} */ (LEAST_BPS[0]);
  for (const [above, above_bps] of LEAST_BPS) {
    if (pixels <= above) {
      const part = above === below ? 0 : Math.max(0, pixels - below) / (above - below);
      return below_bps + part * (above_bps - below_bps);
    }
    [below, below_bps] = [above, above_bps];
  }
  return below_bps;
}

/**
 * @param {number} order_bps
 * @param {Size} size
 * @param {boolean} sharp
 * @param {number | null} uplink_bps
 * @param {Encoding | undefined} present
 * @returns {Encoding}
 */
function encoding(order_bps, size, sharp, uplink_bps, present) {
  const enough_bps = enough(size);
  const bitrate_bps = Math.min(order_bps, enough_bps);
  const limited = bitrate_bps < enough_bps;
  if (order_bps === 0) return { active: false, bitrate_bps: enough_bps, ...WHOLE, ours: true };
  if (sharp) {
    const through_bps = Math.min(bitrate_bps, uplink_bps ?? bitrate_bps);
    return { active: true, bitrate_bps, ...sharpest(through_bps, size), ours: true };
  }
  if (!limited) return { active: true, bitrate_bps, ...WHOLE, ours: false };
  return { active: true, bitrate_bps, ...fluent(bitrate_bps, size, present), ours: true };
}

/** Whether an uplink carries the camera's whole picture, moving, and has some to spare. @param {number} uplink_bps @param {Size} size */
export const carriesWhole = (uplink_bps, size) =>
  largestMoving((uplink_bps - VOICE_BPS) / SPARE, size).scale === 1;

/** The largest picture, however slow; with bits for small print, if they suffice for it. @param {number} bitrate_bps @param {Size} size */
function sharpest(bitrate_bps, size) {
  for (const scale of SCALES) {
    const frame_rate =
      rateOf(bitrate_bps, size, SHARP_BITS, SHARP_FRAME_RATES, scale) ??
      rateOf(bitrate_bps, size, BITS, SHARP_FRAME_RATES, scale);
    if (frame_rate !== null) return { frame_rate, scale };
  }
  return { frame_rate: SLOWEST, scale: SMALLEST };
}

/**
 * The largest picture that still moves; the present one, if it is near to what the bits are for.
 * @param {number} bitrate_bps
 * @param {Size} size
 * @param {Encoding | undefined} present
 * @returns {Shape}
 */
function fluent(bitrate_bps, size, present) {
  const anew = largestMoving(bitrate_bps, size);
  if (!present?.active) return anew;
  const { frame_rate, scale } = present;
  const isSlow = frame_rate < BEARABLE && scale === anew.scale; // an encoder leaves out what does not fit
  const most_bps = (frame_rate >= NEAR * BEARABLE ? NEAR : 1) * bitrate_bps; // a dozen a second are to be left
  if (!isSlow && movingWith(most_bps).bits * pixelRate(present, size) > most_bps) return anew;
  const larger = largestMoving(bitrate_bps / (bitrate_bps < FLUENT_FROM_BPS ? NEAR_OF_LITTLE : NEAR), size);
  if (larger.scale < scale) return larger;
  return { frame_rate: Math.max(frame_rate, movingRate(bitrate_bps / NEAR, size, scale)), scale };
}

/** @param {Shape} shape @param {Size} size */
const pixelRate = ({ frame_rate, scale }, { width, height }) => (frame_rate * width * height) / scale ** 2;

/** What moving pictures are made of. @param {number} bitrate_bps */
const movingWith = (bitrate_bps) =>
  bitrate_bps >= FEW_BPS
    ? { bits: FLUENT_BITS, frame_rates: FRAME_RATES }
    : { bits: FEW_BITS, frame_rates: EVEN_FRAME_RATES };

/** @param {number} bitrate_bps @param {Size} size @param {number} scale */
function movingRate(bitrate_bps, size, scale) {
  const { bits, frame_rates } = movingWith(bitrate_bps);
  return rateOf(bitrate_bps, size, bits, frame_rates, scale) ?? SLOW;
}

/** @param {number} bitrate_bps @param {Size} size @returns {Shape} */
function largestMoving(bitrate_bps, size) {
  const least = bitrate_bps >= FLUENT_FROM_BPS ? FLUENT : BEARABLE;
  const smallest = size.width * size.height >= HD_PIXELS ? SMALLEST_OF_HD : SMALLEST;
  // Where it need not be as fluent it is not the larger for that.
  const largest = bitrate_bps < FLUENT_FROM_BPS ? largestMoving(FLUENT_FROM_BPS, size).scale : 1;
  for (const scale of new Set([...SCALES, smallest])) {
    const frame_rate = movingRate(bitrate_bps, size, scale);
    if (scale >= largest && frame_rate >= least) return { frame_rate, scale };
  }
  return { frame_rate: movingRate(bitrate_bps, size, smallest), scale: smallest };
}

/**
 * How many pictures a second the bits suffice for; null: not for the fewest.
 * @param {number} bitrate_bps
 * @param {Size} size
 * @param {number} bits a pixel and picture
 * @param {readonly number[]} frame_rates
 * @param {number} scale
 */
function rateOf(bitrate_bps, { width, height }, bits, frame_rates, scale) {
  const picture_bits = ((width * height) / scale ** 2) * bits;
  return frame_rates.find((frame_rate) => picture_bits * frame_rate <= bitrate_bps) ?? null;
}

/** @param {Size} size */
function enough({ width, height }) {
  return ENOUGH_BPS.find(([pixels]) => width * height <= pixels)?.[1] ?? 0;
}

/**
 * A restart of ICE brings back an answer from when other encodings were paused, and browsers obey it: it says now
 * what the offer says (RFC 8853 section 5.1: "~" is paused).
 * @param {string} answer
 * @param {string} offer
 */
export function keepPaused(answer, offer) {
  const sent = /^a=simulcast:send ([^\r\n ]+)/m.exec(offer)?.[1];
  return sent === undefined
    ? answer
    : answer.replace(/^a=simulcast:recv [^\r\n ]+/m, `a=simulcast:recv ${sent}`);
}
