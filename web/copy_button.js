// @ts-check
/** A button that saves a copy of a picture with content credentials; being made, it takes no second tap. */

import { saveFile } from "./credentials.js";
import { h, set, show, text } from "./dom.js";

/** @typedef {{sha256: string, name: string}} Kept what a copy can be had of, and what its file is called */
/** @typedef {"ready" | "making" | "saved" | "failed"} CopyState */

export class CopyButton {
  /** @type {Kept | null} */
  #kept = null;
  /** @type {CopyState} */
  #state = "ready";
  /** @type {import("./credentials.js").CredentialWords | null} */
  #words = null;
  #copyOf;

  /** @param {(sha256: string) => Promise<ArrayBuffer>} copyOf @param {string} testid */
  constructor(copyOf, testid) {
    this.#copyOf = copyOf;
    // Not `disabled`, which would take the focus away; what is said of it is said to those who listen, too.
    this.element = h("button", {
      class: "button",
      type: "button",
      testid,
      "aria-live": "polite",
      on: { click: () => this.#save() },
    });
  }

  /** @param {Kept | null} kept null: no copy is to be had @param {import("./credentials.js").CredentialWords} words */
  offer(kept, words) {
    if (kept?.sha256 !== this.#kept?.sha256) this.#state = "ready";
    this.#kept = kept;
    this.#words = words;
    this.#draw();
  }

  #draw() {
    const words = this.#words;
    if (!words) return;
    show(this.element, this.#kept !== null);
    const said = {
      ready: words.save,
      making: words.saving,
      saved: words.saved,
      failed: words.save_failed,
    };
    text(this.element, said[this.#state]);
    set(this.element, "title", words.save_hint);
    set(this.element, "aria-disabled", this.#state === "making" ? "true" : null);
  }

  async #save() {
    const kept = this.#kept;
    if (!kept || this.#state === "making") return;
    this.#state = "making";
    this.#draw();
    /** @type {CopyState} */
    let reached = "saved";
    try {
      saveFile(await this.#copyOf(kept.sha256), "image/jpeg", kept.name);
    } catch {
      reached = "failed";
    }
    if (this.#kept?.sha256 !== kept.sha256) return; // another picture is shown by now
    this.#state = reached;
    this.#draw();
  }
}
