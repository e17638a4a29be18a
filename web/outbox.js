// @ts-check
/**
 * What waits on this device until the service has it: commands and the bytes of their files, in IndexedDB.
 *
 *     commands   {box, life, id, command, files}            by the order of the taps
 *     files      {box, life, sha256, size_bytes, announced} announced: the entry that names it, null before the ack
 *     pieces     ArrayBuffers of 1 MB at most: larger values, and Blobs, do not survive on every iPhone
 *
 * A box is one person in one case, a life one loaded page. Several pages may have the same box open: each holds a
 * lock as long as it lives, and what a life has left goes to the page that gets its lock. Without IndexedDB
 * (private windows, some web views) commands go to sessionStorage and files stay in memory, and `durable` says so.
 */

import { remember, remembered } from "./token.js";

const DATABASE = "proofcall";
const VERSION = 1;
const PIECE_BYTES = 2 ** 20;
const KEPT_MS = 86_400_000; // the bytes of a refused command, which its person may give again the same day
const OPENS_WITHIN_MS = 3000; // a database that does not open by then is held by something that hangs

/** @typedef {import("./protocol.js").Command} Command */
/** @typedef {{sha256: string, size_bytes: number}} File */
/** @typedef {{sha256: string, bytes: ArrayBuffer}} Bytes */
/** @typedef {{id: string, command: Command, files: File[], at: number}} Kept at: when it was given, milliseconds since 1970 */
/** @typedef {{commands: Kept[], files: (File & {announced: number})[]}} Left */

export class Outbox {
  #box;
  #life = crypto.getRandomValues(new Uint32Array(4)).join("-");
  /** @type {Promise<IDBDatabase | null>} */
  #opening;
  #durable = true;
  #onVolatile;
  /** Until they are in the database, or for ever where there is none. @type {Map<string, ArrayBuffer>} */
  #memory = new Map();
  /** Where there is no database. @type {Kept[]} */
  #volatile = [];
  /** One write after the other. @type {Promise<unknown>} */
  #last = Promise.resolve();
  #stopped = new AbortController();

  /** @param {string} box @param {() => void} onVolatile what is kept from now on does not survive the browser */
  constructor(box, onVolatile) {
    this.#box = box;
    this.#onVolatile = onVolatile;
    this.#opening = openDatabase();
    this.#hold(lockOf(box, this.#life), () => new Promise(() => {}), {});
  }

  /** Whether what waits survives the browser. */
  get durable() {
    return this.#durable;
  }

