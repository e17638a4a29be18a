// @ts-check
/** The driver of the conversation: a WebSocket feeds `Synchronisation`, what it delivers is reduced into the state. */

import { INITIAL, reduce } from "./state.js";
import { Synchronisation } from "./synchronisation.js";
import { remember, remembered } from "./token.js";

const HISTORY_SHOWN_EVERY_MS = 50; // a long log fills in steps; the page need not draw each of its entries

export class Session {
  #case_id;
  #key;
  #machine;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {import("./state.js").State} */
  #state = INITIAL;
  /** @type {((state: import("./state.js").State, before: import("./state.js").State) => void)[]} */
  #watchers = [];
  #announced = INITIAL;
  #busy = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #telling;
  #stopped = new AbortController();

  /** @param {{case_id: string, actor_id: string, token: string}} link */
  constructor({ case_id, actor_id, token }) {
    this.#case_id = case_id;
    this.#key = `proofcall.outbox.${case_id}.${actor_id}`;
    const outbox = readOutbox(this.#key);
    this.#machine = new Synchronisation({ token, random: Math.random, outbox });
    for (const { id, command } of outbox) this.dispatch({ type: "commanded", id, command });
    const { signal } = this.#stopped;
    addEventListener("online", () => this.#do(this.#machine.handleWake(now())), { signal });
    addEventListener("offline", () => this.#do(this.#machine.handleWake(now())), { signal });
    document.addEventListener(
      "visibilitychange",
      () => document.visibilityState === "visible" && this.#do(this.#machine.handleWake(now())),
      { signal },
    );
  }

  get state() {
    return this.#state;
  }

  /** @param {(state: import("./state.js").State, before: import("./state.js").State) => void} watcher */
  watch(watcher) {
    this.#watchers.push(watcher);
  }

  /** Also after the server said "replaced", when the person wants it here. */
  start() {
    this.dispatch({ type: "socket", state: "connecting" });
    this.#do(this.#machine.handleStart(now()));
  }

  stop() {
    this.#stopped.abort();
    clearTimeout(this.#timer);
    clearTimeout(this.#telling);
    this.#watchers = [];
    this.#hangUp();
  }

  /** @param {import("./state.js").Event} event */
  dispatch(event) {
    this.#state = reduce(this.#state, event);
    if (event.type === "received" && event.message.type === "entry" && !this.#state.synced) {
      this.#telling ??= setTimeout(() => this.#tell(), HISTORY_SHOWN_EVERY_MS);
    } else this.#tell();
  }

  #tell() {
    clearTimeout(this.#telling);
    this.#telling = undefined;
    // A watcher may dispatch: it is told of the sum afterwards, once.
    if (this.#busy) return;
    this.#busy = true;
    while (this.#announced !== this.#state) {
      const [state, before] = [this.#state, this.#announced];
      this.#announced = state;
      for (const watcher of this.#watchers) watcher(state, before);
    }
    this.#busy = false;
  }

  /** @param {import("./protocol.js").Command} command @returns {string} its id */
  command(command) {
    const id = randomId();
    this.dispatch({ type: "commanded", id, command });
    this.#do(this.#machine.handleCommand({ id, command }, now()));
    return id;
  }

  /** @param {import("./protocol.js").Signal} signal */
  signal(signal) {
    this.#do(this.#machine.handleSignal(signal));
  }

  /** @param {import("./synchronisation.js").Output[]} outputs */
  #do(outputs) {
    for (const output of outputs) {
      switch (output.kind) {
        case "connect":
          this.#connect();
          break;
        case "disconnect":
          this.#hangUp();
          break;
        case "send":
          if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(output.text);
          break;
        case "deliver":
          this.dispatch({ type: "received", message: output.message, at: Date.now() });
          break;
        case "offline":
          this.dispatch({ type: "socket", state: "offline" });
          break;
        case "closed":
          this.dispatch({ type: "socket", state: output.reason });
          break;
        case "forget":
          this.dispatch({ type: "forgotten" });
          break;
        case "keep":
          remember(this.#key, output.outbox.length > 0 ? JSON.stringify(output.outbox) : null);
          break;
      }
    }
    clearTimeout(this.#timer);
    const wait_s = this.#machine.nextDeadline - now();
    if (wait_s < Infinity && !this.#stopped.signal.aborted) {
      this.#timer = setTimeout(
        () => this.#do(this.#machine.handleTimeout(now())),
        Math.max(0, wait_s) * 1000 + 5,
      );
    }
  }

  #connect() {
    const address = new URL(`/api/cases/${this.#case_id}/ws`, location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    this.#socket = socket;
    socket.addEventListener("open", () => {
      if (this.#socket === socket) this.#do(this.#machine.handleOpen(now()));
    });
    socket.addEventListener("message", ({ data }) => {
      if (this.#socket === socket) this.#do(this.#machine.handleText(String(data), now()));
    });
    socket.addEventListener("close", ({ code }) => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      this.#do(this.#machine.handleClosed(code, now()));
    });
  }

  #hangUp() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }
}

/** @param {string} key @returns {import("./synchronisation.js").Waiting[]} */
function readOutbox(key) {
  try {
    const outbox = JSON.parse(remembered(key) ?? "[]");
    return Array.isArray(outbox) ? outbox : [];
  } catch {
    return [];
  }
}

/** 96 random bits; randomUUID is missing on pages without HTTPS. */
function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function now() {
  return performance.now() / 1000;
}
