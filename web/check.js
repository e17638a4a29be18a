// @ts-check
/**
 * The page that checks a package, where the package is: chosen or dropped, read piece by piece, sent nowhere. It lies
 * in every package as one file (`server/check_page.py` puts it together), opens without a network, and asks for none.
 */

import { STORY_FILTERS, storyOf } from "./check_story.js";
import { CHECK_WORDS } from "./check_words.js";
import { h, icon, set, show, text } from "./dom.js";
import { takeDroppedFiles } from "./file_drop.js";
import { PageLanguage } from "./language.js";
import {
  checkPackage,
  INNER_STEPS,
  uncheckedTokens,
  withinHolds,
  withOther,
  withTrust,
} from "./package_check.js";
import { NOBODY, parseTrust } from "./package_trust.js";
import { tell, Wrong } from "./said.js";

/** @typedef {import("./package_check.js").Report} Report */
/** @typedef {import("./package_check.js").Step} Step */
/** @typedef {import("./check_words.js").CheckWords} CheckWords */
/** @typedef {"choose" | "checking" | "checked" | "unreadable" | "voucher" | "trust"} View */

const ICONS = /** @type {const} */ ({ holds: "check", wrong: "cross", unknown: "dots" });
const OUTCOME_ICONS = /** @type {const} */ ({ passed: "check", failed: "cross", cannot_be_made: "dash" });
const SHOWN_FINDINGS = 10; // of a step; what one byte breaks is soon told
const SHOWN_LINES = 100; // of the story at once
const TOLD_EVERY_MS = 100; // progress
const PICTURES = ["image/jpeg", "image/png", "image/webp", "image/gif", "image/avif"];
const BEGIN_BYTES = 100; // a trust file names its format before all else
const TRUST_BEGINS = /^\s*\{\s*"format":\s*"proofcall-trust"/;
const VOUCHER_BEGINS = ["{", "%PDF-"];

const page = new PageLanguage();
const root = /** @type {HTMLElement} */ (document.getElementById("page"));

/** @type {View} */
let view = "choose";
/** @type {File | null} */
let file = null;
/** @type {Report | null} */
let report = null;
/** Whom the person trusts, for this package and the next. @type {import("./package_trust.js").Trust} */
let trust = NOBODY;
/** Why what was given to compare with cannot be used. @type {((words: CheckWords) => string) | null} */
let key_problem = null;
/** What was compared last. @type {"key" | "history" | null} */
let compared_step = null;
let read_bytes = 0;
let shown_lines = SHOWN_LINES;
/** @type {import("./check_story.js").StoryFilter} */
let filter = "main";
let newest = 0; // of several checks that run, the one that was asked for last is shown
/** @type {string[]} addresses of pictures that are shown */
let addresses = [];

const languageSwitch = h("button", {
  class: "text-button",
  type: "button",
  testid: "language-switch",
  on: { click: () => page.switch() },
});
const mark = h("span", { class: "verdict-mark" });
const verdict = h("h1", { testid: "verdict", tabindex: "-1" });
const verdictText = h("p", { class: "verdict-text", testid: "verdict-text" });
const unshown = h("p", { class: "verdict-text", testid: "unshown" });
const untimed = h("p", { class: "verdict-text", testid: "untimed" });
const toStory = h("a", { class: "check-file", href: "#story" });
const progress = h("progress", { class: "check-progress", max: 1, value: 0 });
const progressText = h("p", { class: "quiet", testid: "progress" });
const head = h(
  "section",
  { class: "verdict", testid: "verdict-box", "aria-live": "polite" },
  mark,
  verdict,
  verdictText,
  unshown,
  untimed,
  toStory,
);
const working = h("section", { class: "check-working" }, progress, progressText);
const facts = h("dl", { class: "voucher-facts", testid: "facts" });
const stepsTitle = h("h2");
const steps = h("ol", { class: "voucher-steps", testid: "steps" });
const outsideTitle = h("h2");
const outside = h("ol", { class: "voucher-steps", testid: "steps-outside" });
const proof = h("section", { class: "voucher-proof" }, stepsTitle, steps, outsideTitle, outside);
const keyTitle = h("h2");
const keyText = h("p", { class: "quiet" });
const keyLabel = h("label", { for: "check-key", class: "check-label" });
const keyField = h("input", {
  class: "input check-key",
  id: "check-key",
  testid: "key-field",
  type: "text",
  autocomplete: "off",
  autocapitalize: "off",
  spellcheck: "false",
});
const keyButton = h("button", { class: "button", type: "submit", testid: "key-check" });
const trustChooser = h("input", {
  class: "voucher-file",
  id: "check-trust",
  type: "file",
  testid: "trust-file",
  accept: ".json,application/json",
  on: {
    change: async () => {
      const chosen = trustChooser.files?.[0];
      trustChooser.value = "";
      if (chosen) await believe(await chosen.text());
    },
  },
});
const trustLabel = h("label", { class: "button check-choose", for: "check-trust" });
const otherChooser = h("input", {
  class: "voucher-file",
  id: "check-other",
  type: "file",
  testid: "other-file",
  on: {
    change: async () => {
      const chosen = otherChooser.files?.[0];
      otherChooser.value = "";
      if (!chosen || !report) return;
      const asked = newest;
      key_problem = null;
      compared_step = null;
      try {
        const found = await withOther(report, chosen);
        if (asked === newest) {
          report = found;
          compared_step = "history";
        }
      } catch (error) {
        console.error(error);
        if (asked === newest) key_problem = (words) => words.unreadable.title;
      }
      draw();
    },
  },
});
const otherLabel = h("label", { class: "button check-choose", for: "check-other" });
const trustUsed = h("p", { testid: "trust-used" });
/** What came of the last comparison, said where it was asked for: the step itself stands far above. */
const compared = h("p", { testid: "compared", role: "status" });
const forget = h("button", {
  class: "text-button check-forget",
  type: "button",
  testid: "forget",
  on: {
    click: () => {
      keyField.value = "";
      believe("");
    },
  },
});
const keyProblem = h("p", { class: "check-problem", role: "alert", testid: "key-problem" });
const keyForm = h(
  "form",
  {
    class: "check-form",
    on: {
      submit: (/** @type {Event} */ event) => {
        event.preventDefault();
        believe(keyField.value);
      },
    },
  },
  keyTitle,
  keyText,
  keyLabel,
  h("div", { class: "row" }, keyField, keyButton),
  h("div", { class: "check-trust" }, trustChooser, trustLabel),
  h("div", { class: "check-trust" }, otherChooser, otherLabel),
  keyProblem,
  compared,
  trustUsed,
  forget,
);
const storyTitle = h("h2", { id: "story" });
const storyText = h("p", { class: "quiet" });
const storyFilter = h("select", {
  class: "input",
  id: "check-filter",
  testid: "story-filter",
  on: {
    change: () => {
      filter = /** @type {import("./check_story.js").StoryFilter} */ (storyFilter.value);
      shown_lines = SHOWN_LINES;
      drawStory(CHECK_WORDS[page.language]);
    },
  },
});
const storyLabel = h("label", { for: "check-filter", class: "check-label" });
const storyNone = h("p", { class: "quiet" });
const story = h("ol", { class: "check-story", testid: "story" });
const more = h("button", {
  class: "button",
  type: "button",
  testid: "more",
  on: {
    click: () => {
      shown_lines += SHOWN_LINES;
      drawStory(CHECK_WORDS[page.language]);
    },
  },
});
const storyBox = h(
  "section",
  { class: "voucher-proof" },
  storyTitle,
  storyText,
  h("div", { class: "check-filter" }, storyLabel, storyFilter),
  storyNone,
  story,
  more,
);
const chooser = h("input", {
  class: "voucher-file",
  id: "check-file",
  type: "file",
  testid: "check-file",
  accept: ".zip,application/zip",
  on: {
    change: () => {
      const chosen = chooser.files?.[0];
      if (chosen) open(chosen);
      chooser.value = ""; // the same file may be chosen again
    },
  },
});
const chooseLabel = h("label", { class: "button", for: "check-file" });
const drop = h("section", { class: "voucher-drop", testid: "drop" }, chooser, chooseLabel);
root.replaceChildren(
  h("header", { class: "voucher-head" }, h("p", { class: "voucher-brand" }, "Proofcall"), languageSwitch),
  head,
  working,
  facts,
  proof,
  keyForm,
  storyBox,
  drop,
);

/** @param {File} chosen */
async function open(chosen) {
  // Dropped on a verdict, a trust file is what to compare with, and takes the verdict from nobody.
  if (report && (await isTrust(chosen))) return believe(await chosen.text());
  const asked = ++newest;
  file = chosen;
  report = null;
  key_problem = null;
  compared_step = null;
  read_bytes = 0;
  shown_lines = SHOWN_LINES;
  change("checking");
  let told = 0;
  try {
    if (await isTrust(chosen)) {
      if (asked === newest) change("trust");
      return;
    }
    const begin = await chosen.slice(0, BEGIN_BYTES).text();
    if (VOUCHER_BEGINS.some((mark) => begin.startsWith(mark))) {
      if (asked === newest) change("voucher");
      return;
    }
    const found = await checkPackage(chosen, trust, (read) => {
      if (asked !== newest || performance.now() - told < TOLD_EVERY_MS) return;
      told = performance.now();
      read_bytes = read;
      drawProgress(CHECK_WORDS[page.language]);
    });
    if (asked !== newest) return;
    report = found;
    change("checked");
  } catch (error) {
    // A file that vanished or changed while it was read, or more than this device has memory for.
    console.error(error);
    if (asked === newest) change("unreadable");
  }
}

/** By how it begins; what cannot be read is none. @param {File} chosen */
async function isTrust(chosen) {
  try {
    return TRUST_BEGINS.test(await chosen.slice(0, BEGIN_BYTES).text());
  } catch {
    return false;
  }
}

/** @param {string} text a key or a trust file */
async function believe(text) {
  if (!report) return;
  key_problem = null;
  compared_step = null;
  const asked = newest;
  try {
    trust = text.trim() === "" ? NOBODY : parseTrust(text);
    const found = await withTrust(report, trust);
    if (asked === newest) {
      report = found;
      compared_step = trust.vkeys.length > 0 ? "key" : null;
    }
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    key_problem = (words) => words.key_bad(tell(error.said, words.sentences));
  }
  draw();
}

/** @param {View} next */
function change(next) {
  view = next;
  draw();
  if (next !== "choose" && next !== "checking") verdict.focus({ preventScroll: true });
}

/** @param {Report} found @returns {"holds" | "wrong" | "unknown"} */
function verdictOf(found) {
  if (found.passed) return "holds";
  return found.steps.some(({ outcome }) => outcome === "failed") ? "wrong" : "unknown";
}

function draw() {
  const words = CHECK_WORDS[page.language];
  const { title, told } = noticeOf(words);
  document.title = view === "checked" ? `${title} · Proofcall` : `${words.title} · Proofcall`;
  text(languageSwitch, page.words.other_language);
  set(languageSwitch, "title", page.words.switch_language);
  set(languageSwitch, "lang", page.language === "zh" ? "en" : "zh-Hans");
  text(verdict, title);
  text(verdictText, told);
  const state = report ? verdictOf(report) : null;
  set(head, "data-state", state === "holds" ? "genuine" : (state ?? view));
  set(head, "aria-busy", view === "checking" ? "true" : null);
  show(mark, state !== null);
  if (state) mark.replaceChildren(icon(ICONS[state]));
  const pictures = report?.passed ? report.unshown_pictures : [];
  show(unshown, pictures.length > 0);
  text(unshown, words.unshown(pictures.map(words.entry_number).join(words.comma)));
  const tokens = report?.passed && trust.roots.length > 0 ? uncheckedTokens(report) : 0;
  show(untimed, tokens > 0);
  text(untimed, words.untimed(tokens));
  show(toStory, report?.passed === true);
  text(toStory, words.to_story);
  show(working, view === "checking");
  drawProgress(words);
  drawFacts(words);
  drawSteps(words);
  drawKey(words);
  drawStory(words);
  text(chooseLabel, view === "choose" ? words.choose : words.choose_another);
  set(chooseLabel, "class", view === "choose" ? "button is-accent is-main" : "button");
  show(drop, view !== "checking");
}

/** @param {CheckWords} words @returns {{title: string, told: string}} */
function noticeOf(words) {
  if (report) {
    const state = verdictOf(report);
    const title = words.verdict[state];
    if (state === "holds") {
      const compared = report.steps.some(({ name, outcome }) => name === "key" && outcome === "passed");
      return { title, told: words.verdict_text.holds(compared) };
    }
    const outcome = state === "wrong" ? "failed" : "cannot_be_made";
    const concerned = report.steps.filter(
      (step) => step.outcome === outcome && (outcome === "failed" || step.number <= INNER_STEPS),
    );
    const numbers = concerned.map(({ number }) => words.step_number(number)).join(words.comma);
    if (state === "unknown") return { title, told: words.verdict_text.unknown(numbers) };
    if (withinHolds(report.steps)) {
      const used = trust === NOBODY ? "" : usedTrust(words);
      return { title, told: words.verdict_text.wrong_outside(numbers, used) };
    }
    return { title, told: words.verdict_text.wrong(numbers, whereOf(concerned, words)) };
  }
  switch (view) {
    case "checking":
      return { title: words.checking, told: words.checking_text(file?.name ?? "") };
    case "unreadable":
    case "voucher":
    case "trust":
      return { title: words[view].title, told: words[view].text };
    default:
      return { title: words.title, told: words.choose_text };
  }
}

/** Whom the person trusts, in words. @param {CheckWords} words */
function usedTrust(words) {
  return words.trust_used(trust.vkeys.length, trust.roots.length, trust.policy !== null);
}

/** Entries, or else files, or else all of it. @param {readonly Step[]} failed @param {CheckWords} words */
function whereOf(failed, words) {
  const findings = failed.flatMap((step) => step.findings);
  const entries = new Set(findings.flatMap(({ entry }) => (entry === null ? [] : [entry])));
  const members = new Set(findings.flatMap(({ member }) => (member === null ? [] : [member])));
  const names =
    entries.size > 0 ? [...entries].sort((a, b) => a - b).map(words.entry_number) : [...members].sort();
  const shown = names.slice(0, SHOWN_FINDINGS);
  if (names.length > shown.length) shown.push(words.more(names.length - shown.length));
  return shown.join(words.comma) || words.whole_file;
}

/** @param {CheckWords} words */
function drawProgress(words) {
  const whole = file?.size ?? 0;
  const part = whole > 0 ? read_bytes / whole : 0;
  set(progress, "value", part);
  set(progress, "aria-label", words.checking);
  text(progressText, words.progress(Math.floor(part * 100), bytes(read_bytes), bytes(whole)));
}

/** @param {number} count */
function bytes(count) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"];
  const step = Math.min(3, Math.floor(Math.log10(Math.max(1, count)) / 3));
  return new Intl.NumberFormat(page.language === "zh" ? "zh-CN" : "en-GB", {
    style: "unit",
    unit: units[step] ?? "byte",
    maximumFractionDigits: step === 0 ? 0 : 1,
  }).format(count / 1000 ** step);
}

