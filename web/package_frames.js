// @ts-check
/**
 * Frames and journal, as `server/evidence/frames.py` compares them where no decoder is at hand: the numbers of the
 * segments, and what each entry says. What wants a decoder is named with its entry. Pure.
 */

import { attempt, Said, said, Wrong } from "./said.js";

/** @typedef {import("./canonical.js").Json} Json */
/** @typedef {import("./package_entry.js").Envelope} Envelope */
/** @typedef {import("./package_check.js").Finding} Finding */
/** @typedef {{sha256: string, size_bytes: number, media_type: string}} BlobReference */
/** @typedef {{entry: number, number: number, blob: BlobReference | null}} Segment */
/** @typedef {{actor_id: string, segments: Map<number, Segment>}} Journal of one person in one call */

const SEGMENT_KINDS = ["segment_sealed", "segment_lost"];
const SEGMENT_MEDIA_TYPE = "application/x-rtpdump";

/** @param {number} number */
export function entryFolder(number) {
  return `entries/${String(number).padStart(6, "0")}/`;
}

/** Every blob that a body names, however deep: an object with exactly these three members. @param {unknown} value @returns {Generator<BlobReference>} */
export function* blobReferences(value) {
  if (Array.isArray(value)) {
    for (const item of value) yield* blobReferences(item);
  } else if (typeof value === "object" && value !== null) {
    const object = /** @type {Json} */ (value);
    const names = Object.keys(object).sort();
    if (names.length === 3 && names.join() === "media_type,sha256,size_bytes") {
      const { sha256, size_bytes, media_type } = object;
      const right = typeof sha256 === "string" && /^[0-9a-f]{64}$/.test(sha256);
      if (right && Number.isInteger(size_bytes) && typeof media_type === "string") {
        yield { sha256, size_bytes, media_type };
      }
      return;
    }
    for (const name of names) yield* blobReferences(object[name]);
  }
}

/**
 * @param {{envelope: Envelope, body: Json}[]} entries those that can be read
 * @param {readonly Envelope[]} erased those whose bodies were erased, of any kind
 * @returns {{message: Said, findings: Finding[], unmade: Finding[]}}
 */
export function checkFrames(entries, erased) {
  /** @type {Finding[]} */
  const findings = [];
  /** @type {Finding[]} */
  const unmade = [];
  /** @type {Map<string, Journal>} */
  const journals = new Map();
  /** @type {{number: number, body: Json}[]} */
  const frames = [];
  for (const { envelope, body } of entries) {
    const { kind, number } = envelope;
    if (kind === "frame_sealed") frames.push({ number, body });
    if (!SEGMENT_KINDS.includes(kind)) continue;
    const read = attempt(() => readSegment(envelope, body));
    if (read instanceof Said) {
      findings.push(bodyFinding(number, read));
      continue;
    }
    const { key, segment } = read;
    const journal = journals.get(key) ?? { actor_id: envelope.actor_id, segments: new Map() };
    journals.set(key, journal);
    const before = journal.segments.get(segment.number);
    if (before) {
      const again = said("segment_again", { segment: segment.number, entry: before.entry });
      findings.push(segmentFinding(segment, again));
    } else journal.segments.set(segment.number, segment);
  }
  const holes = holesOf([...journals.values()], erased);
  findings.push(...holes.findings);
  unmade.push(...holes.unmade);
  const sealed = [...journals.values()].flatMap(({ segments }) =>
    [...segments.values()].filter(({ blob }) => blob),
  );
  if (sealed.length > 0) {
    unmade.push({ said: said("segments_unread", { count: sealed.length }), member: null, entry: null });
  }
  for (const { number, body } of frames) {
    if (body.journal === undefined || body.journal === null) {
      unmade.push(bodyFinding(number, said("picture_unmade", { what: said("no_journal") })));
      continue;
    }
    const problem = attempt(() => readFrame(body));
    if (problem instanceof Said) findings.push(bodyFinding(number, problem));
    else unmade.push(bodyFinding(number, said("picture_unmade", { what: said("no_decoder") })));
  }
  const some = frames.length > 0 || sealed.length > 0;
  const message = some
    ? said("frames_passed", { pictures: frames.length, segments: sealed.length })
    : said("frames_none");
  return { message, findings, unmade };
}

/**
 * Segments of a journal count from 1 without a hole, lost ones included. Holes are excused as far as entries of that
 * person's segments were erased: of which call these were, nobody can tell any more.
 * @param {readonly Journal[]} journals
 * @param {readonly Envelope[]} erased
 */
