// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { cameraProblem } from "../../web/camera.js";
import { WORDS } from "../../web/words.js";

const PAGE = { secure: true, available: true };

test("each way a camera fails is one of six plain kinds, by the type of the error", () => {
  const table = /** @type {const} */ ([
    ["NotAllowedError", "denied"],
    ["SecurityError", "denied"],
    ["NotFoundError", "missing"],
    ["OverconstrainedError", "missing"],
    ["NotReadableError", "busy"],
    ["AbortError", "busy"],
    ["InvalidStateError", "other"],
    ["TypeError", "other"],
  ]);
  for (const [name, problem] of table) {
    assert.equal(cameraProblem(new DOMException("", name), PAGE), problem, name);
  }
  assert.equal(cameraProblem("what is this", PAGE), "other");
});

test("where there is nothing to ask, the page says why", () => {
  assert.equal(cameraProblem(null, { secure: false, available: false }), "insecure");
  assert.equal(cameraProblem(null, { secure: true, available: false }), "web_view");
});

test("each kind has a title and an advice in both languages", () => {
  for (const problem of /** @type {const} */ ([
    "denied",
    "missing",
    "busy",
    "insecure",
    "web_view",
    "other",
  ])) {
    for (const words of Object.values(WORDS)) {
      assert.ok(words.camera[problem].title);
      assert.ok(words.camera[problem].text);
    }
  }
});
