// @ts-check
/** The service over HTTP, as the page uses it: one bearer token, plain answers. */

import { iceServersOf } from "./ice.js";

/** The service said no; `status` is HTTP's, 0 when it could not be reached. */
export class ApiError extends Error {
  /** @param {number} status @param {string} code @param {string} message */
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/**
 * @typedef {{case_id: string, waybill: string, language: string, time_zone: string, state: string, opened_at: string,
 *   last_number: number, in_call: readonly string[], frames: number}} CaseRow
 */
/**
 * A file that can be made of what was recorded of one person: a part of a call.
 * @typedef {{actor_id: string, role: import("./protocol.js").Role, name: string, part: number, media_type: string,
 *   began_at: string, ended_at: string, first_segment: number, last_segment: number, lost_segments: readonly number[]}} Recording
 */
/** @typedef {{call_number: number, began_at: string, ended_at: string | null, aborted: boolean, recordings: readonly Recording[]}} CallRow */
/** @typedef {{segment: number, number: number, sha256: string}} Piece */
/**
 * @typedef {{url: string, media_type: string, began_at: string, duration_ms: number, width: number, height: number,
 *   segments: readonly Piece[], lost_segments: readonly number[]}} PlaybackFile
 */
/**
 * An entry in which what was looked for is said.
 * @typedef {{case_id: string, waybill: string, number: number, kind: string, role: import("./protocol.js").Role,
 *   recorded_at: string, excerpt: string}} SearchHit
 */
/** @typedef {{hits: readonly SearchHit[], complete: boolean, next_before?: string | number | null}} SearchAnswer */
/** @typedef {{link_id: string, name: string, url: string, token: string, expires_at: string}} IssuedLink */
/** @typedef {{number: number, url: string, pdf_url: string, json_url: string, qr_url: string}} VoucherAddresses */
/** @typedef {{leaf_index: number, tree_size: number, hashes: string[], checkpoint: string, vkey: string}} Proof */

export class Api {
  #token;
  /** @type {(offset_ms: number) => void} */
  onClock = () => {};

  /** @param {string} token */
  constructor(token) {
    this.#token = token;
  }

  /**
   * @param {string} path
   * @param {RequestInit} [init]
   */
  async #request(path, init = {}) {
    const asked_at = Date.now();
    let response;
    try {
      response = await fetch(path, {
        ...init,
        headers: { ...init.headers, Authorization: `Bearer ${this.#token}` },
        cache: "no-store",
      });
    } catch {
      throw new ApiError(0, "unreachable", "The service cannot be reached");
    }
    const date = Date.parse(response.headers.get("Date") ?? "");
    // The header has whole seconds: half of one is the best guess.
    if (!Number.isNaN(date)) this.onClock(date + 500 - (asked_at + Date.now()) / 2);
    return response;
  }

