// @ts-check
/**
 * The voucher's page. With a token in the fragment it fetches that voucher and checks it; without one, a file can
 * be chosen or dropped and is checked where it is. What is shown of a voucher is shown after it was checked.
 */

import { h, icon, set, show, text } from "./dom.js";
import { takeDroppedFiles } from "./file_drop.js";
import { PageLanguage } from "./language.js";
import { attempt, Said } from "./said.js";
import { say } from "./translations.js";
import { placesOf, qrPicture } from "./voucher_card.js";
import { checkVoucher, hashOf, INNER_STEPS } from "./voucher_check.js";
import { VOUCHER_WORDS } from "./voucher_words.js";
import { parsePolicy } from "./witness_policy.js";

/** @typedef {import("./voucher_check.js").Check} Check */
/** @typedef {import("./voucher_check.js").Voucher} Voucher */
/** @typedef {{title: string, text: string}} Notice */
/** @typedef {"choose" | "checking" | "checked" | "bad_address" | "erased" | "unreachable" | "unreadable_file"} View */

const ICONS = /** @type {const} */ ({ genuine: "check", wrong: "cross", unknown: "dots" });
const STATE_ICONS = /** @type {const} */ ({ passed: "check", failed: "cross", unavailable: "dash" });

const page = new PageLanguage();
const root = /** @type {HTMLElement} */ (document.getElementById("page"));

/** @type {View} */
let view = "choose";
/** @type {Check | null} */
let checked = null;
/** The hashes of the two entries, once they are shown. @type {[string, string]} */
let hashes = ["", ""];
/** @type {string | null} the token of the voucher that is shown; null: a file of theirs */
let token = null;
let newest = 0; // of several checks that run, the one that was asked for last is shown

const brand = h("p", { class: "voucher-brand" }, "Proofcall");
const languageSwitch = h("button", {
  class: "text-button",
  type: "button",
  testid: "language-switch",
  on: { click: () => page.switch() },
});
const mark = h("span", { class: "verdict-mark" });
const verdict = h("h1", { testid: "verdict", tabindex: "-1" });
const verdictText = h("p", { class: "verdict-text" });
const head = h(
  "section",
  { class: "verdict", testid: "verdict-box", "aria-live": "polite" },
  mark,
  verdict,
  verdictText,
);
const again = h("button", { class: "button", type: "button", testid: "again", on: { click: () => open() } });
const facts = h("dl", { class: "voucher-facts", testid: "voucher-facts" });
const qr = qrPicture();
const qrHint = h("p", { class: "quiet" });
const savePdf = h("a", { class: "button is-accent", testid: "save-pdf" });
const saveJson = h("a", { class: "button", testid: "save-json", download: true });
const print = h("button", {
  class: "button",
  type: "button",
  testid: "print",
  on: { click: () => window.print() },
});
const keep = h("p", { class: "quiet" });
const share = h("section", { class: "voucher-share" }, qr, qrHint);
const saves = h("div", { class: "voucher-saves row" }, savePdf, saveJson, print);
const stepsTitle = h("h2");
const steps = h("ol", { class: "voucher-steps", testid: "steps" });
const outsideTitle = h("h2");
const outside = h("ol", { class: "voucher-steps", testid: "steps-outside" });
const proof = h("section", { class: "voucher-proof" }, stepsTitle, steps, outsideTitle, outside);
const file = h("input", {
  class: "voucher-file",
  id: "voucher-file",
  type: "file",
  testid: "voucher-file",
  accept: ".json,.pdf,application/json,application/pdf",
  on: {
    change: () => {
      const chosen = file.files?.[0];
      if (chosen) openFile(chosen);
      file.value = ""; // the same file may be chosen again
    },
  },
});
const chooseLabel = h("label", { class: "button", for: "voucher-file" });
const chooseText = h("p");
const drop = h("section", { class: "voucher-drop", testid: "voucher-drop" }, chooseText, file, chooseLabel);
root.replaceChildren(
  h("header", { class: "voucher-head" }, brand, languageSwitch),
  head,
  again,
  facts,
  share,
  saves,
  keep,
  proof,
  drop,
);

/** What this service shows now of its log; null if it cannot be asked. @param {"vkey" | "policy"} what */
async function ofService(what) {
  try {
    const response = await fetch(`/log/${what}`, { cache: "no-store" });
    return response.ok ? await response.text() : null;
  } catch {
    return null;
  }
}