function holesOf(journals, erased) {
  /** @type {{actor_id: string, finding: Finding}[]} */
  const holes = [];
  /** @type {Map<string, number>} by actor, how many segments of theirs are missing beyond those that were erased */
  const unexcused = new Map();
  /** @param {string} actor_id @param {number} count */
  const count = (actor_id, count) => unexcused.set(actor_id, (unexcused.get(actor_id) ?? 0) + count);
  for (const { kind, actor_id } of erased) if (SEGMENT_KINDS.includes(kind)) count(actor_id, -1);
  for (const { actor_id, segments } of journals) {
    let due = 1;
    for (const number of [...segments.keys()].sort((a, b) => a - b)) {
      const segment = segments.get(number);
      if (number > due && segment) {
        const missing = said("segments_missing", { first: due, last: number - 1, before: number });
        holes.push({ actor_id, finding: segmentFinding(segment, missing) });
        count(actor_id, number - due);
      }
      due = number + 1;
    }
  }
  /** @param {{actor_id: string}} hole */
  const isExcused = ({ actor_id }) => (unexcused.get(actor_id) ?? 0) <= 0;
  return {
    findings: holes.filter((hole) => !isExcused(hole)).map(({ finding }) => finding),
    // It is about no picture: it has no entry.
    unmade: holes.filter(isExcused).map(({ finding }) => ({ ...finding, entry: null })),
  };
}

/** @param {number} number @param {Said} what @returns {Finding} */
function bodyFinding(number, what) {
  return {
    said: said("of_entry", { entry: number, what }),
    member: `${entryFolder(number)}body.json`,
    entry: number,
  };
}

/** @param {Segment} segment @param {Said} what @returns {Finding} */
function segmentFinding({ entry, blob }, what) {
  const finding = bodyFinding(entry, what);
  return blob ? { ...finding, member: `blobs/${blob.sha256}` } : finding;
}

/** @param {Envelope} envelope @param {Json} body @returns {{key: string, segment: Segment}} raises Wrong */
function readSegment(envelope, body) {
  let blob = null;
  const lost = envelope.kind === "segment_lost";
  if (!lost) {
    for (const item of list(body, "streams")) {
      const stream = object(item);
      whole(stream, "ssrc");
      whole(stream, "payload_type");
      text(stream, "codec");
      whole(stream, "packets");
    }
    blob = blobOf(body);
    if (blob.media_type !== SEGMENT_MEDIA_TYPE) throw new Wrong("segment_type", { type: blob.media_type });
  }
  const number = whole(body, "segment");
  if (number < 1) throw new Wrong("segment_number");
  const key = `${whole(body, "call_number")} ${envelope.actor_id}`;
  if (lost) text(body, "reason");
  moment(body, "began_at");
  moment(body, "ended_at");
  whole(body, "packets");
  return { key, segment: { entry: envelope.number, number, blob } };
}

/** @param {Json} body raises Wrong */
function readFrame(body) {
  const journal = object(body.journal);
  const packets = object(body.packets);
  const first = whole(journal, "first_segment");
  const last = whole(journal, "last_segment");
  if (!(first >= 1 && first <= last)) throw new Wrong("frame_segments");
  whole(journal, "call_number");
  text(body, "of");
  blobOf(body);
  whole(body, "width");
  whole(body, "height");
  text(body, "codec");
  whole(body, "rtp_timestamp");
  moment(body, "arrived_at");
  bounded(packets, "ssrc", 2 ** 32);
  bounded(packets, "first_sequence_number", 2 ** 16);
  bounded(packets, "last_sequence_number", 2 ** 16);
  bounded(packets, "count", 2 ** 16 + 1);
  text(packets, "sha256");
}

/** @param {unknown} value @returns {Json} */
function object(value) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Wrong("body_kind");
  return /** @type {Json} */ (value);
}

/** @template T @param {Json} body @param {string} name @param {(value: any) => boolean} fits @returns {T} */
function field(body, name, fits) {
  const value = Object.hasOwn(body, name) ? body[name] : undefined;
  if (!fits(value)) throw new Wrong("body_field", { name });
  return value;
}

/** @param {Json} body @param {string} name @returns {number} */
function whole(body, name) {
  return field(body, name, Number.isInteger);
}

/** @param {Json} body @param {string} name @returns {string} */
function text(body, name) {
  return field(body, name, (value) => typeof value === "string");
}

/** @param {Json} body @param {string} name @returns {unknown[]} */
function list(body, name) {
  return field(body, name, Array.isArray);
}

/** @param {Json} body @param {string} name @param {number} end */
function bounded(body, name, end) {
  const value = whole(body, name);
  if (value < 0 || value >= end) throw new Wrong("body_range", { name });
  return value;
}

/** ISO 8601 as the service writes it, and its nearest relatives. @param {Json} body @param {string} name */
function moment(body, name) {
  const match =
    /^([0-9]{4})-([0-9]{2})-([0-9]{2})(?:.([0-9]{2})(?::([0-9]{2})(?::([0-9]{2})(?:[.,][0-9]+)?)?)?(Z|[+-][0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?)?$/u.exec(
      text(body, name),
    );
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = (match ?? [])
    .slice(1, 7)
    .map((part) => Number(part ?? 0));
  const date = new Date(Date.UTC(year, month - 1, day));
  const is_date = year > 0 && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  if (!match || !is_date || hour > 23 || minute > 59 || second > 59) throw new Wrong("body_moment", { name });
  if (match[7] === undefined) throw new Wrong("body_zone", { name });
}

/** @param {Json} body */
function blobOf(body) {
  for (const reference of blobReferences(body.blob)) return reference;
  throw new Wrong("body_blob");
}
