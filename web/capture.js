// @ts-check
/** What was photographed, chosen or recorded becomes an attachment: its bytes, and their hash and time as they go into the log. */

import { toHex } from "./evidence.js";

/** As signaling/talk.py has it: a photo of 48 megapixels has 15 MiB, ten minutes of voice have 8. */
export const MAX_ATTACHMENT_BYTES = 24 * 2 ** 20;

const MEDIA_TYPE = /^(image|audio)\/[a-z0-9.+-]{1,64}$/;
/** Where a browser leaves the type empty; the service looks at the bytes all the same. */
const USUAL = Object.freeze({ photo: "image/jpeg", voice: "audio/mp4" });

/** @typedef {"photo" | "voice"} Medium */
/** @typedef {"camera" | "album" | "microphone"} CapturePath */
/**
 * The hash goes into the log ahead of the bytes.
 * @typedef {{medium: Medium, sha256: string, size_bytes: number, media_type: string, capture_path: CapturePath,
 *   captured_at: string}} Attachment
 */
/** @typedef {{attachment: Attachment, bytes: ArrayBuffer}} Captured */

/** These bytes cannot be attached. */
export class IllegalCapture extends Error {
  /** @param {"empty" | "too_large" | "wrong_type" | "no_cryptography" | "unreadable"} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** The moment as messages write it. @param {number} [at] milliseconds since 1970 */
export function timeOf(at = Date.now()) {
  return new Date(at).toISOString();
}

/**
 * Call it at once: the time of the call is the time of capture, save for a file of the album, which has its own.
 * @param {Blob} blob
 * @param {Medium} medium
 * @param {CapturePath} capture_path
 * @returns {Promise<Captured>} throws IllegalCapture
 */
export async function attachmentOf(blob, medium, capture_path) {
  const captured_at = timeOf(captureTime(blob, capture_path, Date.now()));
  if (blob.size === 0) throw new IllegalCapture("empty", "There is nothing in it. Try once more.");
  if (blob.size > MAX_ATTACHMENT_BYTES) {
    throw new IllegalCapture("too_large", "It is larger than 24 MB. Choose a smaller one.");
  }
  const media_type = mediaType(blob.type, medium);
  const subtle = globalThis.crypto?.subtle;
  if (subtle === undefined) {
    throw new IllegalCapture("no_cryptography", "Nothing can be attached here. Open the link by https.");
  }
  let bytes;
  try {
    bytes = await blob.arrayBuffer();
  } catch {
    throw new IllegalCapture("unreadable", "The file cannot be read. Choose it once more.");
  }
  const sha256 = toHex(new Uint8Array(await subtle.digest("SHA-256", bytes)));
  return {
    attachment: { medium, sha256, size_bytes: bytes.byteLength, media_type, capture_path, captured_at },
    bytes,
  };
}

/** @param {Blob} blob @param {CapturePath} capture_path @param {number} now */
function captureTime(blob, capture_path, now) {
  const changed = capture_path === "album" && blob instanceof File ? blob.lastModified : now;
  // A file without a time of its own says 0, or now.
  return changed > 0 && changed <= now ? changed : now;
}

/**
 * Without parameters: MediaRecorder says "audio/webm;codecs=opus", and on some phones "video/webm" of mere sound.
 * @param {string} type
 * @param {Medium} medium
 */
function mediaType(type, medium) {
  const bare = (type.split(";")[0] ?? "").trim().toLowerCase();
  if (bare === "") return USUAL[medium];
  const sound = medium === "voice" ? bare.replace(/^video\//, "audio/") : bare;
  const expected = medium === "photo" ? "image/" : "audio/";
  if (!MEDIA_TYPE.test(sound) || !sound.startsWith(expected)) {
    throw new IllegalCapture("wrong_type", "A file of this kind cannot be attached. Choose a photo.");
  }
  return sound;
}
