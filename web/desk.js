// @ts-check
/**
 * The desk of quality check and of dispatch: the queue on the left (with a desk link), one case in the middle and on
 * the right.
 *
 * A desk link follows the work orders of all cases, lists cases, and is given a link of its own role for each one that
 * is opened; such a link shows its own case alone. Which case is open stands in the address (`?case=`), so that back,
 * reload and bookmarks lead there.
 */

import { Api, ApiError } from "./api.js";
import { CaseView } from "./case_view.js";
import { DeskFeed } from "./desk_feed.js";
import { h, icon, keyed, set, show, text } from "./dom.js";
import { PageLanguage } from "./language.js";
import { LogSearch } from "./log_search.js";
import { OrderList } from "./order_list.js";
import { countToRule, followFeed, inOrder, keyOf, NO_QUEUE, newcomers, nextOrder } from "./orders.js";
import { ORDERS_WORDS } from "./orders_words.js";
import { Sounds } from "./sounds.js";
import { linkOfPage, readToken, remember, remembered } from "./token.js";
import { WordingSource } from "./wording.js";
import { clockTime } from "./words.js";

/** @typedef {import("./api.js").CaseRow} CaseRow */

const POLL_EVERY_MS = 3000; // a new case is seen about as soon as its first ring
const OWN_LINK_LIFETIME_S = 12 * 3600; // one shift
const COUNT_EVERY_MS = 5000; // what is left of a work order's time is told in minutes

const page = new PageLanguage();
const sounds = new Sounds();
const link = linkOfPage();
const desk = link?.type === "desk" ? new Api(link.token) : null;
const own_role = link?.role === "dispatch" ? "dispatch" : "qa";
const root = /** @type {HTMLElement} */ (document.getElementById("page"));

const heading = h("h1", { class: "desk-title" });
const languageSwitch = h("button", {
  class: "text-button",
  type: "button",
  testid: "language-switch",
  on: { click: () => page.switch() },
});
const helpButton = h("button", { class: "text-button", type: "button", testid: "help" }, "?");
const search = h("input", { class: "input", type: "search", testid: "search", autocomplete: "off" });
const listNote = h("p", { class: "quiet", testid: "queue-note", role: "status" });
const groups = h("div", { class: "groups" });
const orderList = new OrderList({ page, onChoose: (row) => openOrder(row) });
const logSearch = new LogSearch({
  page,
  across: true,
  ask: (words, before) => /** @type {Api} */ (desk).search(words, before),
  onOpen: ({ case_id, number }) => go(case_id, number),
});
const queue = h(
  "nav",
  { class: "queue", testid: "queue" },
  h("header", { class: "queue-head" }, heading, helpButton, languageSwitch),
  search,
  logSearch.element,
  orderList.element,
  listNote,
  groups,
);
const place = h("div", { class: "desk-place" });
const noticeTitle = h("h1");
const noticeText = h("p");
const notice = h(
  "section",
  { class: "screen is-notice", testid: "notice", hidden: true },
  icon("alert"),
  noticeTitle,
  noticeText,
);
const choose = h("p", { class: "desk-choose quiet" });
const helpTitle = h("h2");
const helpList = h("dl", { class: "keys" });
const helpClose = h("button", { class: "button", type: "button" });
const help = h("dialog", { class: "dialog", testid: "help-dialog" }, helpTitle, helpList, helpClose);
root.replaceChildren(queue, place, notice, help);
place.append(choose);

/** @type {readonly CaseRow[]} */
let cases = [];
/** @type {"loading" | "there" | "unreachable" | "expired"} */
let list = "loading";
/** @type {CaseView | null} */
let view = null;
let opening = 0;
let orders = NO_QUEUE;
/** @type {import("./desk_feed.js").FeedState} */
let feed = "connecting";
/** The work order that is looked at. @type {string | null} */
let looked_at = null;
/** What the service's clock is ahead. */
let offset_ms = 0;
let title = "";
if (desk) desk.onClock = (ahead_ms) => (offset_ms = ahead_ms);
const wording = new WordingSource(() => view?.update());

/** @param {CaseRow} row @returns {"live" | "open" | "ended"} */
function stateOf(row) {
  if (row.state !== "open") return "ended";
  return row.in_call.length > 0 ? "live" : "open";
}

function visible() {
  const wanted = search.value.trim().toLowerCase();
  const order = { live: 0, open: 1, ended: 2 };
  return cases
    .filter((row) => row.waybill.toLowerCase().includes(wanted) || row.case_id.includes(wanted))
    .sort((a, b) => order[stateOf(a)] - order[stateOf(b)]);
}