/** @param {CheckWords} words */
function drawFacts(words) {
  show(facts, report !== null);
  facts.replaceChildren();
  if (!report) return;
  /** @type {[string, string, string][]} */
  const rows = [
    [words.file, `${file?.name ?? ""} · ${bytes(file?.size ?? 0)}`, ""],
    [words.case_id, report.case_id ?? words.unknown_value, "is-hash"],
    [words.entries, String(report.entries), ""],
    [words.leaves, report.tree_size === null ? words.unknown_value : String(report.tree_size), ""],
    [words.key, report.vkey ?? words.unknown_value, "is-hash"],
  ];
  for (const [name, value, kind] of rows) {
    facts.append(h("div", {}, h("dt", {}, name), h("dd", kind === "" ? {} : { class: kind }, value)));
  }
}

/** @param {CheckWords} words */
function drawSteps(words) {
  show(proof, report !== null);
  text(stepsTitle, words.steps);
  text(outsideTitle, words.steps_outside);
  steps.replaceChildren();
  outside.replaceChildren();
  for (const step of report?.steps ?? []) {
    const needs_nothing_else = step.number <= INNER_STEPS || step.name === "erasure";
    (needs_nothing_else ? steps : outside).append(stepLine(step, words));
  }
}

/** @param {Step} step @param {CheckWords} words */
function stepLine({ number, name, outcome, message, findings, unmade }, words) {
  /** @param {import("./package_check.js").Finding[]} list @param {string} testid */
  const told = (list, testid) => {
    const lines = list
      .slice(0, SHOWN_FINDINGS)
      .map((one) => h("li", { testid }, tell(one.said, words.sentences)));
    const left = list.length - lines.length;
    return left > 0 ? [...lines, h("li", {}, words.more(left))] : lines;
  };
  const wrong = [...told(findings, "finding"), ...told(unmade, "unmade")];
  const sentence = findings.length > 0 ? null : tell(message, words.sentences);
  return h(
    "li",
    {
      class: "voucher-step",
      testid: "step",
      "data-step": String(number),
      "data-state": outcome,
      "data-name": name,
    },
    h("span", { class: "voucher-step-mark" }, icon(OUTCOME_ICONS[outcome])),
    h(
      "div",
      { class: "check-step" },
      h(
        "p",
        { class: "voucher-step-title" },
        h("span", {}, `${number}. ${words.step[name]}`),
        h("span", { class: "voucher-step-state" }, words.state[outcome]),
      ),
      sentence ? h("p", { class: "quiet", testid: "message" }, sentence) : null,
      wrong.length > 0 ? h("ul", { class: "check-findings" }, ...wrong) : null,
    ),
  );
}

