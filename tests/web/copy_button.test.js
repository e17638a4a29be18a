// @ts-check
/** The button that saves a copy with content credentials, on as much of a document as it needs. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { CopyButton } from "../../web/copy_button.js";
import { CREDENTIAL_WORDS } from "../../web/credentials.js";

const words = CREDENTIAL_WORDS.en;

class Element {
  dataset = {};
  hidden = false;
  textContent = "";
  clicks = 0;
  attributes = new Map();
  listeners = new Map();
  addEventListener = (/** @type {string} */ event, /** @type {() => void} */ listener) =>
    this.listeners.set(event, listener);
  append = () => {};
  hasAttribute = (/** @type {string} */ name) => this.attributes.has(name);
  getAttribute = (/** @type {string} */ name) => this.attributes.get(name) ?? null;
  setAttribute = (/** @type {string} */ name, /** @type {string} */ value) =>
    this.attributes.set(name, value);
  removeAttribute = (/** @type {string} */ name) => this.attributes.delete(name);
  click = () => {
    this.clicks += 1;
    this.listeners.get("click")?.();
  };
}

test("one copy is made at a time, and a failure is forgotten with the next that succeeds", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  /** @type {Element[]} */
  const links = [];
  const document = {
    createElement: (/** @type {string} */ tag) => {
      const element = new Element();
      if (tag === "a") links.push(element);
      return element;
    },
  };
  Object.defineProperty(globalThis, "document", { value: document, configurable: true });
  /** @type {((made: boolean) => void)[]} */
  const waiting = [];
  const button = new CopyButton(
    () =>
      new Promise((resolve, reject) => {
        waiting.push((made) => (made ? resolve(new ArrayBuffer(1)) : reject(new Error("no"))));
      }),
    "copy",
  );
  /** @param {boolean} made */
  const settle = async (made) => {
    waiting.shift()?.(made);
    await new Promise((resolve) => setImmediate(resolve));
  };
  const element = /** @type {Element} */ (/** @type {unknown} */ (button.element));
  button.offer({ sha256: "aa", name: "one.jpg" }, words);
  element.click();
  element.click();
  assert.equal(waiting.length, 1, "two taps, one copy");
  assert.equal(element.textContent, words.saving);
  assert.equal(element.getAttribute("aria-disabled"), "true");
  await settle(false);
  assert.equal(element.textContent, words.save_failed);
  button.offer({ sha256: "aa", name: "one.jpg" }, words);
  assert.equal(element.textContent, words.save_failed, "drawn again, it says the same");
  element.click();
  await settle(true);
  assert.equal(element.textContent, words.saved, "a page is not always told where its file went");
  assert.equal(element.getAttribute("aria-disabled"), null);
  assert.equal(links.length, 1);
  element.click();
  button.offer({ sha256: "bb", name: "two.jpg" }, words);
  await settle(false);
  assert.equal(element.textContent, words.save, "another picture is shown by now");
  button.offer(null, words);
  assert.equal(element.hidden, true);
});