function update() {
  const { words } = page;
  const ordersWords = ORDERS_WORDS[page.language];
  set(root, "data-single", desk === null);
  text(heading, own_role === "dispatch" ? ordersWords.title_dispatch : words.desk.title);
  text(languageSwitch, words.other_language);
  set(languageSwitch, "lang", page.language === "zh" ? "en" : "zh-Hans");
  set(languageSwitch, "title", words.switch_language);
  set(helpButton, "title", words.desk.shortcuts);
  set(search, "placeholder", ordersWords.search_hint);
  set(search, "aria-label", ordersWords.search_all);
  text(choose, desk === null ? words.loading : words.desk.choose);
  const bad = link === null || (link.type === "link" && !["qa", "dispatch"].includes(link.role));
  show(notice, bad || list === "expired");
  show(queue, !bad && list !== "expired");
  show(place, !bad && list !== "expired");
  text(noticeTitle, bad ? words.notice.bad_link.title : words.desk.desk_expired_title);
  text(noticeText, bad ? words.notice.bad_link.text : words.desk.desk_expired_text);
  if (title === "" || view === null) title = heading.textContent ?? "";
  updateTitle();
  updateOrders();
  updateQueue();
  updateHelp();
  logSearch.update();
  view?.update();
}

/** The count stands first: of a narrow tab one sees no more. */
function updateTitle() {
  const count = countToRule(orders);
  document.title = count > 0 ? `(${count}) ${title}` : title;
}

function updateOrders() {
  show(orderList.element, desk !== null);
  orderList.update({ queue: orders, feed, current: looked_at, at: Date.now() + offset_ms });
}

/** @param {import("./orders.js").FeedEvent} event */
function handleFeed(event) {
  const before = orders;
  orders = followFeed(orders, event);
  const [newest] = newcomers(before, orders, Date.now() + offset_ms);
  if (newest) {
    sounds.play("order");
    orderList.announce(newest);
  }
  updateTitle();
  updateOrders();
}

/** @param {import("./orders.js").OrderRow} row */
function openOrder(row) {
  looked_at = keyOf(row);
  go(row.case_id, row.number);
  updateOrders();
  orderList.reveal(looked_at);
}

function updateQueue() {
  const { words } = page;
  const rows = visible();
  const count = { live: 0, open: 0, ended: 0 };
  for (const row of rows) count[stateOf(row)] += 1;
  const note =
    list === "unreachable"
      ? words.desk.list_unreachable
      : list === "loading"
        ? words.connection.connecting
        : cases.length === 0
          ? words.desk.no_cases
          : rows.length === 0
            ? words.desk.no_match
            : "";
  text(listNote, note);
  show(listNote, note !== "");
  const kinds = /** @type {const} */ (["live", "open", "ended"]);
  keyed(
    groups,
    kinds.filter((kind) => count[kind] > 0),
    () =>
      h(
        "section",
        { class: "group" },
        h("h2", { class: "state" }, h("span", { class: "state-mark" }), h("span")),
        h("ol"),
      ),
    (section, kind) => {
      const [title, items] = /** @type {HTMLElement[]} */ (Array.from(section.children));
      const key = /** @type {"live" | "open" | "ended"} */ (kind);
      if (!title || !items) return;
      set(title, "data-state", { live: "connected", open: "connecting", ended: "ended" }[key]);
      text(/** @type {Element} */ (title.lastElementChild), words.desk[`group_${key}`](count[key]));
      const mine = new Map(rows.filter((row) => stateOf(row) === key).map((row) => [row.case_id, row]));
      keyed(items, [...mine.keys()], makeRow, (item, case_id) => {
        const row = mine.get(case_id);
        const button = /** @type {HTMLElement} */ (item.firstElementChild);
        const [name, facts] = /** @type {HTMLElement[]} */ (Array.from(button.children));
        if (!row || !name || !facts) return;
        set(button, "data-state", key);
        set(button, "aria-current", view?.case_id === case_id ? "true" : null);
        text(name, row.waybill || words.desk.erased_case);
        const people = row.in_call
          .map((role) => words.role[/** @type {"qa"} */ (role)] ?? role)
          .join(words.and);
        text(
          facts,
          [clockTime(row.opened_at, row.time_zone), words.desk.pictures(row.frames), people]
            .filter(Boolean)
            .join(" · "),
        );
      });
    },
  );
}

/** @param {string} case_id */
function makeRow(case_id) {
  return h(
    "li",
    {},
    h(
      "button",
      {
        class: "case-row",
        type: "button",
        testid: "case-row",
        "data-case-id": case_id,
        on: { click: () => go(case_id) },
      },
      h("span", { class: "case-name" }),
      h("span", { class: "quiet" }),
    ),
  );
}

function updateHelp() {
  const { words } = page;
  const { shortcut } = words.desk;
  const own = ORDERS_WORDS[page.language].shortcut;
  text(helpTitle, words.desk.shortcuts);
  text(helpClose, words.close);
  const keys = [
    ["o", own.order],
    ["j k", shortcut.next],
    ["J K", shortcut.next_case],
    ["1 2 3", shortcut.person],
    ["␣", shortcut.shutter],
    ["t", shortcut.write],
    ["l", shortcut.join],
    ["m", shortcut.mute],
    ["p", shortcut.listen],
    ["␣", shortcut.play],
    [", .", shortcut.frame],
    ["← →", shortcut.skip],
    ["< >", shortcut.speed],
    ["m", shortcut.sound],
    ["g", shortcut.newest],
    ["/", ORDERS_WORDS[page.language].search_all],
    ["f", own.find],
    ["esc", shortcut.close],
    ["?", shortcut.help],
  ];
  helpList.replaceChildren(
    ...keys.map(([key, meaning]) =>
      h("div", { class: "keys-row" }, h("dt", {}, h("kbd", {}, key)), h("dd", {}, meaning)),
    ),
  );
}

