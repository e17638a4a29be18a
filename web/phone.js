// @ts-check
/**
 * The page of customer and courier: one screen, one tap.
 *
 *     loading ─► lobby ─► call ─► after ─► (again) call
 *        └─► notice: a link that does not work, revoked, open elsewhere, no network
 *
 * `screenOf` says which; `update` writes the state into elements that are built once.
 */

import { Participation } from "./call.js";
import { Conversation, lastLine } from "./conversation.js";
import { draw, h, icon, keyed, motionAllowed, set, show, text } from "./dom.js";
import { blobOf } from "./evidence.js";
import { PageLanguage } from "./language.js";
import { Lightbox } from "./lightbox.js";
import { networkBars, networkSentence } from "./network.js";
import { Pictures } from "./pictures.js";
import { duration, nameOf } from "./sentences.js";
import { glimpse, Stage } from "./stage.js";
import { callSeconds, connection, frames, inCall, recording, summary } from "./state.js";
import { markTap } from "./timings.js";
import { linkOfPage } from "./token.js";
import { callClock, clockTime } from "./words.js";

/** @typedef {import("./state.js").State} State */

const REFUSAL_SHOWN_MS = 6000; // long enough to read two lines

const role = document.body.dataset.page === "courier" ? "courier" : "customer";
const page = new PageLanguage();
const link = linkOfPage();

