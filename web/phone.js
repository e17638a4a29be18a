// @ts-check
/**
 * The page of customer, courier and guest: the parcel's conversation, and the call as a button in it.
 *
 *     loading ─► talk ◄─► lobby ─► call ─► after ─► talk
 *        └─► notice: a link that does not work, was taken back, is open elsewhere; no network
 *
 * With `?call` in the address, or while a call rings for the person, the lobby comes first. `screenOf` says which;
 * `update` writes the state into elements that are built once. The history of the browser knows talk and call, so
 * that "back" leads from one to the other and a reload stays.
 */

import { AfterScreen } from "./after_screen.js";
import { Participation } from "./call.js";
import { CallScreen } from "./call_screen.js";
import { h, set, show, text } from "./dom.js";
import { PageLanguage } from "./language.js";
import { Lightbox } from "./lightbox.js";
import { LobbyScreen } from "./lobby_screen.js";
import { NoticeScreen } from "./notice_screen.js";
import { ParcelCards } from "./parcel_cards.js";
import { ringing } from "./parcel_next.js";
import { Pictures } from "./pictures.js";
import { Shots } from "./shots.js";
import { Sounds } from "./sounds.js";
import { callSeconds, connection, inCall, recording } from "./state.js";
import { TalkScreen } from "./talk_screen.js";
import { somethingSaid, TalkView } from "./talk_view.js";
import { markTap } from "./timings.js";
import { linkOfPage } from "./token.js";
import { VoicePlayer } from "./voice_player.js";
import { WordingSource } from "./wording.js";
import { callClock, showTimesIn } from "./words.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {"loading" | "talk" | "lobby" | "call" | "after" | "notice"} Screen */

const REFUSAL_SHOWN_MS = 6000; // long enough to read two lines

const role = /** @type {"customer" | "courier" | "guest"} */ (document.body.dataset.page);
const page = new PageLanguage();
const link = linkOfPage();

/** What the person wants to look at; null: not decided yet. @type {"talk" | "call" | null} */
let view = history.state?.view ?? (new URLSearchParams(location.search).has("call") ? "call" : null);

/** Whether the person is about to begin a call, though there was one before. */
let again = false;

/** @param {State} state @returns {Screen} */
function screenOf(state) {
  if (["bad_link", "revoked", "replaced", "erased", "outdated"].includes(state.socket)) return "notice";
  if (!state.synced && !state.alarm) return state.socket === "offline" ? "notice" : "loading";
  if (view !== "call") return "talk";
  if (state.case?.state === "ended") return "after";
  if (state.wants_call) return "call";
  return state.was_in_call && !again && (state.hung_up || !inCall(state)) ? "after" : "lobby";
}

// The elements, built once.

const languageSwitch = h("button", {
  class: "text-button",
  type: "button",
  testid: "language-switch",
  on: { click: () => page.switch() },
});
const waybill = h("p", { class: "waybill" });
const connectionWord = h("span");
const connectionState = h(
  "p",
  { class: "state", testid: "connection-state", role: "status" },
  h("span", { class: "state-mark" }),
  connectionWord,
);
const recordWord = h("span");
const recordState = h(
  "p",
  { class: "state record", testid: "record-state" },
  h("span", { class: "state-mark" }),
  recordWord,
);
const clock = h("p", { class: "clock", testid: "call-clock" });
const topState = h("div", { class: "top-line" }, connectionState, clock);
const topBar = h(
  "header",
  { class: "top" },
  h("div", { class: "top-line" }, waybill, languageSwitch),
  topState,
);
const loadingWord = h("p", { class: "quiet" });
const loading = h("section", { class: "screen is-loading", testid: "loading" }, loadingWord);
const notice = new NoticeScreen({ onButton: () => comeBack() });
const alarm = h("p", { class: "alarm", role: "alert", hidden: true });
const root = /** @type {HTMLElement} */ (document.getElementById("page"));
root.replaceChildren(topBar, alarm, loading, notice.element);

// A page without a link has nothing but its notice.

const person = link?.case_id ? { ...link, case_id: link.case_id } : null;
const app = person ? open(person) : null;

