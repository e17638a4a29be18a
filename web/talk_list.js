// @ts-check
/**
 * The conversation's list: a row an item, changed in place. At its end it stays at its end; scrolled elsewhere,
 * nothing moves when entries arrive, and a button says how many have come.
 */

import { h, icon, keyed, set, show, text } from "./dom.js";
import { mapAddress } from "./place_link.js";
import { refusalWords } from "./refusal.js";
import { nameOf, sentenceOf } from "./sentences.js";
import { attachmentsOf } from "./talk.js";
import { AttachmentView } from "./talk_attachment.js";
import { isAddressed, itemsOf, messagesSince, reachOf } from "./talk_items.js";
import { TALK_WORDS } from "./talk_words.js";
import { say } from "./translations.js";
import { clockTime, dayName, dayOf, shortTime } from "./words.js";

/** @typedef {import("./protocol.js").Entry} Entry */
/** @typedef {import("./state.js").State} State */
/** @typedef {import("./talk_items.js").Item} Item */
/** @typedef {import("./talk_attachment.js").Means} Means */

const SHOWN = 200; // what a thumb scrolls back to; "earlier" brings as many more
const NEAR_END_PX = 48; // this near, people mean the end
const NEAR = "100% 0px"; // one view more on either side is loaded before a thumb gets there
const SEEN_SHARE = 0.5; // of a row, or of the list for rows that are higher

export class TalkList {
  #page;
  #means;
  #on;
  #most = SHOWN;
  #stays = true;
  /** The newest entry that was there when the reader was at the end. */
  #caught_up = 0;
  /** @type {ReadonlySet<number> | null} */
  #only = null;
  /** @type {WeakMap<HTMLElement, AttachmentView[]>} */
  #views = new WeakMap();
  /** What a row was last made from. @type {WeakMap<HTMLElement, string>} */
  #drawn = new WeakMap();
  /** @type {State | null} */
  #state = null;
  #seeing;
  #nearing;
  /** Entries that need not be read out any more; null: the log is not here yet. @type {number | null} */
  #read_out = null;

