// @ts-check
/** What a playback is made of: which sealed pieces, under which numbers of the log. For the desk. */

import { h, keyed, set, show, text } from "./dom.js";
import { WindowedList } from "./windowed_list.js";
import { shortHash } from "./words.js";

/** @typedef {import("./api.js").Piece} Piece */
/** @typedef {import("./words.js").Words} Words */
/** @typedef {{key: string, name: string, pieces: readonly Piece[]}} Source a file and whose it is */

const ROW_PX = 28;
const ROWS_SHOWN = 8;

export class PlaybackSources {
  #onChoose;
  /** The file whose pieces are listed. @type {string | null} */
  #open = null;
  /** @type {readonly Source[]} */
  #sources = [];
  /** @type {Words | null} */
  #words = null;
  /** @type {(source: Source) => Piece | null} */
  #now = () => null;
  #list;

  /** @param {(number: number) => void} onChoose */
  constructor(onChoose) {
    this.#onChoose = onChoose;
    this.title = h("h2");
    this.rows = h("ul");
    this.#list = new WindowedList({
      row_px: ROW_PX,
      follows: false,
      make: (key) => this.#makePiece(key),
      update: (row, key) => this.#updatePiece(row, key),
    });
    this.element = h("section", { class: "sources", testid: "sources", hidden: true }, this.title, this.rows);
  }

  /**
   * @param {readonly Source[]} sources
   * @param {(source: Source) => Piece | null} now the piece of the moment at the cursor
   * @param {Words} words
   */
  update(sources, now, words) {
    const { player, piece_range } = words.desk;
    this.#sources = sources;
    this.#words = words;
    this.#now = now;
    show(this.element, sources.length > 0);
    text(this.title, player.sources);
    keyed(
      this.rows,
      sources.map(({ key }) => key),
      (key) => this.#makeSource(key),
      (item, key) => {
        const source = sources.find((source) => source.key === key);
        const [name, from, at, toggle] = /** @type {HTMLElement[]} */ (Array.from(item.children));
        if (!source || !name || !from || !at || !toggle) return;
        const [first, last] = [source.pieces[0], source.pieces.at(-1)];
        text(name, source.name);
        show(from, first !== undefined);
        if (first && last) {
          const numbers = source.pieces.map(({ number }) => number);
          const range = piece_range(first.segment, last.segment);
          const missing = last.segment - first.segment + 1 - source.pieces.length;
          const told = player.source(range, numbers.reduce(least), numbers.reduce(most));
          text(from, missing > 0 ? `${told} · ${player.lost_pieces(missing)}` : told);
        }
        const piece = now(source);
        text(at, piece ? player.source_now(piece.segment, piece.number) : "");
        show(at, piece !== null);
        const open = this.#open === key;
        text(toggle, open ? player.hide_pieces : player.all_pieces(source.pieces.length));
        set(toggle, "aria-expanded", String(open));
        if (open && this.#list.element.parentElement !== item) item.append(this.#list.element);
      },
    );
    const opened = sources.find(({ key }) => key === this.#open);
    show(this.#list.element, opened !== undefined);
    if (opened) {
      const rows = Math.min(ROWS_SHOWN, opened.pieces.length);
      this.#list.element.style.setProperty("height", `${rows * ROW_PX}px`);
      this.#list.set(opened.pieces.map((_, place) => String(place)));
    }
  }

  /** @param {string} key */
  #makeSource(key) {
    const toggle = h("button", { class: "text-button", type: "button", testid: "pieces-toggle" });
    toggle.addEventListener("click", () => {
      this.#open = this.#open === key ? null : key;
      if (this.#words) this.update(this.#sources, this.#now, this.#words);
    });
    return h(
      "li",
      { class: "source", testid: "source" },
      h("span", { class: "source-name" }),
      h("span", { class: "source-from" }),
      h("span", { class: "source-now quiet" }),
      toggle,
    );
  }

  /** @param {string} place */
  #pieceAt(place) {
    return this.#sources.find(({ key }) => key === this.#open)?.pieces[Number(place)];
  }

  /** @param {string} place */
  #makePiece(place) {
    const onClick = () => {
      const piece = this.#pieceAt(place);
      if (piece) this.#onChoose(piece.number);
    };
    return h(
      "button",
      { class: "piece-row", type: "button", testid: "piece-row", on: { click: onClick } },
      h("span"),
      h("span"),
      h("span", { class: "piece-hash" }),
    );
  }

  /** @param {HTMLElement} row @param {string} place */
  #updatePiece(row, place) {
    const piece = this.#pieceAt(place);
    const [which, number, hash] = /** @type {HTMLElement[]} */ (Array.from(row.children));
    if (!piece || !which || !number || !hash || !this.#words) return;
    text(which, this.#words.desk.piece_range(piece.segment, piece.segment));
    text(number, this.#words.number(piece.number));
    text(hash, shortHash(piece.sha256));
    set(row, "title", piece.sha256);
  }
}

/** @param {number} one @param {number} other */
function least(one, other) {
  return Math.min(one, other);
}

/** @param {number} one @param {number} other */
function most(one, other) {
  return Math.max(one, other);
}

/**
 * The piece that holds a moment, by when the pieces began. Pure.
 * @param {readonly Piece[]} pieces in order
 * @param {(number: number) => number} beganOf when the piece of an entry began, in milliseconds
 * @param {number} at_ms
 * @returns {Piece | null}
 */
export function pieceAt(pieces, beganOf, at_ms) {
  let [low, high] = [0, pieces.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const piece = pieces[middle];
    if (piece && beganOf(piece.number) <= at_ms) low = middle + 1;
    else high = middle;
  }
  return pieces[low - 1] ?? pieces[0] ?? null;
}
