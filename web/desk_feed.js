// @ts-check
/** The driver of the desk's feed: holds it open, comes back where it was, and hands on what it tells. */

import { ApiError } from "./api.js";
import { Backoff } from "./backoff.js";
import { EventParser } from "./event_parser.js";

const SILENT_MS = 40_000; // the service says something every 15 s: after two and a half of these it is gone

/** @typedef {"connecting" | "there" | "unreachable" | "expired"} FeedState */

export class DeskFeed {
  #api;
  #onEvent;
  #onState;
  #backoff = new Backoff(Math.random);
  #last_id = "";
  #stopped = new AbortController();

  /**
   * @param {{
   *   api: import("./api.js").Api, onEvent: (event: import("./orders.js").FeedEvent) => void,
   *   onState: (state: FeedState) => void,
   * }} options
   */
  constructor({ api, onEvent, onState }) {
    this.#api = api;
    this.#onEvent = onEvent;
    this.#onState = onState;
  }

  async start() {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      try {
        await this.#listen();
        this.#backoff.reset(); // its ten minutes were over
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof ApiError && [401, 403, 410].includes(error.status)) {
          this.#onState("expired");
          return;
        }
        this.#onState("unreachable");
        await new Promise((done) => setTimeout(done, this.#backoff.next() * 1000));
      }
    }
  }

  stop() {
    this.#stopped.abort();
  }

  async #listen() {
    const one = new AbortController();
    const end = () => one.abort();
    this.#stopped.signal.addEventListener("abort", end, { once: true });
    let watch = setTimeout(end, SILENT_MS);
    try {
      const body = await this.#api.follow(this.#last_id, one.signal);
      const reader = body.pipeThrough(new TextDecoderStream()).getReader();
      const parser = new EventParser();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(watch);
        watch = setTimeout(end, SILENT_MS);
        for (const { id, event, data } of parser.push(value)) {
          this.#last_id = id;
          this.#backoff.reset();
          this.#onState("there");
          this.#onEvent({ event, data: JSON.parse(data) });
        }
      }
    } finally {
      clearTimeout(watch);
      this.#stopped.signal.removeEventListener("abort", end);
    }
  }
}
