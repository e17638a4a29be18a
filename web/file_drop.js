// @ts-check
/** A file that is dropped anywhere on the page. */

import { set } from "./dom.js";

/**
 * Hands over what is dropped; meanwhile `target` is marked (`data-over`), so that people see that it will be taken.
 * @param {HTMLElement} target
 * @param {(file: File) => void} take
 */
export function takeDroppedFiles(target, take) {
  addEventListener("dragover", (event) => {
    event.preventDefault();
    set(target, "data-over", true);
  });
  addEventListener("dragleave", () => set(target, "data-over", null));
  addEventListener("drop", (event) => {
    event.preventDefault();
    set(target, "data-over", null);
    const dropped = event.dataTransfer?.files[0];
    if (dropped) take(dropped);
  });
}