/** Whose cosignatures count by the word of this service, if anybody's do. */
async function policyOfService() {
  const text = await ofService("policy");
  if (text === null) return null;
  const policy = attempt(() => parsePolicy(text));
  return policy instanceof Said ? null : policy;
}

/** Shows the voucher of the address, or asks for a file. */
async function open() {
  token = location.hash.slice(1) || null;
  const asked = ++newest;
  if (token === null) return change("choose");
  change("checking");
  let bytes;
  try {
    const response = await fetch(placesOf(token).json, { cache: "no-store" });
    if (asked !== newest) return;
    if (response.status === 410) return change("erased");
    if (response.status >= 400 && response.status < 500) return change("bad_address");
    if (!response.ok) return change("unreachable");
    bytes = new Uint8Array(await response.arrayBuffer());
  } catch {
    if (asked === newest) change("unreachable");
    return;
  }
  await checkBytes(bytes, asked);
}

/** @param {File} chosen */
async function openFile(chosen) {
  token = null;
  const asked = ++newest;
  change("checking");
  let bytes;
  try {
    bytes = new Uint8Array(await chosen.arrayBuffer());
  } catch {
    if (asked === newest) change("unreadable_file");
    return;
  }
  await checkBytes(bytes, asked);
}

/** @param {Uint8Array<ArrayBuffer>} bytes @param {number} asked */
async function checkBytes(bytes, asked) {
  const vkey = await ofService("vkey");
  const policy = await policyOfService();
  const found = await checkVoucher(bytes, { vkey: vkey?.trim() ?? null, policy, demanded: false });
  /** @type {[string, string]} */
  const made = found.voucher
    ? [await hashOf(found.voucher.handed_over), await hashOf(found.voucher.confirmed)]
    : ["", ""];
  if (asked !== newest) return;
  hashes = made;
  checked = found;
  change("checked");
}

/** @param {View} next */
function change(next) {
  view = next;
  if (next !== "checked") checked = null;
  draw();
  if (next !== "choose" && next !== "checking") verdict.focus({ preventScroll: true });
}

function draw() {
  const words = VOUCHER_WORDS[page.language];
  const notice = noticeOf(words);
  document.title = view === "checked" ? `${notice.title} · Proofcall` : `${words.title} · Proofcall`;
  text(languageSwitch, page.words.other_language);
  set(languageSwitch, "title", page.words.switch_language);
  set(languageSwitch, "lang", page.language === "zh" ? "en" : "zh-Hans");
  text(verdict, notice.title);
  text(verdictText, notice.text);
  const state = view === "checked" ? (checked?.verdict ?? "unknown") : view;
  set(head, "data-state", state);
  set(head, "aria-busy", view === "checking" ? "true" : null);
  show(mark, view === "checked");
  if (checked) mark.replaceChildren(icon(ICONS[checked.verdict]));
  text(again, words.again);
  show(again, view === "unreachable");
  drawFacts(words);
  drawShare(words);
  drawSteps(words);
  text(chooseText, view === "choose" ? "" : words.choose_text);
  show(chooseText, view !== "choose");
  text(chooseLabel, view === "choose" ? words.choose : words.choose_another);
  set(chooseLabel, "class", view === "choose" ? "button is-accent is-main" : "button");
}

/** @param {import("./voucher_words.js").VoucherWords} words @returns {Notice} */
function noticeOf(words) {
  switch (view) {
    case "choose":
      return { title: words.choose_title, text: words.choose_text };
    case "checking":
      return { title: words.checking, text: "" };
    case "checked": {
      const found = checked?.verdict ?? "unknown";
      return { title: words.verdict[found], text: words.verdict_text[found] };
    }
    case "unreadable_file":
      return { title: words.choose_title, text: words.unreadable_file };
    default:
      return words[view];
  }
}

