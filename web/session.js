// @ts-check
/**
 * The driver of the conversation: a WebSocket feeds `Synchronisation`, what it delivers is reduced into the state.
 * What people give waits in the outbox until the service has it, commands first, the bytes of their files after.
 */

import { timeOf } from "./capture.js";
import { Outbox } from "./outbox.js";
import { encodeClientMessage } from "./protocol.js";
import { INITIAL, reduce } from "./state.js";
import { Synchronisation } from "./synchronisation.js";
import { Uploads } from "./uploads.js";

const SHOWN_EVERY_MS = 50; // a long log, or a burst, fills in steps; the page need not draw each of its entries
const MOMENT_MS = 60_000; // as long as the service waits for who was in a call

/** Those that have a field `captured_at`. @type {readonly string[]} */
const STAMPED = [
  "text",
  "phrase",
  "share_place",
  "announce",
  "answer",
  "request_change",
  "hand_over",
  "confirm",
  "refuse_receipt",
  "report_exception",
];

/** Of the moment: carried out by a later life of the page, they would do what nobody wants any more. */
const MOMENTARY = ["join", "leave", "decline_call", "take_frame"];

export class Session {
  #case_id;
  #machine;
  #outbox;
  #uploads;
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
  #told_at = 0;
  #stopped = new AbortController();

  /** @param {{case_id: string, actor_id: string, token: string}} link */
  constructor({ case_id, actor_id, token }) {
    this.#case_id = case_id;
    this.#machine = new Synchronisation({ token, random: Math.random, outbox: null });
    this.#outbox = new Outbox(`proofcall.outbox.${case_id}.${actor_id}`, () =>
      this.dispatch({ type: "volatile" }),
    );
    this.#uploads = new Uploads({
      case_id,
      token,
      bytesOf: (sha256, from, to) => this.#outbox.bytesOf(sha256, from, to),
      onProgress: (sha256, progress) => this.dispatch({ type: "upload", sha256, progress }),
      onAnnounced: (sha256, number) => this.#outbox.announced(sha256, number),
      onForget: (sha256) => this.#outbox.forget(sha256),
    });
    this.#outbox.open((left) => this.#restore(left));
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
    this.#uploads.stop();
    this.#outbox.close();
    this.#hangUp();
  }

  /** @param {import("./state.js").Event} event */
  dispatch(event) {
    this.#state = reduce(this.#state, event);
    const came =
      event.type === "received" && (event.message.type === "entry" || event.message.type === "ack");
    const soon = performance.now() - this.#told_at < SHOWN_EVERY_MS;
    if (came && (!this.#state.synced || soon)) {
      this.#telling ??= setTimeout(() => this.#tell(), SHOWN_EVERY_MS);
    } else this.#tell();
  }

  #tell() {
    clearTimeout(this.#telling);
    this.#telling = undefined;
    this.#told_at = performance.now();
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

  /**
   * Gives a command: it goes out once, now or when there is a network, and then the bytes that it names.
   * @param {import("./protocol.js").Command} given
   * @param {readonly import("./outbox.js").Bytes[]} [files]
   * @returns {string} its id
   */
  command(given, files = []) {
    const id = randomId();
    const command = stamped(given, this.#state.entries.length);
    this.#outbox.add(id, command, files);
    this.dispatch({ type: "commanded", id, command });
    this.#uploads.take(
      id,
      files.map(({ sha256, bytes }) => ({ sha256, size_bytes: bytes.byteLength })),
    );
    this.#do(this.#machine.handleCommand({ id, command }, now()));
    return id;
  }

  /** A file that still waits on this device; null if it does not. @param {string} sha256 @returns {Promise<ArrayBuffer | null>} */
  bytesOf(sha256) {
    return this.#outbox.bytesOf(sha256);
  }

  /** What earlier lives of the page have left. @param {import("./outbox.js").Left} left */
  #restore({ commands, files }) {
    if (this.#stopped.signal.aborted) return;
    const [stale, fresh] = [commands.filter(isStale), commands.filter((kept) => !isStale(kept))];
    for (const { id } of stale) this.#outbox.answered(id);
    for (const { id, command, files: named } of fresh) {
      this.dispatch({ type: "commanded", id, command });
      this.#uploads.take(id, named);
    }
    for (const { announced, ...file } of files) this.#uploads.restore(file, announced);
    this.#do(this.#machine.handleRestored(fresh.map(({ id, command }) => ({ id, command }))));
  }

  /** @param {import("./protocol.js").Signal} signal */
  signal(signal) {
    this.#do(this.#machine.handleSignal(signal));
  }

  /** Asks for detail from somebody's camera, for some seconds. @param {string} actor_id */
  sharpen(actor_id) {
    this.#do(this.#machine.handleSharpen(actor_id));
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
        case "read_clock":
          this.#tellTime(output.probe);
          break;
        case "deliver":
          this.#deliver(output.message);
          break;
        case "offline":
          this.#uploads.offline();
          this.dispatch({ type: "socket", state: "offline" });
          break;
        case "closed":
          this.#uploads.offline();
          this.dispatch({ type: "socket", state: output.reason });
          break;
        case "forget":
          this.dispatch({ type: "forgotten" });
          break;
        case "answered":
          // First which entry names the files: a page that ends between the two asks once more, and orphans nothing.
          this.#uploads.answer(output.answer);
          this.#outbox.answered(output.answer.id);
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

  /** What this device's clock says now: the service measures how far it is off. @param {number} probe */
  #tellTime(probe) {
    this.#socket?.send(encodeClientMessage({ type: "clock", probe, at: timeOf() }));
  }

  /** @param {import("./protocol.js").ServerMessage} message */
  #deliver(message) {
    this.dispatch({ type: "received", message, at: Date.now() });
    if (message.type === "synced") this.#uploads.online();
    if (message.type !== "entry") return;
    const { envelope, body } = message.entry;
    const settles = envelope.kind === "attachment_stored" || envelope.kind === "attachment_refused";
    if (settles && body !== null && envelope.actor_id === this.#state.you?.actor_id) {
      this.#uploads.settle(body.sha256, envelope.number);
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

/**
 * With the moment of the tap, which an hour later nobody knows; and a text with what its writer had seen, because it
 * may be the answer to a question.
 * @param {import("./protocol.js").Command} command
 * @param {number} seen
 * @returns {import("./protocol.js").Command}
 */
function stamped(command, seen) {
  if (!STAMPED.includes(command.kind)) return command;
  const captured_at = ("captured_at" in command && command.captured_at) || timeOf();
  const text = command.kind === "text" ? { seen } : {};
  return /** @type {import("./protocol.js").Command} */ ({ ...command, ...text, captured_at });
}

/** @param {import("./outbox.js").Kept} kept */
function isStale({ command, at }) {
  return MOMENTARY.includes(command.kind) && Date.now() - at > MOMENT_MS;
}

/** 96 random bits; randomUUID is missing on pages without HTTPS. */
function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function now() {
  return performance.now() / 1000;
}
