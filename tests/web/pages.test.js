// @ts-check
/** What the pages promise as files: every module checked and preloaded, nothing inline, colours that can be read. */

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";

const web = new URL("../../web/", import.meta.url);
const names = await readdir(web);
/** @param {string} name */
const read = (name) => readFile(new URL(name, web), "utf8");
const modules = names.filter((name) => name.endsWith(".js"));
const pages = names.filter((name) => name.endsWith(".html"));

/** @param {string} name @param {Set<string>} [found] @returns {Promise<Set<string>>} the module and all that it imports */
async function reach(name, found = new Set()) {
  if (found.has(name)) return found;
  found.add(name);
  for (const match of (await read(name)).matchAll(/^(?:import|\} from) .*?"\.\/([a-z_]+\.js)";$/gm)) {
    await reach(match[1] ?? "", found);
  }
  return found;
}

test("every module is checked, says what it is, and reaches a page", async () => {
  const used = new Set();
  for (const page of pages) {
    const entry = /src="\/web\/([a-z_]+\.js)"/.exec(await read(page))?.[1] ?? "";
    for (const name of await reach(entry)) used.add(name);
  }
  for (const name of modules) {
    assert.match(await read(name), /^\/\/ @ts-check\n\/\*\*/, name);
    assert.ok(used.has(name), `${name} is used by no page`);
  }
});

test("each page fetches all of its modules at once, and none that it does not need", async () => {
  for (const page of pages) {
    const text = await read(page);
    const entry = /src="\/web\/([a-z_]+\.js)"/.exec(text)?.[1] ?? "";
    const preloaded = [...text.matchAll(/rel="modulepreload" href="\/web\/([a-z_]+\.js)"/g)].map(
      (match) => match[1],
    );
    const needed = [...(await reach(entry))].filter((name) => name !== entry).sort();
    assert.deepEqual(preloaded, needed, page);
  }
});

test("each page says its name and that it is opening before any module has come, and no longer", async () => {
  for (const page of pages) {
    const text = await read(page);
    const main = /<main[^>]*>(.*?)<\/main>/s.exec(text)?.[1] ?? "";
    for (const word of ["Proofcall", "正在打开…", "Opening…"])
      assert.ok(main.includes(word), `${page}: ${word}`);
    const entry = /src="\/web\/([a-z_]+\.js)"/.exec(text)?.[1] ?? "";
    assert.match(await read(entry), /^root\.replaceChildren\(/m, entry);
  }
});

test("nothing is inline, so that the pages need no exception from their security policy", async () => {
  for (const page of pages) {
    assert.doesNotMatch(await read(page), /<style|style=|<script(?![^>]*src=)|\son[a-z]+=|javascript:/, page);
  }
});

test("text reaches the page through textContent only", async () => {
  for (const name of modules) {
    assert.doesNotMatch(await read(name), /innerHTML|outerHTML|insertAdjacentHTML|document\.write/, name);
  }
});

test("nothing is asked of a browser that iOS 16.0 does not have", async () => {
  const younger =
    /\.(?:checkVisibility|toReversed|toSorted|toSpliced|isSubsetOf|symmetricDifference)\(|withResolvers|Object\.groupBy|Array\.fromAsync|URL\.canParse|AbortSignal\.any|\(\?<[=!]/;
  for (const name of modules) assert.doesNotMatch(await read(name), younger, name);
});

/** @param {string} colour #rrggbb @returns {number} relative luminance, WCAG 2.2 */
function luminance(colour) {
  const [r = 0, g = 0, b = 0] = (colour.match(/[0-9a-f]{2}/g) ?? []).map((pair) => {
    const value = Number.parseInt(pair, 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** @param {string} a @param {string} b */
function contrast(a, b) {
  const [dark = 0, light = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}

test("what people read has a contrast of 7 to 1, states and buttons 4.5 to 1, in light and in dark", async () => {
  const sheet = await read("proofcall.css");
  const [light = "", dark = ""] = [...sheet.matchAll(/:root \{(.*?)\n\s*\}/gs)].map((match) => match[1]);
  /** @param {string} block */
  const values = (block) =>
    Object.fromEntries([...block.matchAll(/--([a-z-]+): (#[0-9a-f]{6});/g)].map((m) => [m[1], m[2]]));
  for (const scheme of [values(light), { ...values(light), ...values(dark) }]) {
    /** @param {string} name */
    const colour = (name) => scheme[name] ?? assert.fail(`no --${name}`);
    for (const ink of ["ink", "ink-soft"]) {
      for (const paper of ["paper", "paper-raised", "paper-sunk"]) {
        assert.ok(contrast(colour(ink), colour(paper)) >= 7, `${ink} on ${paper}`);
      }
    }
    for (const name of ["on-dark", "on-dark-soft"])
      assert.ok(contrast(colour(name), colour("dark")) >= 7, name);
    for (const name of ["good", "fair", "weak", "seal-ink"]) {
      assert.ok(contrast(colour(name), colour("paper")) >= 4.5, name);
    }
    for (const name of ["good-on-dark", "fair-on-dark", "seal-on-dark"]) {
      assert.ok(contrast(colour(name), colour("dark")) >= 4.5, name);
    }
    assert.ok(contrast(colour("on-seal"), colour("seal")) >= 4.5, "on-seal");
  }
});