  /**
   * @param {{
   *   page: import("./language.js").PageLanguage, means: Means,
   *   onPicture: (number: number) => void, onReach: (entry: Entry) => void, onFound: (number: number) => void,
   *   onRetry: (id: string) => void, onDrop: (id: string) => void, onSeen: (number: number) => void,
   * }} options onSeen: this entry was before somebody's eyes
   */
  constructor({ page, means, ...on }) {
    this.#page = page;
    this.#means = means;
    this.#on = on;
    this.earlier = h("button", {
      class: "text-button talk-earlier",
      type: "button",
      testid: "talk-earlier",
      hidden: true,
      on: { click: () => this.#showEarlier() },
    });
    this.list = h("ol", { class: "talk", testid: "talk-list" });
    this.empty = h("p", { class: "quiet talk-empty" });
    // A log, but read out by `heard` alone: else every line on what happened would be read to who cannot see it.
    this.scroller = h(
      "div",
      { class: "talk-scroller", tabindex: 0, role: "log", "aria-live": "off" },
      this.earlier,
      this.empty,
      this.list,
    );
    this.heard = h("div", {
      class: "for-screen-readers",
      testid: "talk-heard",
      role: "status",
      "aria-live": "polite",
    });
    this.newestWord = h("span");
    this.newest = h(
      "button",
      {
        class: "button talk-newest with-icon",
        type: "button",
        testid: "talk-newest",
        hidden: true,
        on: {
          click: () => {
            this.toEnd();
            this.scroller.focus({ preventScroll: true }); // the button is gone
          },
        },
      },
      icon("down"),
      this.newestWord,
    );
    this.element = h("div", { class: "talk-frame" }, this.scroller, this.newest, this.heard);
    this.scroller.addEventListener("scroll", () => this.#noteScroll(), { passive: true });
    new ResizeObserver(() => this.#settle()).observe(this.scroller);
    new ResizeObserver(() => this.#settle()).observe(this.list);
    this.#seeing = new IntersectionObserver((seen) => this.#noteSeen(seen), {
      threshold: [0, SEEN_SHARE, 1],
    });
    this.#nearing = new IntersectionObserver(
      (seen) => {
        for (const { target, isIntersecting } of seen) {
          if (!isIntersecting) continue;
          for (const view of this.#views.get(/** @type {HTMLElement} */ (target)) ?? []) view.approach();
        }
      },
      { root: this.scroller, rootMargin: NEAR },
    );
    document.addEventListener("visibilitychange", () => this.#lookAgain());
  }

  /** Shows these entries alone; null: all. @param {ReadonlySet<number> | null} only */
  showOnly(only) {
    const before = this.#only;
    this.#only = only;
    if (only === null && before !== null) this.#stays = true;
    if (this.#state) this.update(this.#state);
    if (only !== null) this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  toEnd() {
    this.#stays = true;
    this.#settle();
    this.#noteScroll();
  }

  /** Moves with its parent to another place of the page, and stays where it was read. @param {() => void} move */
  keepPlace(move) {
    const [stays, top] = [this.#stays, this.scroller.scrollTop];
    move();
    this.#stays = stays;
    this.scroller.scrollTop = stays ? this.scroller.scrollHeight : top;
  }

  /** Brings an entry into sight, and marks it for a moment. @param {number} number */
  reveal(number) {
    if (!this.#state) return;
    this.#stays = false;
    const place = this.#state.entries.length - number;
    if (place >= this.#most) {
      this.#most = place + SHOWN;
      this.update(this.#state);
    }
    const row = this.list.querySelector(`[data-number="${number}"]`);
    if (!(row instanceof HTMLElement)) return;
    row.scrollIntoView({ block: "center" });
    row.tabIndex = -1;
    row.focus({ preventScroll: true });
    row.classList.add("is-found");
    setTimeout(() => row.classList.remove("is-found"), 2000);
  }

  /** @param {State} state */
  update(state) {
    this.#state = state;
    const words = TALK_WORDS[this.#page.language];
    const { items, earlier } = itemsOf(state, { most: this.#most, only: this.#only });
    set(this.scroller, "aria-label", words.list);
    show(this.empty, items.length === 0 && this.#only === null);
    const role = /** @type {keyof typeof words.empty} */ (state.you?.role ?? "guest");
    text(this.empty, words.empty[role] ?? words.empty.guest);
    show(this.earlier, earlier > 0);
    text(this.earlier, words.earlier);
    const byKey = new Map(items.map((item) => [item.key, item]));
    keyed(
      this.list,
      items.map(({ key }) => key),
      (key) => this.#make(/** @type {Item} */ (byKey.get(key))),
      (row, key) => this.#draw(row, /** @type {Item} */ (byKey.get(key)), state),
      (row) => this.#forget(row),
    );
    this.#readOut(state);
    this.#settle();
    this.#updateNewest(state);
  }

  // Rows

  /** @param {Item} item */
  #make(item) {
    const row = h("li", { class: "talk-item" });
    if (item.type === "entry") this.#seeing.observe(row);
    if (item.type !== "day") this.#nearing.observe(row);
    return row;
  }

  /** @param {HTMLElement} row */
  #forget(row) {
    this.#seeing.unobserve(row);
    this.#nearing.unobserve(row);
    for (const view of this.#views.get(row) ?? []) view.release();
  }

  /** What others have just said, for who hears the page. @param {State} state */
  #readOut(state) {
    if (!state.synced) return;
    const { words } = this.#page;
    const before = this.#read_out ?? state.entries.length;
    this.#read_out = state.entries.length;
    const said = messagesSince(state, before).map(
      (entry) => `${nameOf(state, entry.envelope.actor_id, words)}: ${sentenceOf(entry, state, words)}`,
    );
    if (said.length > 0) this.heard.replaceChildren(...said.map((line) => h("p", {}, line)));
  }

  /** @param {HTMLElement} row @param {Item} item @param {State} state */
  #draw(row, item, state) {
    const drawn = this.#signature(item, state);
    if (this.#drawn.get(row) !== drawn) {
      this.#drawn.set(row, drawn);
      if (item.type === "day") this.#drawDay(row, item.at);
      else if (item.type === "entry") this.#drawEntry(row, item, state);
      else this.#drawUnsent(row, item, state);
    }
    for (const view of this.#views.get(row) ?? []) {
      const actor = item.type === "entry" ? item.entry.envelope.actor_id : (state.you?.actor_id ?? "");
      view.update(state, actor, TALK_WORDS[this.#page.language], this.#page.words);
    }
  }

  /** All that a row's own words depend on; attachments look for themselves. @param {Item} item @param {State} state */
  #signature(item, state) {
    const { language } = this.#page;
    switch (item.type) {
      case "day":
        return `${language} ${dayOf(Date.now())}`;
      case "entry": {
        const { actor_id, number, kind } = item.entry.envelope;
        const known = state.known[actor_id];
        const mark = item.mine && isAddressed(item.entry) ? reachOf(state, number, kind)[0]?.mark : "";
        const { follows } = item;
        return [language, item.entry.hash, known?.name, known?.role, mark, follows, this.#only !== null].join(
          "\n",
        );
      }
      case "waiting":
        return `${language} ${state.socket}`;
      case "failed":
        return language;
    }
  }

  /** @param {HTMLElement} row @param {string} at */
  #drawDay(row, at) {
    const { language } = this.#page;
    const words = TALK_WORDS[language];
    const day = dayOf(at);
    const today = dayOf(Date.now());
    const yesterday = dayOf(Date.now() - 24 * 3600 * 1000);
    row.className = "talk-item is-day";
    row.replaceChildren(
      h(
        "span",
        {},
        day === today ? words.today : day === yesterday ? words.yesterday : dayName(at, language),
      ),
    );
  }

  /** @param {HTMLElement} row @param {Item & {type: "entry"}} item @param {State} state */
  #drawEntry(row, { entry, message, mine, follows }, state) {
    const { kind, number, recorded_at } = entry.envelope;
    row.className = `talk-item ${message ? "is-message" : "is-line"}`;
    set(row, "data-testid", "log-entry");
    set(row, "data-number", number);
    set(row, "data-kind", kind);
    set(row, "data-mine", mine);
    set(row, "data-follows", follows);
    const views = this.#attach(row, attachmentsOf(entry.body), number);
    row.replaceChildren(
      ...(message ? this.#bubble(entry, mine, state, views) : this.#line(entry, state, views)),
    );
    if (this.#only !== null) {
      const open = h("button", {
        class: "text-button talk-show",
        type: "button",
        testid: "search-hit",
        on: { click: () => this.#on.onFound(number) },
      });
      text(open, `${dayName(recorded_at, this.#page.language)} ${shortTime(recorded_at)}`);
      row.append(open);
    }
  }

  /** @param {Entry} entry @param {boolean} mine @param {State} state @param {AttachmentView[]} views */
  #bubble(entry, mine, state, views) {
    const { language, words: names } = this.#page;
    const { actor_id, recorded_at, number, kind } = entry.envelope;
    const who = h("p", { class: "bubble-who" });
    text(who, mine ? names.you : this.#person(actor_id, state));
    if (mine) who.classList.add("for-screen-readers");
    const foot = h(
      "p",
      { class: "bubble-foot" },
      h("time", { datetime: recorded_at, title: clockTime(recorded_at) }, shortTime(recorded_at)),
    );
    if (mine) {
      const [furthest] = reachOf(state, number, kind);
      const mark = furthest?.mark ?? "sent";
      const label = TALK_WORDS[language].mark[mark];
      foot.append(
        h(
          "button",
          {
            class: "mark",
            type: "button",
            testid: "mark",
            "data-mark": mark,
            "aria-label": TALK_WORDS[language].mark_of(label),
            on: { click: () => this.#on.onReach(entry) },
          },
          icon(mark === "sent" ? "sent" : "delivered"),
          h("span", {}, label),
        ),
      );
    }
    const said = this.#said(entry, state);
    return [h("div", { class: "bubble" }, who, ...views.map(({ element }) => element), ...said, foot)];
  }

  /** @param {Entry} entry @param {State} state @returns {HTMLElement[]} */
  #said({ envelope, body }, state) {
    const { language, words: names } = this.#page;
    switch (envelope.kind) {
      case "text":
        return [h("p", { class: "bubble-text" }, body?.text)];
      case "phrase":
        return [h("p", { class: "bubble-text" }, say(body?.text ?? {}, [language]))];
      case "attached":
        return body?.caption ? [h("p", { class: "bubble-text" }, body.caption)] : [];
      case "placed": {
        const mine = envelope.actor_id === state.you?.actor_id;
        return place(body ?? {}, mine ? null : nameOf(state, envelope.actor_id, names), language);
      }
      default:
        return [];
    }
  }

  /** @param {Entry} entry @param {State} state @param {AttachmentView[]} views */
  #line(entry, state, views) {
    const { words } = this.#page;
    const { kind, number, recorded_at } = entry.envelope;
    const time = h("time", { class: "line-time", datetime: recorded_at }, clockTime(recorded_at));
    const sentence = sentenceOf(entry, state, words);
    const line =
      kind === "frame_sealed"
        ? h(
            "button",
            {
              class: "line-text line-picture",
              type: "button",
              on: { click: () => this.#on.onPicture(number) },
            },
            `${sentence} · ${words.number(number)}`,
          )
        : h("span", { class: "line-text" }, sentence);
    const said =
      kind !== "text" && typeof entry.body?.text === "string" && !sentence.includes(entry.body.text);
    return [
      h("div", { class: "line" }, time, line),
      said ? h("p", { class: "line-said" }, entry.body?.text) : null,
      views.length > 0
        ? h("div", { class: "line-attachments" }, ...views.map(({ element }) => element))
        : null,
    ].filter((child) => child !== null);
  }

  /** What waits, or was not taken. @param {HTMLElement} row @param {Item & {type: "waiting" | "failed"}} item @param {State} state */
  #drawUnsent(row, item, state) {
    const { language, words: names } = this.#page;
    const words = TALK_WORDS[language];
    const failed = item.type === "failed";
    const command = failed ? item.failed.command : item.command;
    row.className = "talk-item is-message";
    set(row, "data-testid", failed ? "failed" : "waiting");
    set(row, "data-kind", command.kind);
    set(row, "data-mine", true);
    set(row, failed ? "data-failed" : "data-waiting", true);
    const attachments = attachmentsOf(/** @type {any} */ (command));
    const views = this.#attach(row, attachments, null);
    const said = this.#saidByCommand(command);
    const foot = h("p", { class: "bubble-foot" });
    if (failed) {
      const why = refusalWords(item.failed.code, names);
      foot.append(icon("alert"), h("span", {}, words.not_sent_because(why)));
    } else {
      foot.append(icon("waiting"), h("span", {}, state.socket === "live" ? words.sending : words.waiting));
    }
    const bubble = h("div", { class: "bubble" }, ...views.map(({ element }) => element), ...said, foot);
    if (failed) {
      const { id } = item.failed;
      const choice = (
        /** @type {string} */ testid,
        /** @type {string} */ label,
        /** @type {() => void} */ click,
      ) => h("button", { class: "button", type: "button", testid, on: { click } }, label);
      bubble.append(
        h(
          "div",
          { class: "row" },
          choice("retry", words.retry, () => this.#on.onRetry(id)),
          choice("drop", words.drop, () => this.#on.onDrop(id)),
        ),
      );
    }
    row.replaceChildren(bubble);
  }

  /** @param {import("./protocol.js").Command} command @returns {HTMLElement[]} */
  #saidByCommand(command) {
    const words = TALK_WORDS[this.#page.language];
    switch (command.kind) {
      case "text":
        return [h("p", { class: "bubble-text" }, command.text)];
      case "phrase":
        return [h("p", { class: "bubble-text" }, this.phraseText(command.phrase))];
      case "attach":
        return command.caption ? [h("p", { class: "bubble-text" }, command.caption)] : [];
      case "share_place":
        return [h("p", { class: "bubble-text" }, words.place)];
      default: {
        const kinds = words.waiting_kind;
        const said = [kinds[/** @type {keyof typeof kinds} */ (command.kind)] ?? ""];
        if ("text" in command && command.text) said.push(command.text);
        if ("reservation" in command && command.reservation) said.push(command.reservation);
        return said.map((line) => h("p", { class: "bubble-text" }, line));
      }
    }
  }

  /** The words of a phrase that the service has not said back yet. @type {(phrase: string) => string} */
  phraseText = (phrase) => phrase;

  /** The same views as before, if the row has some: what is loaded stays. @param {HTMLElement} row @param {readonly import("./protocol.js").Attachment[]} attachments @param {number | null} number */
  #attach(row, attachments, number) {
    const views =
      this.#views.get(row) ??
      attachments.map((attachment) => new AttachmentView(attachment, number, this.#means));
    this.#views.set(row, views);
    return views;
  }

  /** @param {string} actor_id @param {State} state */
  #person(actor_id, state) {
    const { words } = this.#page;
    const known = state.known[actor_id];
    const name = nameOf(state, actor_id, words);
    return known && name !== words.role[known.role] ? `${name} · ${words.role[known.role]}` : name;
  }

  // Scrolling

  #showEarlier() {
    const from_end = this.scroller.scrollHeight - this.scroller.scrollTop;
    this.#most += SHOWN;
    if (this.#state) this.update(this.#state);
    this.scroller.scrollTop = this.scroller.scrollHeight - from_end; // what was read stays where it was
  }

  #settle() {
    if (this.#stays) this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  #noteScroll() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    if (clientHeight === 0) return; // not shown
    this.#stays = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    if (this.#state) this.#updateNewest(this.#state);
  }

  /** @param {State} state */
  #updateNewest(state) {
    const words = TALK_WORDS[this.#page.language];
    if (this.#stays) this.#caught_up = state.entries.length;
    const me = state.you?.actor_id;
    const news = state.entries
      .slice(this.#caught_up)
      .filter((entry) => isAddressed(entry) && entry.envelope.actor_id !== me).length;
    show(this.newest, !this.#stays && this.#only === null);
    text(this.newestWord, news > 0 ? words.new_messages(news) : words.newest);
  }

  // Reading

  /** @param {IntersectionObserverEntry[]} seen */
  #noteSeen(seen) {
    for (const { target, isIntersecting, intersectionRatio, intersectionRect } of seen) {
      const high = intersectionRect.height >= this.scroller.clientHeight * SEEN_SHARE;
      const visible = isIntersecting && (intersectionRatio >= SEEN_SHARE || high);
      set(target, "data-seen", visible);
      if (visible) this.#tellSeen(target);
    }
  }

  /** @param {Element} row */
  #tellSeen(row) {
    if (document.visibilityState === "visible") this.#on.onSeen(Number(row.getAttribute("data-number")));
  }

  #lookAgain() {
    for (const row of this.list.querySelectorAll("[data-seen]")) this.#tellSeen(row);
  }
}

/** @param {import("./protocol.js").Body} body @param {string | null} name null: the reader's own @param {import("./protocol.js").Language} language */
function place(body, name, language) {
  const words = TALK_WORDS[language];
  const { accuracy_m } = body.place;
  const facts = [words.place_accuracy(words.metres(accuracy_m))];
  if (body.distance_m !== null && body.distance_m !== undefined)
    facts.unshift(words.place_distance(words.metres(body.distance_m)));
  return [
    h(
      "p",
      { class: "bubble-text place-title" },
      icon("place"),
      h("span", {}, name === null ? words.place_mine : words.place_of(name)),
    ),
    h("p", { class: "place-facts" }, facts.join(" · ")),
    h(
      "a",
      {
        class: "button place-map",
        testid: "place-map",
        href: mapAddress(body.place, language),
        target: "_blank",
        rel: "noopener noreferrer",
        "aria-label": name === null ? words.place_map : `${words.place_map}: ${words.place_of(name)}`,
      },
      words.place_map,
    ),
  ];
}