  /** @param {Response} response */
  async #checked(response) {
    if (response.ok) return response;
    const body = await response.json().catch(() => null);
    const code = body?.error?.code ?? `http_${response.status}`;
    throw new ApiError(response.status, code, body?.error?.message ?? response.statusText);
  }

  /** @param {string} path @param {RequestInit} [init] */
  async #json(path, init) {
    return (await this.#checked(await this.#request(path, init))).json();
  }

  /** @returns {Promise<CaseRow[]>} */
  async cases() {
    return (await this.#json("/api/cases")).cases;
  }

  /**
   * The desk's feed, from after the event with this id; "" from the beginning.
   * @param {string} last_event_id
   * @param {AbortSignal} signal
   * @returns {Promise<ReadableStream<Uint8Array<ArrayBuffer>>>}
   */
  async follow(last_event_id, signal) {
    /** @type {Record<string, string>} */
    const headers = last_event_id === "" ? {} : { "Last-Event-ID": last_event_id };
    const response = await this.#checked(await this.#request("/api/desk/events", { headers, signal }));
    return response.body ?? new ReadableStream();
  }

  /**
   * Entries of all cases in which these words are said, the newest first.
   * @param {string} words
   * @param {string | number | null} before
   * @returns {Promise<SearchAnswer>}
   */
  async search(words, before) {
    return this.#json(`/api/search?${searchOf(words, before)}`);
  }

  /**
   * The same in one case.
   * @param {string} case_id
   * @param {string} words
   * @param {string | number | null} before
   * @returns {Promise<SearchAnswer>}
   */
  async searchCase(case_id, words, before) {
    return this.#json(`/api/cases/${case_id}/search?${searchOf(words, before)}`);
  }

  /** @param {string} case_id @returns {Promise<{url: string, pdf_url: string, number: number}>} */
  async voucherOf(case_id) {
    return this.#json(`/api/cases/${case_id}/voucher`);
  }

  /**
   * A link into a case: for the desk that asks itself, or for somebody whom it brings in.
   * @param {string} case_id
   * @param {{role: string, name: string, expires_in_s: number, colleague?: boolean}} person colleague: of the desk's own
   *   role, and yet somebody else
   * @returns {Promise<IssuedLink>}
   */
  async issueLink(case_id, person) {
    return this.#json(`/api/cases/${case_id}/links`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(person),
    });
  }

  /** @param {string} case_id @param {number} number @returns {Promise<Proof>} */
  async proof(case_id, number) {
    return this.#json(`/api/cases/${case_id}/entries/${number}/proof`);
  }

  /** @returns {Promise<string>} the log's public key, from the log's own address */
  async vkey() {
    return (await (await this.#checked(await this.#request("/log/vkey"))).text()).trim();
  }

  /** @param {string} case_id @returns {Promise<CallRow[]>} */
  async calls(case_id) {
    return (await this.#json(`/api/cases/${case_id}/calls`)).calls;
  }

  /**
   * Has a file put together. It is written in the log who asked.
   * @param {string} case_id
   * @param {number} call_number
   * @param {{actor_id: string, part: number}} which
   * @returns {Promise<PlaybackFile>}
   */
  async playback(case_id, call_number, which) {
    return this.#json(`/api/cases/${case_id}/calls/${call_number}/playback`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(which),
    });
  }

  /** The bytes as sealed. @param {string} case_id @param {string} sha256 @returns {Promise<ArrayBuffer>} */
  async blob(case_id, sha256) {
    return (await this.#checked(await this.#request(`/api/cases/${case_id}/blobs/${sha256}`))).arrayBuffer();
  }

  /** The picture with our content credentials. @param {string} case_id @param {string} sha256 @returns {Promise<ArrayBuffer>} */
  async credentials(case_id, sha256) {
    const path = `/api/cases/${case_id}/blobs/${sha256}/credentials`;
    return (await this.#checked(await this.#request(path))).arrayBuffer();
  }

  /** Where the voucher of a confirmed receipt is. @param {string} case_id @returns {Promise<VoucherAddresses>} */
  async voucher(case_id) {
    return this.#json(`/api/cases/${case_id}/voucher`);
  }

  /** @param {string} case_id @returns {Promise<Response>} the evidence package, as it comes */
  async exportCase(case_id) {
    return this.#checked(await this.#request(`/api/cases/${case_id}/export`, { method: "POST" }));
  }

  /**
   * RFC 9725: one offer, one answer.
   * @param {string} case_id
   * @param {string} sdp
   * @param {Record<string, string>} conditions headers that spare the connection of another device
   */
  async postOffer(case_id, sdp, conditions) {
    const response = await this.#request(`/api/cases/${case_id}/media`, {
      method: "POST",
      headers: { "Content-Type": "application/sdp", ...conditions },
      body: sdp,
    });
    if (response.status !== 201) return { status: response.status, answer: null, location: null, relays: [] };
    return {
      status: 201,
      answer: await response.text(),
      location: response.headers.get("Location"),
      relays: iceServersOf(response.headers.get("Link")),
    };
  }

  /**
   * RFC 9725 section 4.3: other credentials for the same session.
   * @param {string} location
   * @param {string} fragment
   * @param {AbortSignal} signal
   */
  async restartMedia(location, fragment, signal) {
    const response = await this.#request(location, {
      method: "PATCH",
      headers: { "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": '"*"' },
      body: fragment,
      signal,
    });
    if (response.status !== 200) return { status: response.status, fragment: null, relays: [] };
    const relays = iceServersOf(response.headers.get("Link"));
    return { status: 200, fragment: await response.text(), relays };
  }

  /** Leaves, even while the page goes away. @param {string} location */
  async deleteMedia(location) {
    try {
      const response = await this.#request(location, { method: "DELETE", keepalive: true });
      await response.arrayBuffer();
    } catch {
      // unreachable: the server will notice the silence
    }
  }
}

/** @param {string} words @param {string | number | null} before */
function searchOf(words, before) {
  const query = new URLSearchParams({ q: words });
  if (before !== null) query.set("before", String(before));
  return query;
}