/** @param {CheckWords} words */
function drawKey(words) {
  show(keyForm, report !== null);
  text(keyTitle, words.key_title);
  text(keyText, words.key_text);
  text(keyLabel, words.key_label);
  text(keyButton, words.key_check);
  text(trustLabel, words.trust_choose);
  text(otherLabel, words.other_choose);
  const used = trust !== NOBODY;
  show(trustUsed, used);
  show(forget, used);
  text(trustUsed, usedTrust(words));
  text(forget, words.trust_forget);
  show(keyProblem, key_problem !== null);
  text(keyProblem, key_problem?.(words) ?? "");
  set(keyField, "aria-invalid", key_problem ? "true" : null);
  const step = report?.steps.find(({ name }) => name === compared_step);
  show(compared, step !== undefined);
  text(compared, step ? words.compared(step.number, words.step[step.name], words.state[step.outcome]) : "");
  set(compared, "class", step?.outcome === "failed" ? "check-problem" : null);
}

/** What is not proven is not shown. @param {CheckWords} words */
function drawStory(words) {
  const held = report?.passed ? report : null;
  for (const address of addresses) URL.revokeObjectURL(address);
  addresses = [];
  story.replaceChildren();
  show(storyBox, held !== null);
  if (!held) return;
  text(storyTitle, words.story);
  text(storyText, words.story_text);
  text(storyLabel, words.story_filter);
  storyFilter.replaceChildren(
    ...Object.entries(words.story_filters).map(([value, name]) =>
      h("option", { value, selected: value === filter }, name),
    ),
  );
  const lines = storyOf(held, page.words).filter(STORY_FILTERS[filter]);
  show(storyNone, lines.length === 0);
  text(storyNone, words.story_none);
  story.append(...lines.slice(0, shown_lines).map((line) => storyLine(line, held, words)));
  const left = Math.min(SHOWN_LINES, lines.length - shown_lines);
  show(more, left > 0);
  text(more, words.story_more(Math.max(0, left)));
}

