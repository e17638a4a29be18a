// @ts-check
/** The driver of `UploadPlan`: tus 1.0 over fetch, bytes from the outbox. */

import { UploadPlan } from "./upload_plan.js";

const TUS = "1.0.0";
const BYTES_GONE = { code: "bytes_gone", message: "This device has lost the file." };
const BYTES_UNREADABLE = {
  code: "bytes_unreadable",
  message: "This device does not give the file just now.",
};
const ANSWERS_WITHIN_MS = 60_000; // a piece takes 20 s at 100 kbit/s, and longer beside a call

/** They may be there all the same: asked again, the database may say. */
class Unreadable extends Error {}

export class Uploads {
  #address;
  #token;
  #bytesOf;
  #on;
  #plan = new UploadPlan({ random: Math.random });
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** Ends what is under way. */
  #running = new AbortController();
  #stopped = false;

  /**
   * @param {{
   *   case_id: string, token: string,
   *   bytesOf: (sha256: string, from: number, to: number) => Promise<ArrayBuffer | null>,
   *   onProgress: (sha256: string, progress: import("./upload_plan.js").Progress | null) => void,
   *   onAnnounced: (sha256: string, number: number) => void,
   *   onForget: (sha256: string) => void,
   * }} options
   */
  constructor({ case_id, token, bytesOf, ...on }) {
    this.#address = `/api/cases/${case_id}/uploads`;
    this.#token = token;
    this.#bytesOf = bytesOf;
    this.#on = on;
  }

  /** @param {string} id @param {readonly import("./upload_plan.js").File[]} files */
  take(id, files) {
    this.#do(this.#plan.handleTaken(id, files));
  }

  /** @param {import("./upload_plan.js").File} file @param {number} number */
  restore(file, number) {
    this.#do(this.#plan.handleRestored(file, number, now()));
  }

  /** @param {import("./synchronisation.js").Answer} answer */
  answer(answer) {
    this.#do(this.#plan.handleAnswered(answer, now()));
  }

  /** @param {string} sha256 @param {number} number */
  settle(sha256, number) {
    this.#do(this.#plan.handleSettled(sha256, number, now()));
  }

  /** The conversation is live. */
  online() {
    this.#do(this.#plan.handleOnline(now()));
  }

  /** A request on a dead network would hang for a minute. */
  offline() {
    this.#do(this.#plan.handleOffline());
    this.#running.abort();
    this.#running = new AbortController();
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#running.abort();
  }

  /** @param {import("./upload_plan.js").Output[]} outputs */
  #do(outputs) {
    for (const output of outputs) {
      if (output.kind === "progress") this.#on.onProgress(output.sha256, output.progress);
      else if (output.kind === "announced") this.#on.onAnnounced(output.sha256, output.number);
      else if (output.kind === "forget") this.#on.onForget(output.sha256);
      else this.#ask(output);
    }
    clearTimeout(this.#timer);
    const wait_s = this.#plan.nextDeadline - now();
    if (wait_s < Infinity && !this.#stopped) {
      this.#timer = setTimeout(
        () => this.#do(this.#plan.handleTimeout(now())),
        Math.max(0, wait_s) * 1000 + 5,
      );
    }
  }

  /** @param {import("./upload_plan.js").Output & {kind: "request"}} request */
  async #ask(request) {
    const { signal } = this.#running;
    const ending = new AbortController();
    const end = () => ending.abort();
    signal.addEventListener("abort", end, { once: true });
    const late = setTimeout(end, ANSWERS_WITHIN_MS);
    /** @type {import("./upload_plan.js").Answered} */
    let answered = {
      status: 0,
      location: null,
      offset: null,
      code: "unreachable",
      message: "The service cannot be reached",
    };
    try {
      const init = await this.#init(request);
      // The browser has thrown the bytes away: asking again brings none back.
      if (init === null) answered = { ...answered, status: 422, ...BYTES_GONE };
      else {
        const address = request.method === "post" ? this.#address : request.location;
        answered = await answerOf(
          await fetch(address, { ...init, cache: "no-store", signal: ending.signal }),
        );
      }
    } catch (error) {
      // Else there is no network, it is too late, or stopped.
      if (error instanceof Unreadable) answered = { ...answered, status: 503, ...BYTES_UNREADABLE };
    }
    clearTimeout(late);
    signal.removeEventListener("abort", end);
    if (!this.#stopped) this.#do(this.#plan.handleAnswer(request.sha256, answered, now()));
  }

  /** @param {import("./upload_plan.js").Output & {kind: "request"}} request @returns {Promise<RequestInit | null>} */
  async #init({ method, sha256, offset, length, size_bytes }) {
    /** @type {Record<string, string>} */
    const headers = { Authorization: `Bearer ${this.#token}`, "Tus-Resumable": TUS };
    if (method === "head") return { method: "HEAD", headers };
    if (method === "post") {
      headers["Upload-Length"] = String(size_bytes);
      headers["Upload-Metadata"] = `sha256 ${btoa(sha256)}`;
      return { method: "POST", headers };
    }
    const piece = await this.#bytesOf(sha256, offset, offset + length).catch(() => {
      throw new Unreadable();
    });
    if (piece === null || piece.byteLength !== length) return null;
    headers["Content-Type"] = "application/offset+octet-stream";
    headers["Upload-Offset"] = String(offset);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", piece));
    headers["Upload-Checksum"] = `sha256 ${btoa(String.fromCharCode(...digest))}`;
    return { method: "PATCH", headers, body: piece };
  }
}

/** @param {Response} response @returns {Promise<import("./upload_plan.js").Answered>} */
async function answerOf(response) {
  const offset = response.headers.get("Upload-Offset");
  const body = response.ok ? null : await response.json().catch(() => null);
  return {
    status: response.status,
    location: response.headers.get("Location"),
    offset: offset !== null && /^\d+$/.test(offset) ? Number(offset) : null,
    code: body?.error?.code ?? `http_${response.status}`,
    message: body?.error?.message ?? response.statusText,
  };
}

function now() {
  return performance.now() / 1000;
}