// Which case is open.

function wantedCase() {
  return link?.type === "link" ? link.case_id : new URL(location.href).searchParams.get("case");
}

/** Opens a case, and an entry of it. @param {string} case_id @param {number | null} [number] */
async function go(case_id, number = null) {
  if (case_id !== wantedCase()) {
    const address = new URL(location.href);
    address.searchParams.set("case", case_id);
    history.pushState(null, "", address);
    await follow();
  }
  if (number !== null && view?.case_id === case_id) view.show(number);
}

async function follow() {
  const case_id = wantedCase();
  opening += 1;
  const turn = opening;
  if (view?.case_id === case_id) return;
  view?.close();
  view = null;
  place.replaceChildren(choose);
  if (case_id !== null) {
    try {
      const { token, actor_id } = await ownLink(case_id);
      if (turn !== opening) return;
      const onTitle = (/** @type {string} */ told) => {
        title = told;
        updateTitle();
      };
      view = new CaseView({ case_id, token, actor_id, page, wording, desk, onTitle });
      place.replaceChildren(view.element);
      view.start();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (turn !== opening) return;
      if (error.status === 401) list = "expired";
      else if (error.status === 0 || error.status >= 500)
        setTimeout(() => turn === opening && follow(), POLL_EVERY_MS);
      else text(choose, page.words.notice.bad_link.title);
    }
  }
  update();
}

/** The link for a case: this page's own, the one asked for earlier in this tab, or a new one. @param {string} case_id */
async function ownLink(case_id) {
  if (link?.type === "link") return { token: link.token, actor_id: link.actor_id };
  const key = `proofcall.${own_role}.${link?.actor_id}.${case_id}`;
  const kept = readToken(remembered(key) ?? "");
  if (kept && kept.expires_at * 1000 > Date.now() + 60_000)
    return { token: kept.token, actor_id: kept.actor_id };
  const issued = await /** @type {Api} */ (desk).issueLink(case_id, {
    role: own_role,
    name: link?.name ?? own_role.toUpperCase(),
    expires_in_s: OWN_LINK_LIFETIME_S,
  });
  remember(key, issued.token);
  return { token: issued.token, actor_id: issued.link_id };
}

async function poll() {
  if (desk === null || list === "expired") return;
  if (document.visibilityState === "visible") {
    try {
      cases = await desk.cases();
      list = "there";
    } catch (error) {
      list = error instanceof ApiError && error.status === 401 ? "expired" : "unreachable";
    }
    update();
  }
  setTimeout(poll, POLL_EVERY_MS);
}

/** @param {number} step */
function stepCase(step) {
  const rows = visible();
  const at = rows.findIndex(({ case_id }) => case_id === view?.case_id);
  const next = rows[Math.max(0, Math.min(rows.length - 1, at + step))];
  if (next) go(next.case_id);
}

document.addEventListener("keydown", (event) => {
  const { target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && target instanceof HTMLElement) target.blur();
  const typing =
    target instanceof HTMLInputElement ||
    target instanceof HTMLSelectElement ||
    target instanceof HTMLTextAreaElement;
  if (typing || document.querySelector("dialog[open]")) return;
  // Space on a button presses that button, as everywhere.
  if (event.key === " " && target instanceof HTMLButtonElement && !target.classList.contains("log-row"))
    return;
  switch (event.key) {
    case "?":
      help.showModal();
      break;
    case "/":
      if (desk) search.focus();
      else if (!view?.handleKey("f")) return;
      break;
    case "o": {
      const next = desk && nextOrder(inOrder(orders), looked_at);
      if (next) openOrder(next);
      else if (!view?.handleKey("o")) return;
      break;
    }
    case "J":
      stepCase(1);
      break;
    case "K":
      stepCase(-1);
      break;
    default:
      if (!view?.handleKey(event.key)) return;
  }
  event.preventDefault();
});

helpButton.addEventListener("click", () => help.showModal());
helpClose.addEventListener("click", () => help.close());
search.addEventListener("input", () => {
  logSearch.look(search.value);
  updateQueue();
});
search.addEventListener("keydown", (event) => {
  const [first] = visible();
  if (event.key === "Enter" && first) {
    search.blur();
    go(first.case_id);
  } else if ((event.key === "ArrowDown" || event.key === "Enter") && logSearch.focus())
    event.preventDefault();
});
addEventListener("popstate", follow);
addEventListener("hashchange", () => location.reload());
page.onChange = update;
update();
follow();
poll();
if (desk) {
  const onState = (/** @type {typeof feed} */ now) => {
    if (now === feed) return;
    feed = now;
    if (now === "expired") list = "expired";
    update();
  };
  new DeskFeed({ api: desk, onEvent: handleFeed, onState }).start();
  setInterval(updateOrders, COUNT_EVERY_MS);
}
