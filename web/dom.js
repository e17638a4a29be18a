// @ts-check
/** Small helpers to build and change the page. Text reaches it through textContent only. */

/** @typedef {Node | string | null | undefined | false} Child */
/** @typedef {{class?: string, testid?: string, on?: Record<string, (event: any) => void>, [attribute: string]: any}} Attributes */

/**
 * An element: attributes, listeners under `on`, `testid` for tests; `true` sets an empty attribute.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === "testid") element.dataset.testid = value;
    else set(element, name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Changes an attribute only where it differs: null and false take it away. @param {Element} element @param {string} name @param {string | number | boolean | null | undefined} value */
export function set(element, name, value) {
  if (value === null || value === undefined || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
    return;
  }
  const text = value === true ? "" : String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/** @param {Node} node @param {string} value */
export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

/** @param {HTMLElement} element @param {boolean} visible */
export function show(element, visible) {
  if (element.hidden === visible) element.hidden = !visible;
}

/**
 * Children by key: those that stay are moved only if their order changed, so that nothing jumps or reloads.
 * @template {HTMLElement} Item
 * @param {HTMLElement} parent
 * @param {readonly string[]} keys
 * @param {(key: string) => Item} make
 * @param {(element: Item, key: string) => void} update
 * @param {(element: Item) => void} [gone] it was taken out for good
 */
export function keyed(parent, keys, make, update, gone = () => {}) {
  const present = new Map(
    Array.from(parent.children, (child) => [
      /** @type {Item} */ (child).dataset.key ?? "",
      /** @type {Item} */ (child),
    ]),
  );
  const wanted = new Set(keys);
  for (const [key, element] of present) {
    if (wanted.has(key)) continue;
    element.remove();
    gone(element);
  }
  let before = parent.firstElementChild;
  for (const key of keys) {
    let element = present.get(key);
    if (!element) {
      element = make(key);
      element.dataset.key = key;
    }
    if (element === before) before = before.nextElementSibling;
    else parent.insertBefore(element, before);
    update(element, key);
  }
}

const SVG = "http://www.w3.org/2000/svg";

/** Icons of one stroke width in a box of 24; each is used beside a label. */
const ICONS = {
  microphone: ["M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3Z", "M6 11a6 6 0 0 0 12 0", "M12 17v4"],
  microphone_off: ["M9 9V6a3 3 0 0 1 6 0v5", "M6 11a6 6 0 0 0 9.5 4.9", "M12 17v4", "M4 4l16 16"],
  flip: [
    "M4 12a8 8 0 0 1 13.5-5.8L20 8.5",
    "M20 4v4.5h-4.5",
    "M20 12a8 8 0 0 1-13.5 5.8L4 15.5",
    "M4 20v-4.5h4.5",
  ],
  write: ["M4 5h16v11H10l-4 4v-4H4Z", "M8 9h8", "M8 12.5h5"],
  hang_up: ["M4 14.5c0-6 16-6 16 0v1.5l-4.5-1v-2.700a11 11 0 0 0-7 0V15L4 16Z"],
  close: ["M6 6l12 12", "M18 6L6 18"],
  alert: ["M12 4l9 16H3Z", "M12 10v4.5", "M12 17v.5"],
  camera_off: ["M4 7h10v10H4Z", "M14 11l6-3v8l-6-3", "M3 3l18 18"],
  play: ["M7 5l12 7-12 7Z"],
  pause: ["M8 5v14", "M16 5v14"],
  frame_back: ["M17 6l-8 6 8 6Z", "M6 6v12"],
  frame_on: ["M7 6l8 6-8 6Z", "M18 6v12"],
  sound: ["M4 10v4h3l5 4V6L7 10Z", "M16 9a4 4 0 0 1 0 6", "M18.5 6.5a8 8 0 0 1 0 11"],
  sound_off: ["M4 10v4h3l5 4V6L7 10Z", "M16 10l5 5", "M21 10l-5 5"],
  check: ["M5 12.5l4.5 4.5L19 7.5"],
  cross: ["M7 7l10 10", "M17 7L7 17"],
  dash: ["M6 12h12"],
  camera: ["M4 8h4l1.500-2.500h5L16 8h4v11H4Z", "M12 10a3.500 3.500 0 1 0 0 7a3.500 3.500 0 0 0 0-7Z"],
  album: ["M4 5h16v14H4Z", "M4 16l5-5 4 4 2.500-2.500L20 17", "M15.500 8.500h.01"],
  place: [
    "M12 21c4.500-5 7-8.300 7-11.500a7 7 0 0 0-14 0C5 12.700 7.500 16 12 21Z",
    "M12 7.500a2 2 0 1 0 0 4a2 2 0 0 0 0-4Z",
  ],
  phrase: ["M4 5h16v11H10l-4 4v-4H4Z", "M9 9.500l2 2 4-4"],
  search: ["M10.500 4a6.500 6.500 0 1 0 0 13a6.500 6.500 0 0 0 0-13Z", "M15.500 15.500L20 20"],
  invite: [
    "M9.500 5a3.500 3.500 0 1 0 0 7a3.500 3.500 0 0 0 0-7Z",
    "M3 20c0-4 3-5.500 6.500-5.500 2 0 3.500.400 4.700 1.500",
    "M18 13v6",
    "M15 16h6",
  ],
  video: ["M4 7h10v10H4Z", "M14 11l6-3v8l-6-3"],
  plus: ["M12 5v14", "M5 12h14"],
  send: ["M4 12l16-7-5 15-3.500-6Z", "M11.500 14L20 5"],
  back: ["M14 6l-6 6 6 6"],
  down: ["M6 10l6 6 6-6"],
  sent: ["M6 12.500l4 4L18 8"],
  delivered: ["M3 12.500l4 4L15 8", "M11.500 15l1.500 1.500L21 8"],
  waiting: ["M12 4a8 8 0 1 0 0 16a8 8 0 0 0 0-16Z", "M12 8v4l3 2"],
  sharp: ["M4 8V4h4", "M16 4h4v4", "M20 16v4h-4", "M8 20H4v-4", "M12 9v6", "M9 12h6"],
  dots: ["M6 12h.01", "M12 12h.01", "M18 12h.01"],
};

/** @typedef {keyof typeof ICONS} IconName */

/** @param {IconName} name */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  draw(svg, name);
  return svg;
}

/** Another icon in the same place. @param {SVGElement} svg @param {IconName} name */
export function draw(svg, name) {
  if (svg.dataset.icon === name) return;
  svg.dataset.icon = name;
  svg.replaceChildren(
    ...ICONS[name].map((d) => {
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("d", d);
      return path;
    }),
  );
}

/** Whether it is drawn: `checkVisibility` is younger than phones that are in use. @param {Element} element */
export function isDrawn(element) {
  return element.getClientRects().length > 0;
}

/** Whether things may move. */
export function motionAllowed() {
  return !matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/** To the clipboard, also where the browser has none for pages. @param {string} words */
export async function copy(words) {
  try {
    await navigator.clipboard.writeText(words);
  } catch {
    const field = h("input", { value: words, readonly: true });
    // Inside an open dialog only what lies in it can be selected.
    (document.querySelector("dialog[open]") ?? document.body).append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
}
