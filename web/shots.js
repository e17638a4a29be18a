// @ts-check
/** The pictures of a case as a strip or a gallery: at once as "sealing…", then sealed, in the same place. */

import { h, keyed, motionAllowed, set, text } from "./dom.js";
import { blobOf } from "./evidence.js";
import { frames } from "./state.js";
import { clockTime } from "./words.js";

/** @typedef {import("./state.js").State} State */

export class Shots {
  #pictures;
  #onPicture;
  /** Pictures as they looked when the shutter was pressed, by command. @type {Map<string, {of: string, picture: HTMLElement}>} */
  #glimpses = new Map();

  /** @param {{pictures: import("./pictures.js").Pictures | null, onPicture: (number: number) => void}} options */
  constructor({ pictures, onPicture }) {
    this.#pictures = pictures;
    this.#onPicture = onPicture;
  }

  /**
   * The shutter was pressed: what was seen stays in the strip until the sealed picture is loaded.
   * @param {HTMLElement} strip
   * @param {{id: string, of: string, picture: HTMLElement, from: HTMLElement | null}} pressed
   */
  keep(strip, { id, of, picture, from }) {
    this.#glimpses.set(id, { of, picture });
    strip.querySelector(`[data-key="${id}"] .shot-button`)?.replaceChildren(picture);
    fly(picture, from);
  }

  /** @param {HTMLElement} list @param {State} state @param {import("./words.js").Words} words @param {boolean} newest_last */
  update(list, state, words, newest_last) {
    const sealed = new Map(frames(state).map((entry) => [String(entry.envelope.number), entry]));
    const shots = state.shots.map((shot) => shot.id);
    const before = list.childElementCount;
    keyed(
      list,
      [...sealed.keys(), ...shots],
      (key) => this.#make(key, sealed.get(key), state),
      (item, key) => {
        const entry = sealed.get(key);
        set(item, "data-testid", "shot");
        set(item, "data-state", entry ? "sealed" : "sealing");
        set(item, "data-number", entry ? key : null);
        const caption = /** @type {HTMLElement} */ (item.lastElementChild);
        text(caption, entry ? words.number(entry.envelope.number) : words.sealing);
        set(
          item,
          "title",
          entry ? words.sealed(clockTime(entry.envelope.recorded_at), entry.envelope.number) : null,
        );
      },
    );
    if (newest_last && list.childElementCount !== before) list.scrollLeft = list.scrollWidth;
  }

  /** @param {string} key @param {import("./protocol.js").Entry | undefined} entry @param {State} state */
  #make(key, entry, state) {
    const blob = entry && blobOf(entry.body);
    const image = h("img", { alt: "", decoding: "async" });
    const holder = entry ? this.#takeGlimpse(entry, state) : this.#glimpses.get(key)?.picture;
    const button = h(
      "button",
      { class: "shot-button", type: "button", on: { click: () => this.#onPicture(Number(key)) } },
      holder ?? image,
    );
    image.addEventListener("load", () => button.replaceChildren(image));
    if (blob)
      this.#pictures?.get(blob).then(
        ({ address }) => set(image, "src", address),
        () => {},
      );
    return h("li", { class: "shot" }, button, h("span", { class: "shot-caption" }));
  }

  /** What I saw when I pressed stays until the sealed picture is loaded. @param {import("./protocol.js").Entry} entry @param {State} state */
  #takeGlimpse(entry, state) {
    if (entry.envelope.actor_id !== state.you?.actor_id) return undefined;
    for (const [id, { of, picture }] of this.#glimpses) {
      if (of !== entry.body?.of) continue;
      this.#glimpses.delete(id);
      return picture;
    }
    return undefined;
  }
}

/** The picture goes from where it was seen to where it stays. @param {HTMLElement} picture @param {HTMLElement | null} from */
function fly(picture, from) {
  if (!from || !motionAllowed() || !picture.isConnected) return;
  const [start_box, end_box] = [from.getBoundingClientRect(), picture.getBoundingClientRect()];
  if (end_box.width === 0) return;
  const [x, y] = [start_box.left - end_box.left, start_box.top - end_box.top];
  picture.animate(
    [
      {
        transformOrigin: "0 0",
        transform: `translate(${x}px, ${y}px) scale(${start_box.width / end_box.width})`,
        opacity: 0.8,
      },
      { transformOrigin: "0 0", transform: "none", opacity: 1 },
    ],
    { duration: 200, easing: "cubic-bezier(0.2, 0, 0, 1)" },
  );
}