/** @param {import("./check_story.js").Line} line @param {Report} held @param {CheckWords} words */
function storyLine({ number, at, who, what, body, blobs }, held, words) {
  const files = blobs.map(({ sha256, media_type }) => {
    const picture = PICTURES.includes(media_type);
    const address = URL.createObjectURL(
      held.pack.members
        .get(`blobs/${sha256}`)
        // Saved, it is bytes: no page may run in the place of this one.
        ?.blob(picture ? media_type : "application/octet-stream") ?? new Blob(),
    );
    addresses.push(address);
    if (picture)
      return h("img", { class: "check-picture", src: address, alt: words.picture(number), loading: "lazy" });
    return h("a", { class: "check-file", href: address, download: sha256 }, words.save_file(media_type));
  });
  return h(
    "li",
    { class: "check-line", testid: "line" },
    h(
      "p",
      { class: "check-line-head" },
      h("span", {}, `${number}`),
      h("span", {}, timeOf(at)),
      h("span", {}, who),
    ),
    h("p", { class: "check-line-what" }, what),
    files.length > 0 ? h("div", { class: "check-files" }, ...files) : null,
    body === null
      ? null
      : h(
          "details",
          { class: "check-body" },
          h("summary", {}, words.body),
          h("pre", {}, JSON.stringify(body, null, 2)),
        ),
  );
}

/** In the zone of whoever reads, which it names. @param {string} at */
function timeOf(at) {
  return new Intl.DateTimeFormat(page.language === "zh" ? "zh-CN" : "en-GB", {
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    timeZoneName: "short",
  }).format(new Date(at));
}

page.onChange = draw;
takeDroppedFiles(drop, open);
draw();