/** @param {import("./token.js").Link & {case_id: string}} person */
function open({ case_id, actor_id, token }) {
  const participation = new Participation({
    case_id,
    actor_id,
    token,
    facing: role === "courier" ? "environment" : "user",
    consent: () => ({ statement: page.words.consent, language: page.language }),
    onSlots: (received) => call.stage.setSlots(received),
    onOwn: async (tracks) => {
      call.stage.setOwn(tracks, participation.camera.mirrored);
      lobby.listen(tracks.audio);
      call.offerFlip(await participation.camera.canFlip());
    },
  });
  const { session, api } = participation;
  const pictures = new Pictures(api, case_id);
  const lightbox = new Lightbox(pictures);
  const sounds = new Sounds();
  const wording = new WordingSource(() => update());
  const onPicture = (/** @type {number} */ number) => {
    const entry = session.state.entries[number - 1];
    if (entry) lightbox.open(entry, session.state, page.words);
  };
  const shots = new Shots({ pictures, onPicture });
  const onPhoto = (/** @type {import("./talk_attachment.js").Photo} */ photo) =>
    lightbox.openPhoto(photo, page.words);
  const talk = new TalkView({
    page,
    role,
    session,
    api,
    case_id,
    actor_id,
    pictures,
    wording,
    onPicture,
    onPhoto,
  });
  const call = new CallScreen({ role, page, participation, shots, talk, onChange: () => update() });
  const lobby = new LobbyScreen({
    role,
    page,
    onStart: () => {
      markTap();
      call.stage.watchFirstFrame();
      call.stage.unmute();
      participation.join(kinds);
      if (participation.state.camera_problem && kinds.video) {
        // Without a camera there may still be a voice.
        kinds = { audio: true, video: false };
        participation.ask(kinds);
      }
    },
    onRetry: () => {
      kinds = { audio: true, video: true };
      participation.ask(kinds);
    },
    onBack: () => look("talk"),
  });
  const after = new AfterScreen({
    page,
    shots,
    onAgain: () => {
      markTap();
      kinds = { audio: true, video: true };
      participation.ask(kinds);
      participation.join(kinds);
      call.stage.watchFirstFrame();
    },
    onBack: () => look("talk"),
  });
  const cards = new ParcelCards({
    session,
    page,
    role,
    api,
    case_id,
    wording,
    sounds,
    onCall: () => look("call"),
    means: {
      pictures,
      player: new VoicePlayer({ pictures, onChange: () => update() }),
      bytesOf: (sha256) => session.bytesOf(sha256),
      onPhoto,
    },
  });
  const screen = new TalkScreen({
    page,
    role,
    participation,
    case_id,
    talk,
    cards,
    sounds,
    onCall: () => look("call"),
  });
  root.append(screen.element, lobby.element, call.element, after.element, lightbox.element);
  return { participation, sounds, talk, lobby, call, after, cards, screen };
}

/** What to ask of the phone, and to show of the person. */
let kinds = app?.participation.kept ?? { audio: true, video: true };

/** @type {Screen | ""} */
let shown = "";

function update() {
  const { words } = page;
  text(languageSwitch, words.other_language);
  set(languageSwitch, "title", words.switch_language);
  if (!app) {
    set(root, "data-screen", "notice");
    show(loading, false);
    set(connectionState, "data-state", "bad_link");
    text(connectionWord, words.connection.bad_link);
    notice.update("bad_link", words);
    return;
  }
  const { state } = app.participation;
  decide(state);
  if (state.wants_call) again = false;
  showTimesIn(state.case?.time_zone);
  if (screenOf(state) === "after" && ringingNow(state)) {
    view = "talk"; // where it can be answered
    history.replaceState({ view }, "");
  }
  const screen = screenOf(state);
  set(root, "data-screen", screen);
  const screens = {
    loading,
    notice: notice.element,
    talk: app.screen.element,
    lobby: app.lobby.element,
    call: app.call.element,
    after: app.after.element,
  };
  for (const [name, element] of Object.entries(screens)) show(element, name === screen);
  if (screen !== shown) enter(app, screen);
  const word = connection(state);
  set(connectionState, "data-state", word);
  text(connectionWord, words.connection[word]);
  text(waybill, state.case?.waybill ?? "");
  document.title = state.case ? `${state.case.waybill} · Proofcall` : "Proofcall";
  show(alarm, state.alarm);
  text(alarm, words.alarm);
  const inThisCall = state.wants_call && inCall(state);
  const kept = recording(state) === "broken" ? "broken" : "call";
  const record = inThisCall ? kept : screen === "after" ? "after" : "before";
  set(recordState, "data-state", record);
  text(recordWord, words[`record_${record}`]);
  show(recordState, screen === "lobby" || screen === "call" || screen === "after" || inThisCall);
  updateClock();
  updateRing();
  app.cards.update(state); // also unseen: what is new is heard
  if (screen === "loading") text(loadingWord, words.loading);
  if (screen === "notice") notice.update(state.socket, words);
  if (screen === "talk") app.screen.update(state);
  if (screen === "lobby") {
    app.lobby.update(state);
    app.call.stage.update(state, words, { waiting: "" });
  }
  if (screen === "call") {
    app.call.update(state);
    if (app.call.sheet.open) app.talk.update(state);
  }
  if (screen === "after") app.after.update(state);
}