/** @param {import("./voucher_words.js").VoucherWords} words */
function drawFacts(words) {
  const voucher = checked?.voucher ?? null;
  show(facts, voucher !== null);
  facts.replaceChildren();
  if (!voucher) return;
  const { handed_over, confirmed } = voucher;
  const languages = [page.language, ...navigator.languages];
  const label =
    typeof handed_over.body.label === "object" ? say(handed_over.body.label ?? {}, languages) : "";
  const photos = [handed_over, confirmed].reduce(
    (sum, { body }) => sum + (Array.isArray(body.attachments) ? body.attachments.length : 0),
    0,
  );
  const [, origin = "", leaves = "0"] = /^(.*)\n([0-9]+)\n/.exec(voucher.checkpoint) ?? [];
  /** @type {[string, string | null, string][]} */
  const rows = [
    [words.waybill, voucher.waybill, "is-large"],
    [words.handed_over, timeOf(handed_over.envelope.recorded_at, voucher.time_zone), ""],
    [words.how, label, ""],
    [words.remark, textOf(handed_over.body.text), ""],
    [words.confirmed, timeOf(confirmed.envelope.recorded_at, voucher.time_zone), ""],
    [words.statement, textOf(confirmed.body.statement), "is-quote"],
    [words.reservation, textOf(confirmed.body.reservation) ?? words.no_reservation, ""],
    [words.photos, photos > 0 ? words.photos_count(photos) : null, ""],
    [words.entry(handed_over.envelope.number), hashes[0], "is-hash"],
    [words.entry(confirmed.envelope.number), hashes[1], "is-hash"],
    [words.checkpoint, words.leaves(origin, Number(leaves)), "is-hash"],
    [words.witnesses, checked?.witnesses.join(", ") ?? null, "is-hash"],
    [words.key, voucher.vkey, "is-hash"],
  ];
  for (const [name, value, kind] of rows) {
    if (value)
      facts.append(h("div", {}, h("dt", {}, name), h("dd", kind === "" ? {} : { class: kind }, value)));
  }
}

/** @param {import("./voucher_words.js").VoucherWords} words */
function drawShare(words) {
  const genuine = checked?.verdict === "genuine";
  const shared = genuine && token !== null;
  show(share, shared);
  show(saves, genuine);
  show(keep, shared);
  show(savePdf, shared);
  show(saveJson, shared);
  text(savePdf, words.save_pdf);
  text(saveJson, words.save_json);
  text(print, words.print);
  text(keep, words.keep);
  text(qrHint, words.qr_hint);
  set(qr, "alt", words.qr);
  if (!shared || token === null) return;
  const places = placesOf(token);
  set(qr, "src", places.qr);
  set(savePdf, "href", places.pdf(page.language));
  set(saveJson, "href", places.json);
}

/** @param {import("./voucher_words.js").VoucherWords} words */
function drawSteps(words) {
  show(proof, checked !== null);
  text(stepsTitle, words.steps);
  text(outsideTitle, words.steps_outside);
  steps.replaceChildren();
  outside.replaceChildren();
  if (!checked) return;
  for (const { number, name, state, why } of checked.steps) {
    const { title, passed } = words.step[name];
    const sentences = [state === "passed" ? passed : words.why[/** @type {keyof typeof words.why} */ (why)]];
    if (name === "document" && checked.from_pdf && state === "passed") sentences.push(words.pages_of_pdf);
    if (name === "order" && checked.between > 0 && state === "passed") {
      sentences.push(words.between(checked.between));
    }
    const line = h(
      "li",
      { class: "voucher-step", testid: "step", "data-step": String(number), "data-state": state },
      h("span", { class: "voucher-step-mark" }, icon(STATE_ICONS[state])),
      h(
        "div",
        {},
        h(
          "p",
          { class: "voucher-step-title" },
          h("span", {}, `${number}. ${title}`),
          h("span", { class: "voucher-step-state" }, words.state[state]),
        ),
        h("p", { class: "quiet" }, sentences.join(" ")),
      ),
    );
    (number <= INNER_STEPS ? steps : outside).append(line);
  }
}

/** In the zone of the case, as the paper says it. @param {string} at @param {string} zone */
function timeOf(at, zone) {
  /** @param {string} timeZone */
  const told = (timeZone) =>
    new Intl.DateTimeFormat(page.language === "zh" ? "zh-CN" : "en-GB", {
      dateStyle: "long",
      timeStyle: "long",
      timeZone,
    }).format(new Date(at));
  try {
    return told(zone);
  } catch {
    return told("UTC"); // a zone that this browser does not know
  }
}

/** @param {unknown} value */
function textOf(value) {
  return typeof value === "string" ? value : null;
}

page.onChange = draw;
addEventListener("hashchange", () => open());
takeDroppedFiles(drop, openFile);
open();