  /**
   * Tells what earlier lives have left, at once (maybe nothing) and again whenever another page has gone.
   * @param {(left: Left) => void} onLeft
   */
  async open(onLeft) {
    const database = await this.#opening;
    this.#volatile = readStored(this.#box);
    /** @type {Left} */
    const left = { commands: [...this.#volatile], files: [] };
    /** @type {string[]} */
    const alive = [];
    try {
      if (database === null) throw new Error("there is no database");
      for (const life of await this.#lives(database)) {
        if (await this.#isFree(life)) {
          const rest = await this.#adopt(database, life);
          left.commands.push(...rest.commands);
          left.files.push(...rest.files);
        } else alive.push(life);
      }
    } catch {
      this.#becomeVolatile();
    }
    left.commands.sort((one, other) => one.at - other.at);
    onLeft(left);
    if (database === null) return;
    for (const life of alive) {
      const adopt = async () => {
        onLeft(await this.#adopt(database, life));
        await new Promise(() => {}); // its lock is ours from now on
      };
      this.#hold(lockOf(this.#box, life), adopt, {});
    }
  }

  /** @param {string} id @param {Command} command @param {readonly Bytes[]} files */
  add(id, command, files) {
    /** @type {Kept} */
    const kept = {
      id,
      command,
      at: Date.now(),
      files: files.map(({ sha256, bytes }) => ({ sha256, size_bytes: bytes.byteLength })),
    };
    for (const { sha256, bytes } of files) this.#memory.set(sha256, bytes);
    return this.#write(
      ["commands", "files", "pieces"],
      (transaction) => {
        transaction.objectStore("commands").add({ box: this.#box, life: this.#life, ...kept });
        for (const file of kept.files) {
          const row = { box: this.#box, life: this.#life, announced: null, at: kept.at, ...file };
          transaction.objectStore("files").put(row);
          const bytes = this.#memory.get(file.sha256);
          for (let index = 0; bytes !== undefined && index * PIECE_BYTES < bytes.byteLength; index += 1) {
            const piece = bytes.slice(index * PIECE_BYTES, (index + 1) * PIECE_BYTES);
            transaction.objectStore("pieces").put(piece, [this.#box, file.sha256, index]);
          }
        }
      },
      () => {
        this.#volatile.push(kept);
        this.#store();
      },
      () => {
        for (const { sha256 } of kept.files) this.#memory.delete(sha256);
      },
    );
  }

  /** A command was answered. @param {string} id */
  answered(id) {
    return this.#write(
      ["commands"],
      (transaction) => {
        const commands = transaction.objectStore("commands");
        const request = commands.index("id").getKey([this.#box, id]);
        request.onsuccess = () => request.result !== undefined && commands.delete(request.result);
      },
      () => {
        this.#volatile = this.#volatile.filter((kept) => kept.id !== id);
        this.#store();
      },
    );
  }

  /** Entry `number` names the file. @param {string} sha256 @param {number} number */
  announced(sha256, number) {
    return this.#write(["files"], (transaction) => {
      const files = transaction.objectStore("files");
      const request = files.get([this.#box, sha256]);
      request.onsuccess = () => request.result && files.put({ ...request.result, announced: number });
    });
  }

  /** Its bytes are needed no longer. @param {string} sha256 */
  forget(sha256) {
    this.#memory.delete(sha256);
    return this.#write(["files", "pieces"], (transaction) => {
      transaction.objectStore("files").delete([this.#box, sha256]);
      transaction.objectStore("pieces").delete(piecesOf(this.#box, sha256));
    });
  }

  /**
   * Bytes `from` … `to` of a file that still waits here, null if it does not.
   * @param {string} sha256
   * @param {number} [from]
   * @param {number} [to]
   * @returns {Promise<ArrayBuffer | null>}
   */
  async bytesOf(sha256, from = 0, to = Infinity) {
    const memory = this.#memory.get(sha256);
    if (memory !== undefined) return memory.slice(from, Math.min(to, memory.byteLength));
    const database = await this.#opening;
    if (database === null) return null;
    const range = IDBKeyRange.bound(
      [this.#box, sha256, Math.floor(from / PIECE_BYTES)],
      [this.#box, sha256, Math.max(0, Math.ceil(to / PIECE_BYTES) - 1)],
    );
    /** @type {ArrayBuffer[]} */
    let pieces;
    try {
      pieces = await promised(database.transaction("pieces").objectStore("pieces").getAll(range));
    } catch {
      return null;
    }
    if (pieces.length === 0) return null;
    const start = from % PIECE_BYTES;
    const whole = await new Blob(pieces).arrayBuffer();
    return whole.slice(start, start + to - from);
  }

  close() {
    this.#stopped.abort();
    this.#last.finally(async () => (await this.#opening)?.close());
  }

  /** @param {IDBDatabase} database @returns {Promise<Set<string>>} all but our own */
  async #lives(database) {
    const transaction = database.transaction(["commands", "files"]);
    const lives = new Set();
    for (const name of ["commands", "files"]) {
      const keys = await promised(transaction.objectStore(name).index("box").getAll(this.#box));
      for (const { life } of keys) lives.add(life);
    }
    lives.delete(this.#life);
    return lives;
  }

  /** What a life has left is ours from now on. @param {IDBDatabase} database @param {string} life @returns {Promise<Left>} */
  async #adopt(database, life) {
    /** @type {Left} */
    const left = { commands: [], files: [] };
    /** @type {string[]} */
    const old = [];
    const transaction = database.transaction(["commands", "files"], "readwrite");
    for (const name of ["commands", "files"]) {
      const cursor = transaction.objectStore(name).index("box").openCursor(this.#box);
      await new Promise((resolve, reject) => {
        cursor.onerror = () => reject(cursor.error);
        cursor.onsuccess = () => {
          const at = cursor.result;
          if (at === null) return resolve(undefined);
          const row = at.value;
          if (row.life === life) {
            at.update({ ...row, life: this.#life });
            if (name === "commands") {
              left.commands.push({ id: row.id, command: row.command, files: row.files, at: row.at });
            } else if (row.announced !== null) {
              left.files.push({ sha256: row.sha256, size_bytes: row.size_bytes, announced: row.announced });
            } else if (Date.now() - row.at > KEPT_MS) old.push(row.sha256);
          }
          at.continue();
        };
      });
    }
    const named = left.commands.flatMap(({ files }) => files.map(({ sha256 }) => sha256));
    for (const sha256 of old) if (!named.includes(sha256)) this.forget(sha256);
    return left;
  }

  /** @param {string} life @returns {Promise<boolean>} whether its page has gone; then its lock is ours */
  #isFree(life) {
    if (navigator.locks === undefined) return Promise.resolve(true);
    return new Promise((resolve) => {
      this.#hold(
        lockOf(this.#box, life),
        (lock) => {
          resolve(lock !== null);
          return lock === null ? undefined : new Promise(() => {});
        },
        { ifAvailable: true },
      ).catch(() => resolve(true));
    });
  }

  /**
   * @param {string} name
   * @param {(lock: Lock | null) => Promise<void> | undefined} callback
   * @param {LockOptions} options
   * @returns {Promise<void>}
   */
  async #hold(name, callback, options) {
    // `signal` and `ifAvailable` exclude each other.
    const how = options.ifAvailable ? options : { signal: this.#stopped.signal };
    const stopped = new Promise((resolve) =>
      this.#stopped.signal.addEventListener("abort", () => resolve(undefined)),
    );
    await navigator.locks
      ?.request(name, how, (lock) => Promise.race([callback(lock), stopped]))
      .catch(() => {});
  }

  /**
   * @param {string[]} stores
   * @param {(transaction: IDBTransaction) => void} change
   * @param {() => void} [otherwise] where there is no database
   * @param {() => void} [afterwards] when it is in the database
   */
  #write(stores, change, otherwise = () => {}, afterwards = () => {}) {
    const written = this.#last.then(async () => {
      const database = await this.#opening;
      if (database === null) return otherwise();
      try {
        const transaction = database.transaction(stores, "readwrite");
        change(transaction);
        await new Promise((resolve, reject) => {
          transaction.oncomplete = resolve;
          transaction.onabort = () => reject(transaction.error);
          transaction.onerror = () => reject(transaction.error);
        });
        afterwards();
      } catch {
        // Full, or taken away by the browser: what is in memory still goes out while the page is there.
        otherwise();
        this.#becomeVolatile();
      }
    });
    this.#last = written;
    return written;
  }

  #becomeVolatile() {
    if (!this.#durable) return;
    this.#durable = false;
    this.#onVolatile();
  }

  #store() {
    // Files do not fit there: their commands would name bytes that are gone.
    const bare = this.#volatile.filter(({ files }) => files.length === 0);
    remember(this.#box, bare.length > 0 ? JSON.stringify(bare) : null);
  }
}

/** @param {string} box @param {string} life */
function lockOf(box, life) {
  return `${box}.${life}`;
}

/** @param {string} box @param {string} sha256 */
function piecesOf(box, sha256) {
  return IDBKeyRange.bound([box, sha256, 0], [box, sha256, Infinity]);
}

/** @returns {Promise<IDBDatabase | null>} null where the browser has none for us */
function openDatabase() {
  return new Promise((resolve) => {
    setTimeout(() => resolve(null), OPENS_WITHIN_MS);
    try {
      const request = indexedDB.open(DATABASE, VERSION);
      request.onupgradeneeded = () => {
        const commands = request.result.createObjectStore("commands", { autoIncrement: true });
        commands.createIndex("box", "box");
        commands.createIndex("id", ["box", "id"]);
        const files = request.result.createObjectStore("files", { keyPath: ["box", "sha256"] });
        files.createIndex("box", "box");
        request.result.createObjectStore("pieces");
      };
      request.onsuccess = () => {
        // Another version of the page wants to change it: it must not wait for this one.
        request.result.onversionchange = () => request.result.close();
        resolve(request.result);
      };
      request.onerror = () => resolve(null);
    } catch {
      resolve(null);
    }
  });
}

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
function promised(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** @param {string} box @returns {Kept[]} */
function readStored(box) {
  try {
    const stored = JSON.parse(remembered(box) ?? "[]");
    if (!Array.isArray(stored)) return [];
    return stored.map(({ id, command, at }) => ({ id, command, at: at ?? Date.now(), files: [] }));
  } catch {
    return [];
  }
}