/** @param {State} state @returns {"loading" | "lobby" | "call" | "after" | "notice"} */
function screenOf(state) {
  if (["bad_link", "revoked", "replaced", "outdated"].includes(state.socket)) return "notice";
  if (!state.synced && !state.alarm) return state.socket === "offline" ? "notice" : "loading";
  if (state.case?.state === "ended") return "after";
  if (state.wants_call) return "call";
  return state.was_in_call && (state.hung_up || !inCall(state)) ? "after" : "lobby";
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
const topBar = h(
  "header",
  { class: "top" },
  h("div", { class: "top-line" }, waybill, languageSwitch),
  h("div", { class: "top-line" }, connectionState, clock),
);
const topState = /** @type {HTMLElement} */ (topBar.lastElementChild);

const loading = h("section", { class: "screen is-loading", testid: "loading" }, h("p", { class: "quiet" }));

const noticeTitle = h("h1");
const noticeText = h("p");
const noticeButton = h("button", {
  class: "button is-accent is-main",
  type: "button",
  testid: "notice-button",
});
const notice = h(
  "section",
  { class: "screen is-notice", testid: "notice" },
  icon("alert"),
  noticeTitle,
  noticeText,
  noticeButton,
);

const lobbyTitle = h("h1");
const here = h("p", { class: "quiet" });
const previewSlot = h("div", { class: "preview-slot" });
const problemTitle = h("h2");
const problemText = h("p");
const tryAgain = h("button", { class: "button", type: "button", testid: "camera-retry" });
const copyLink = h("button", { class: "button", type: "button", testid: "copy-link" });
const problem = h(
  "div",
  { class: "problem", testid: "camera-error", role: "alert", hidden: true },
  icon("camera_off"),
  problemTitle,
  problemText,
  h("div", { class: "row" }, tryAgain, copyLink),
);
const meterBar = h("span", { class: "meter-bar" });
const meterWord = h("span");
const meter = h(
  "p",
  { class: "meter", hidden: true },
  icon("microphone"),
  meterWord,
  h("span", { class: "meter-track" }, meterBar),
);
const asking = h("p", { class: "preview-note" });
const consentText = h("p", { class: "consent", testid: "consent-text" });
const why = h("details", { class: "why" }, h("summary"), h("p"));
const start = h("button", { class: "button is-accent is-main", type: "button", testid: "start-button" });
const refusalLobby = h("p", { class: "refusal", role: "alert", testid: "refusal", hidden: true });
const lobby = h(
  "section",
  { class: "screen is-lobby", testid: "lobby" },
  lobbyTitle,
  here,
  h("div", { class: "preview" }, previewSlot, asking, meter, problem),
  h("div", { class: "agree" }, consentText, why),
  refusalLobby,
  start,
);

const stage = new Stage({ onTarget: () => update(), roomy: false });
const strip = h("ol", { class: "strip", testid: "strip" });
const refusalCall = h("p", { class: "refusal", role: "alert", testid: "refusal", hidden: true });
const qualityWord = h("span");
const quality = h("p", { class: "network", testid: "quality", role: "status" }, networkBars(), qualityWord);
const lastSaid = h("span", { class: "last-text" });
const sheetToggle = h("button", { class: "last", type: "button", testid: "sheet-toggle" }, lastSaid);

/** @param {string} testid @param {import("./dom.js").IconName} name */
function control(testid, name) {
  const svg = icon(name);
  const label = h("span");
  return { svg, label, button: h("button", { class: "control", type: "button", testid }, svg, label) };
}

const mute = control("mute", "microphone");
const flip = control("flip", "flip");
const write = control("write", "write");
const hangup = control("hangup", "hang_up");
const shutter = h(
  "button",
  { class: "shutter", type: "button", testid: "shutter" },
  h("span", { class: "shutter-ring" }),
);
const conversation = new Conversation({
  onText: (said) => participation?.session.command({ kind: "text", text: said }),
  onClose: () => openSheet(false),
  onPicture: (number) => openPicture(number),
});
const dockState = h("div", { class: "dock-line" }, quality);
const dock = h(
  "div",
  { class: "dock" },
  strip,
  refusalCall,
  dockState,
  sheetToggle,
  h("div", { class: "controls" }, mute.button, flip.button, shutter, write.button, hangup.button),
);
const call = h(
  "section",
  { class: "screen is-call", testid: "call" },
  stage.element,
  dock,
  conversation.element,
);

const afterTitle = h("h1");
const afterFacts = h("p", { class: "facts" });
const afterHint = h("p", { class: "quiet" });
const gallery = h("ol", { class: "gallery" });
const rejoin = h("button", { class: "button is-main", type: "button", testid: "rejoin" });
const after = h(
  "section",
  { class: "screen is-after", testid: "after" },
  afterTitle,
  afterFacts,
  gallery,
  afterHint,
  rejoin,
);

const alarm = h("p", { class: "alarm", role: "alert", hidden: true });
const screens = { loading, notice, lobby, call, after };
const root = /** @type {HTMLElement} */ (document.getElementById("page"));
root.append(topBar, alarm, ...Object.values(screens));

// The parts that live.

/** Pictures as they looked when the shutter was pressed, by command. @type {Map<string, {of: string, picture: HTMLElement}>} */
const glimpses = new Map();

const participation = link?.case_id
  ? new Participation({
      case_id: link.case_id,
      actor_id: link.actor_id,
      token: link.token,
      facing: role === "courier" ? "environment" : "user",
      consent: () => ({ statement: page.words.consent, language: page.language }),
      onSlots: (received) => stage.setSlots(received),
      onOwn: (tracks) => {
        stage.setOwn(tracks, participation?.camera.mirrored ?? false);
        listen(tracks.audio);
        offerFlip();
      },
    })
  : null;
const pictures = participation && link?.case_id ? new Pictures(participation.api, link.case_id) : null;
const lightbox = pictures && new Lightbox(pictures);
if (lightbox) root.append(lightbox.element);

let shown = "";

function update() {
  const { words } = page;
  text(languageSwitch, words.other_language);
  set(languageSwitch, "aria-label", words.switch_language);
  if (!participation) {
    set(root, "data-screen", "notice");
    for (const [name, element] of Object.entries(screens)) show(element, name === "notice");
    set(connectionState, "data-state", "bad_link");
    text(connectionWord, words.connection.bad_link);
    updateNotice("bad_link");
    return;
  }
  const { state } = participation;
  const screen = screenOf(state);
  set(root, "data-screen", screen);
  for (const [name, element] of Object.entries(screens)) show(element, name === screen);
  if (screen !== shown) enter(screen);
  const word = connection(state);
  set(connectionState, "data-state", word);
  text(connectionWord, words.connection[word]);
  text(waybill, state.case?.waybill ?? "");
  document.title = state.case ? `${state.case.waybill} · Proofcall` : "Proofcall";
  show(alarm, state.alarm);
  text(alarm, words.alarm);
  const kept = recording(state) === "broken" ? "broken" : "call";
  const record = screen === "call" && inCall(state) ? kept : screen === "after" ? "after" : "before";
  set(recordState, "data-state", record);
  text(recordWord, words[`record_${record}`]);
  show(recordState, screen !== "notice" && screen !== "loading");
  updateClock();
  if (screen === "loading") text(/** @type {Element} */ (loading.firstElementChild), words.loading);
  if (screen === "notice") updateNotice(state.socket);
  if (screen === "lobby") updateLobby(state);
  if (screen === "call") updateCall(state);
  if (screen === "after") updateAfter(state);
}

/** @param {string} screen */
function enter(screen) {
  shown = screen;
  // The own picture is one element that moves: small in the call, large before it.
  const own = /** @type {HTMLElement} */ (root.querySelector(".tile.is-own"));
  if (screen === "lobby") previewSlot.append(own);
  else stage.element.append(own, stage.sound);
  own
    .querySelector("video")
    ?.play()
    .catch(() => {});
  (screen === "call" ? dockState : topState).append(recordState);
  if (screen === "call") {
    stage.unmute();
    keepAwake();
  } else stage.silence();
  openSheet(false);
}

/** @param {string} reason */
function updateNotice(reason) {
  const { words } = page;
  const key = /** @type {keyof typeof words.notice} */ (reason in words.notice ? reason : "offline");
  set(notice, "data-reason", key);
  text(noticeTitle, words.notice[key].title);
  text(noticeText, words.notice[key].text);
  show(noticeButton, key === "replaced" || key === "outdated" || key === "offline");
  text(noticeButton, key === "replaced" ? words.use_here : words.reload);
}

/** @param {State} state */
function updateLobby(state) {
  const { words } = page;
  const back = inCall(state);
  text(lobbyTitle, back ? words.lobby_title_again : words[`lobby_title_${role}`]);
  const waiting = state.people.filter((person) => person.online && person.actor_id !== state.you?.actor_id);
  text(
    here,
    waiting.length > 0
      ? words.here_now(waiting.map((person) => `${words.role[person.role]} ${person.name}`).join(words.and))
      : words[`here_nobody_${role}`],
  );
  stage.update(state, words, { waiting: "" });
  show(asking, state.camera === "asking");
  text(asking, words.own_preview_asking);
  text(meterWord, words.microphone_moves);
  show(problem, state.camera_problem !== null);
  if (state.camera_problem) {
    set(problem, "data-code", state.camera_problem);
    text(problemTitle, words.camera[state.camera_problem].title);
    text(problemText, words.camera[state.camera_problem].text);
    const elsewhere = state.camera_problem === "insecure" || state.camera_problem === "web_view";
    show(copyLink, elsewhere);
    show(tryAgain, !elsewhere);
    text(tryAgain, words.try_again);
    text(copyLink, words.copy_link);
  }
  text(consentText, words.consent);
  text(/** @type {Element} */ (why.firstElementChild), words.why);
  text(/** @type {Element} */ (why.lastElementChild), words.why_text);
  text(start, back ? words.continue_here : state.camera_problem ? words.start_without_camera : words.start);
  updateRefusal(refusalLobby, state);
}

/** @param {State} state */
function updateCall(state) {
  const { words } = page;
  stage.update(state, words, {
    waiting: connection(state) === "connected" ? words[`alone_${role}`] : words.connection[connection(state)],
  });
  const { target } = stage;
  shutter.disabled = target === null || connection(state) !== "connected";
  set(shutter, "data-of", target);
  const mine = target === state.you?.actor_id;
  const label =
    target === null
      ? words.shutter
      : mine
        ? words.shutter_of_you
        : words.shutter_of(nameOf(state, target, words));
  set(shutter, "aria-label", label);
  set(shutter, "title", label);
  draw(mute.svg, state.audio_muted ? "microphone_off" : "microphone");
  text(mute.label, state.audio_muted ? words.unmute : words.mute);
  set(mute.button, "aria-pressed", String(state.audio_muted));
  text(flip.label, words.flip);
  text(write.label, words.write);
  text(hangup.label, words.hang_up);
  const told = connection(state) === "connected" ? networkSentence(state, words) : null;
  show(quality, told !== null);
  set(quality, "data-state", told?.network);
  set(quality, "data-of", told?.of);
  text(qualityWord, told?.sentence ?? "");
  text(lastSaid, lastLine(state, words));
  conversation.update(state, words);
  updateRefusal(refusalCall, state);
  updateStrip(strip, state, true);
}

/** @param {State} state */
function updateAfter(state) {
  const { words } = page;
  const told = summary(state);
  const ended = state.case?.state === "ended";
  text(
    afterTitle,
    ended
      ? words.ended_title
      : told.first > 0
        ? words.after_title(told.first, told.last)
        : words.after_title_none,
  );
  const count = told.pictures.length;
  const facts = [count > 0 ? words.after_pictures(count) : words.after_no_pictures];
  if (told.duration_ms > 0) facts.push(duration(told.duration_ms, words));
  text(afterFacts, facts.join(" · "));
  text(afterHint, ended ? words.ended_hint : words.after_hint);
  updateStrip(gallery, state, false);
  show(rejoin, !ended);
  text(rejoin, words.rejoin);
}

/** @param {HTMLElement} element @param {State} state */
function updateRefusal(element, state) {
  show(element, state.refusal !== null);
  if (!state.refusal) return;
  const { refused } = page.words;
  const code = /** @type {keyof typeof refused} */ (
    state.refusal.code in refused ? state.refusal.code : "other"
  );
  set(element, "data-code", state.refusal.code);
  text(element, refused[code]);
}

/** @param {HTMLElement} list @param {State} state @param {boolean} newest_last */
function updateStrip(list, state, newest_last) {
  const { words } = page;
  const sealed = new Map(frames(state).map((entry) => [String(entry.envelope.number), entry]));
  const shots = state.shots.map((shot) => shot.id);
  const before = list.childElementCount;
  keyed(
    list,
    [...sealed.keys(), ...shots],
    (key) => {
      const entry = sealed.get(key);
      const blob = entry && blobOf(entry.body);
      const image = h("img", { alt: "", decoding: "async" });
      const holder = entry ? takeGlimpse(entry, state) : glimpses.get(key)?.picture;
      const button = h(
        "button",
        { class: "shot-button", type: "button", on: { click: () => openPicture(Number(key)) } },
        holder ?? image,
      );
      const item = h("li", { class: "shot" }, button, h("span", { class: "shot-caption" }));
      image.addEventListener("load", () => button.replaceChildren(image));
      if (blob)
        pictures?.get(blob).then(
          ({ address }) => set(image, "src", address),
          () => {},
        );
      return item;
    },
    (item, key) => {
      const entry = sealed.get(key);
      set(item, "data-testid", "shot");
      set(item, "data-state", entry ? "sealed" : "sealing");
      set(item, "data-number", entry ? key : null);
      const caption = /** @type {HTMLElement} */ (item.lastElementChild);
      text(caption, entry ? words.number(entry.envelope.number) : words.sealing);
      set(
        item,
        "title",
        entry ? words.sealed(clockTime(entry.envelope.recorded_at), entry.envelope.number) : null,
      );
    },
  );
  if (newest_last && list.childElementCount !== before) list.scrollLeft = list.scrollWidth;
}

/** What I saw when I pressed stays until the sealed picture is loaded. @param {import("./protocol.js").Entry} entry @param {State} state */
function takeGlimpse(entry, state) {
  if (entry.envelope.actor_id !== state.you?.actor_id) return undefined;
  for (const [id, { of, picture }] of glimpses) {
    if (of !== entry.body?.of) continue;
    glimpses.delete(id);
    return picture;
  }
  return undefined;
}

function updateClock() {
  if (!participation) return;
  const { state } = participation;
  show(clock, screenOf(state) === "call" && inCall(state));
  text(clock, callClock(callSeconds(state, Date.now())));
}

// What people do.

/** What to ask of the phone, and to show of the person. */
let kinds = participation?.kept ?? { audio: true, video: true };

start.addEventListener("click", () => {
  markTap();
  stage.watchFirstFrame();
  stage.unmute();
  participation?.join(kinds);
  if (participation?.state.camera_problem && kinds.video) {
    // Without a camera there may still be a voice.
    kinds = { audio: true, video: false };
    participation.ask(kinds);
  }
});
rejoin.addEventListener("click", () => {
  markTap();
  kinds = { audio: true, video: true };
  participation?.ask(kinds);
  participation?.join(kinds);
  stage.watchFirstFrame();
});
noticeButton.addEventListener("click", () => {
  if (participation?.state.socket !== "replaced") return location.reload();
  participation.session.start();
  participation.media.start();
  participation.ask(kinds);
});
tryAgain.addEventListener("click", () => {
  kinds = { audio: true, video: true };
  participation?.ask(kinds);
});
copyLink.addEventListener("click", async () => {
  await copy(location.href);
  text(copyLink, page.words.copied);
});
mute.button.addEventListener("click", () => participation?.muteAudio(!participation.state.audio_muted));
flip.button.addEventListener("click", () => participation?.camera.flip());
write.button.addEventListener("click", () => {
  openSheet(true);
  conversation.input.focus();
});
sheetToggle.addEventListener("click", () => openSheet(Boolean(conversation.element.hidden)));
hangup.button.addEventListener("click", () => participation?.hangUp());
shutter.addEventListener("click", () => {
  const { target } = stage;
  if (!participation || target === null) return;
  const video = stage.videoOf(target);
  const seen = glimpse(video);
  const id = participation.session.command({ kind: "take_frame", of: target });
  glimpses.set(id, { of: target, picture: seen });
  strip.querySelector(`[data-key="${id}"] .shot-button`)?.replaceChildren(seen);
  fly(seen, video);
});

/** The picture goes from where it was seen to where it stays. @param {HTMLElement} picture @param {HTMLElement | null} from */
function fly(picture, from) {
  if (!from || !motionAllowed() || !picture.isConnected) return;
  const [start_box, end_box] = [from.getBoundingClientRect(), picture.getBoundingClientRect()];
  if (end_box.width === 0) return;
  const [x, y] = [start_box.left - end_box.left, start_box.top - end_box.top];
  picture.animate(
    [
      {
        transformOrigin: "0 0",
        transform: `translate(${x}px, ${y}px) scale(${start_box.width / end_box.width})`,
        opacity: 0.8,
      },
      { transformOrigin: "0 0", transform: "none", opacity: 1 },
    ],
    { duration: 200, easing: "cubic-bezier(0.2, 0, 0, 1)" },
  );
}

/** @param {boolean} open */
function openSheet(open) {
  show(conversation.element, open);
  set(sheetToggle, "aria-expanded", String(open));
  if (open) update();
}

/** @param {number} number */
function openPicture(number) {
  const entry = participation?.state.entries[number - 1];
  if (participation && entry) lightbox?.open(entry, participation.state, page.words);
}

function unmuteIfSilenced() {
  if (shown === "call" && !stage.sound.hidden) stage.unmute();
}

async function offerFlip() {
  flip.button.disabled = !(await participation?.camera.canFlip());
}

/** @param {string} words */
async function copy(words) {
  try {
    await navigator.clipboard.writeText(words);
  } catch {
    const field = h("input", { value: words, readonly: true });
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
}

// The microphone moves, so that people see it works.

/** @type {AudioContext | null} */
let ear = null;

/** @param {MediaStreamTrack | null} track */
function listen(track) {
  ear?.close();
  ear = null;
  show(meter, false);
  if (!track || typeof AudioContext === "undefined") return;
  const context = new AudioContext();
  ear = context;
  const analyser = context.createAnalyser();
  analyser.fftSize = 512;
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  const samples = new Uint8Array(analyser.fftSize);
  const step = () => {
    if (ear !== context) return;
    if (!participation || screenOf(participation.state) !== "lobby") {
      context.close();
      ear = null;
      return;
    }
    show(meter, context.state === "running");
    analyser.getByteTimeDomainData(samples);
    const loudest = samples.reduce((most, sample) => Math.max(most, Math.abs(sample - 128)), 0);
    meterBar.style.setProperty("--level", String(Math.min(1, loudest / 64)));
    setTimeout(() => requestAnimationFrame(step), 80);
  };
  step();
}

/** The screen stays on during a call, where the browser can. */
async function keepAwake() {
  try {
    const lock = await navigator.wakeLock?.request("screen");
    participation?.session.watch((state) => {
      if (screenOf(state) !== "call") lock?.release();
    });
  } catch {
    // the phone decides
  }
}

// A page that was reloaded may show but not sound until it is touched: any touch will do.
document.addEventListener("pointerdown", unmuteIfSilenced);
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && shown === "call") keepAwake();
});

// Begin.

page.onChange = update;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let forgetting;
let asked = false;
participation?.session.watch((state, before) => {
  if (!asked && state.case?.state === "open") {
    asked = true;
    participation.ask(kinds);
  }
  if (state.refusal && state.refusal !== before.refusal) {
    clearTimeout(forgetting);
    forgetting = setTimeout(() => participation.session.dispatch({ type: "refusal_seen" }), REFUSAL_SHOWN_MS);
  }
  update();
});
participation?.session.start();
participation?.media.start();
setInterval(updateClock, 1000);
update();
addEventListener("hashchange", () => location.reload());
