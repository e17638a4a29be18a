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
const OLD_MS = 14 * 86_400_000; // longer than the log of any parcel is open for words
const OPENS_WITHIN_MS = 3000; // a database that does not open by then is held by something that hangs

/** @typedef {import("./protocol.js").Command} Command */
/** @typedef {{sha256: string, size_bytes: number}} File */
/** @typedef {{sha256: string, bytes: ArrayBuffer}} Bytes */
/**
 * at: when it was given, milliseconds since 1970; order: its key in the database, for the order of the taps holds
 * also when the clock was put back. One that is not there stands half a step behind the newest that is.
 * @typedef {{id: string, command: Command, files: File[], at: number, order: number}} Kept
 */
/** @typedef {{commands: Kept[], files: (File & {announced: number})[]}} Left */

export class Outbox {
  #box;
  #life = crypto.getRandomValues(new Uint32Array(4)).join("-");
  /** Of this moment: a phone may cut the connection of a page that was in the background. @type {Promise<IDBDatabase | null>} */
  #opening;
  /** Whether there has been a database: then rows may be there that cannot be read. */
  #existed = false;
  #newest = 0;
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
    this.#volatile = readStored(box);
    this.#opening = this.#connect();
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
    /** @type {Left} */
    const left = { commands: [...this.#volatile], files: [] };
    /** @type {string[]} */
    const alive = [];
    try {
      for (const life of await this.#use((database) => this.#lives(database))) {
        if (await this.#isFree(life)) {
          const rest = await this.#adopt(life);
          left.commands.push(...rest.commands);
          left.files.push(...rest.files);
        } else alive.push(life);
      }
    } catch {
      this.#becomeVolatile();
    }
    left.commands.sort((one, other) => one.order - other.order);
    onLeft(left);
    for (const life of alive) {
      const adopt = async () => {
        onLeft(await this.#adopt(life));
        await new Promise(() => {}); // its lock is ours from now on
      };
      this.#hold(lockOf(this.#box, life), adopt, {});
    }
    const swept = this.#use((database) => this.#sweep(database));
    this.#last = Promise.all([this.#last, swept]).catch(() => {}); // else the next page sweeps
  }

  /** @param {string} id @param {Command} command @param {readonly Bytes[]} files */
  add(id, command, files) {
    /** @type {Kept} */
    const kept = {
      id,
      command,
      at: Date.now(),
      order: 0,
      files: files.map(({ sha256, bytes }) => ({ sha256, size_bytes: bytes.byteLength })),
    };
    for (const { sha256, bytes } of files) this.#memory.set(sha256, bytes);
    return this.#write(
      ["commands", "files", "pieces"],
      (transaction) => {
        const { id, command, at, files } = kept;
        const row = { box: this.#box, life: this.#life, id, command, at, files };
        const request = transaction.objectStore("commands").add(row);
        request.onsuccess = () => {
          this.#newest = Math.max(this.#newest, Number(request.result));
        };
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
        this.#volatile.push({ ...kept, order: this.#newest + 0.5 });
        this.#store();
      },
      () => {
        for (const { sha256 } of kept.files) this.#memory.delete(sha256);
      },
    );
  }

  /** A command was answered. @param {string} id */
  answered(id) {
    // It may be here although the database works by now: what was full then need not be full any more.
    const drop = () => {
      if (!this.#volatile.some((kept) => kept.id === id)) return;
      this.#volatile = this.#volatile.filter((kept) => kept.id !== id);
      this.#store();
    };
    return this.#write(
      ["commands"],
      (transaction) => {
        const commands = transaction.objectStore("commands");
        const request = commands.index("id").getKey([this.#box, id]);
        request.onsuccess = () => request.result !== undefined && commands.delete(request.result);
      },
      drop,
      drop,
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
   * Bytes `from` … `to` of a file that still waits here, null if it does not. Rejects when the database does not
   * say: then they may be there all the same.
   * @param {string} sha256
   * @param {number} [from]
   * @param {number} [to]
   * @returns {Promise<ArrayBuffer | null>}
   */
  async bytesOf(sha256, from = 0, to = Infinity) {
    const memory = this.#memory.get(sha256);
    if (memory !== undefined) return memory.slice(from, Math.min(to, memory.byteLength));
    if ((await this.#opening) === null && !this.#existed) return null;
    const range = IDBKeyRange.bound(
      [this.#box, sha256, Math.floor(from / PIECE_BYTES)],
      [this.#box, sha256, Math.max(0, Math.ceil(to / PIECE_BYTES) - 1)],
    );
    /** @type {ArrayBuffer[]} */
    const pieces = await this.#use((database) =>
      promised(database.transaction("pieces").objectStore("pieces").getAll(range)),
    );
    if (pieces.length === 0) return null;
    const start = from % PIECE_BYTES;
    const whole = await new Blob(pieces).arrayBuffer();
    return whole.slice(start, start + to - from);
  }

  close() {
    this.#stopped.abort();
    this.#last.finally(async () => (await this.#opening)?.close());
  }

  /** @returns {Promise<IDBDatabase | null>} */
  #connect() {
    const opening = openDatabase(() => {
      if (this.#opening === opening && !this.#stopped.signal.aborted) this.#opening = this.#connect();
    });
    opening.then((database) => {
      this.#existed ||= database !== null;
    });
    return opening;
  }

  /**
   * Works with the database; if the connection was lost meanwhile, once more with a new one.
   * @template T
   * @param {(database: IDBDatabase) => Promise<T>} work
   * @returns {Promise<T>}
   */
  async #use(work) {
    const opening = this.#opening;
    const database = await opening;
    if (database === null) throw new Error("there is no database");
    try {
      return await work(database);
    } catch (error) {
      if (!isLost(error) || this.#stopped.signal.aborted) throw error;
      if (this.#opening === opening) this.#opening = this.#connect();
      const again = await this.#opening;
      if (again === null) throw error;
      return await work(again);
    }
  }

  /** Boxes that nobody opens any more must not fill the phone. @param {IDBDatabase} database */
  async #sweep(database) {
    const before = Date.now() - OLD_MS;
    const transaction = database.transaction(["commands", "files", "pieces"], "readwrite");
    for (const name of ["commands", "files"]) {
      const cursor = transaction.objectStore(name).openCursor();
      cursor.onsuccess = () => {
        const at = cursor.result;
        if (at === null) return;
        const { box, life, sha256, at: given } = at.value;
        if (given < before && life !== this.#life) {
          at.delete();
          if (name === "files") transaction.objectStore("pieces").delete(piecesOf(box, sha256));
        }
        at.continue();
      };
    }
    await completed(transaction);
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

  /** What a life has left is ours from now on. @param {string} life @returns {Promise<Left>} */
  async #adopt(life) {
    const { left, old } = await this.#use((database) => this.#takeOver(database, life));
    const named = left.commands.flatMap(({ files }) => files.map(({ sha256 }) => sha256));
    for (const sha256 of old) if (!named.includes(sha256)) this.forget(sha256);
    return left;
  }

  /** @param {IDBDatabase} database @param {string} life @returns {Promise<{left: Left, old: string[]}>} */
  async #takeOver(database, life) {
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
              const order = Number(at.primaryKey);
              this.#newest = Math.max(this.#newest, order);
              left.commands.push({ id: row.id, command: row.command, files: row.files, at: row.at, order });
            } else if (row.announced !== null) {
              left.files.push({ sha256: row.sha256, size_bytes: row.size_bytes, announced: row.announced });
            } else if (Date.now() - row.at > KEPT_MS) old.push(row.sha256);
          }
          at.continue();
        };
      });
    }
    return { left, old };
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
      if ((await this.#opening) === null && !this.#existed) return otherwise();
      try {
        await this.#use((database) => {
          const transaction = database.transaction(stores, "readwrite");
          change(transaction);
          return completed(transaction);
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

/** @param {() => void} onLost the browser has cut the connection @returns {Promise<IDBDatabase | null>} null where the browser has none for us */
function openDatabase(onLost) {
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
        request.result.onclose = onLost;
        resolve(request.result);
      };
      request.onerror = () => resolve(null);
    } catch {
      resolve(null);
    }
  });
}

/** Whether the connection is gone: closed, or cut (phones say "unknown" for that). @param {unknown} error */
function isLost(error) {
  return (
    error instanceof DOMException && ["InvalidStateError", "UnknownError", "AbortError"].includes(error.name)
  );
}

/** @param {IDBTransaction} transaction @returns {Promise<void>} */
function completed(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
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
    return stored.map(({ id, command, at, order }) => ({
      id,
      command,
      at: at ?? Date.now(),
      order: order ?? Number.MAX_SAFE_INTEGER,
      files: [],
    }));
  } catch {
    return [];
  }
}