/** Where the page begins, once the log is here: a call that rings comes first. @param {State} state */
function decide(state) {
  if (view !== null || !state.synced) return;
  view = ringingNow(state) || state.wants_call ? "call" : "talk";
}

/** @param {State} state */
function ringingNow(state) {
  return ringing(state, Date.now() + state.offset_ms);
}

/** The call that was answered, by going to where it begins: it rings no more. @type {number | null} */
let answered = null;

function updateRing() {
  if (!app) return;
  const ring = ringingNow(app.participation.state);
  app.sounds.ring(ring !== null && ring.call_number !== answered);
}

/** Looks at something else; "back" leads to what was there before. @param {"talk" | "call"} wanted */
function look(wanted) {
  if (view === wanted) return;
  view = wanted;
  again = wanted === "call";
  history.pushState({ view }, "");
  update();
  focusScreen();
}

addEventListener("popstate", ({ state }) => {
  view = state?.view ?? (new URLSearchParams(location.search).has("call") ? "call" : "talk");
  update();
});

/** Where a screen begins, for those who do not see that it has changed. */
function focusScreen() {
  const heading = root.querySelector(".screen:not([hidden]) h1");
  if (!(heading instanceof HTMLElement)) {
    app?.screen.call.focus({ preventScroll: true });
    return;
  }
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

/** @param {NonNullable<typeof app>} parts @param {Screen} screen */
function enter({ participation, call, lobby, screen: talkScreen }, screen) {
  const before = shown;
  shown = screen;
  // A dialog of a screen that is left would keep all others from being touched; what was put into it stays.
  for (const dialog of root.querySelectorAll("[hidden] dialog[open]")) {
    if (dialog instanceof HTMLDialogElement) dialog.close();
  }
  const { stage } = call;
  // The own picture is one element that moves: small in the call, large before it.
  const own = /** @type {HTMLElement} */ (root.querySelector(".tile.is-own"));
  if (screen === "lobby") lobby.slot.append(own);
  else stage.element.append(own, stage.sound);
  own
    .querySelector("video")
    ?.play()
    .catch(() => {});
  (screen === "call" ? call.line : topState).append(recordState);
  const { state } = participation;
  answered = screen === "lobby" ? (ringingNow(state)?.call_number ?? null) : null;
  if (screen === "call") {
    stage.unmute();
    keepAwake();
  } else if (screen !== "talk" || !state.wants_call) stage.silence(); // a call is heard while one reads
  call.openSheet(false);
  lobby.enter(screen === "lobby");
  if (screen === "talk") talkScreen.enter();
  // The camera is asked for where a call begins, and nowhere else.
  if ((screen === "lobby" || screen === "call") && state.camera === "none" && state.case?.state === "open") {
    participation.media.start();
    participation.ask(kinds);
  }
  if (screen === "talk" && (before === "lobby" || before === "after") && !state.wants_call) {
    participation.camera.stop();
    participation.media.leave();
  }
}

function updateClock() {
  if (!app) return;
  const { state } = app.participation;
  show(clock, (shown === "call" || (shown === "talk" && state.wants_call)) && inCall(state));
  text(clock, callClock(callSeconds(state, Date.now())));
}

/** From a notice: the person wants it here, or once more. */
function comeBack() {
  if (app?.participation.state.socket !== "replaced") return location.reload();
  app.participation.session.start();
  if (view === "call") {
    app.participation.media.start();
    app.participation.ask(kinds);
  }
}

/** The screen stays on during a call, where the browser can. */
async function keepAwake() {
  try {
    const lock = await navigator.wakeLock?.request("screen");
    app?.participation.session.watch((state) => {
      if (screenOf(state) !== "call") lock?.release();
    });
  } catch {
    // the phone decides
  }
}

// A page that was reloaded may show but not sound until it is touched: any touch will do.
document.addEventListener("pointerdown", () => {
  if (app && shown === "call" && !app.call.stage.sound.hidden) app.call.stage.unmute();
});
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && shown === "call") keepAwake();
});

// Begin.

page.onChange = update;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let forgetting;
app?.participation.session.watch((state, before) => {
  if (state.refusal && state.refusal !== before.refusal) {
    clearTimeout(forgetting);
    forgetting = setTimeout(
      () => app.participation.session.dispatch({ type: "refusal_seen" }),
      REFUSAL_SHOWN_MS,
    );
  }
  if (document.visibilityState === "visible" && somethingSaid(state, before)) app.sounds.play("message");
  update();
});
if (app?.participation.kept) view = "call"; // reloaded in a call: back into it
app?.participation.session.start();
if (view === "call") app?.participation.media.start();
setInterval(() => {
  updateClock();
  updateRing();
}, 1000);
update();
addEventListener("hashchange", () => location.reload());
