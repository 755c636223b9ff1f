// The keys of the whole console. Nothing of this happens while one types, and nothing with Ctrl, Alt or Meta.

import { signal } from "./html.js";
import { go, to } from "./router.js";
import { SCREENS } from "./screens.js";

/** Whether the list of keys is shown. */
export const helpShown = signal(false);

// How long `g` waits for its second key.
const PATIENCE = 1_500;
let leading = 0;

/** Begins to listen, for as long as the page lives. */
export function listen() {
  addEventListener("keydown", pressed);
}

/** @param {KeyboardEvent} event */
function pressed(event) {
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
  const at = /** @type {HTMLElement | null} */ (event.target instanceof HTMLElement ? event.target : null);
  if (at?.closest("input, textarea, select")) {
    if (event.key === "Escape" && !at.closest("dialog")) at.blur();
    return;
  }
  if (document.querySelector("dialog[open]")) return;
  const second = Date.now() - leading < PATIENCE;
  leading = 0;
  if (second) {
    const screen = SCREENS.find((one) => one.key === event.key);
    if (screen) {
      event.preventDefault();
      go(to(screen.id));
    }
    return;
  }
  const act = ACTS[event.key] ?? (() => press(event.key));
  if (act() === true) event.preventDefault();
}

/**
 * A key of the screen alone: what it presses has it as `data-key`.
 * @param {string} key
 */
function press(key) {
  const wanted = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-key]")]);
  const found = wanted.find((one) => one.dataset.key === key);
  if (found) use(found);
  return found !== undefined;
}

/**
 * What a click does. A link to a screen is followed at once, so that two keys in a row are two steps.
 * @param {HTMLElement} thing
 */
function use(thing) {
  const address = thing.getAttribute("href");
  if (address?.startsWith("#")) go(address);
  else thing.click();
}

/** @type {Record<string, () => boolean>} */
const ACTS = {
  g: () => {
    leading = Date.now();
    return true;
  },
  "/": () => {
    const field = /** @type {HTMLInputElement | null} */ (document.querySelector("[data-search]"));
    field?.focus();
    field?.select();
    return field !== null;
  },
  j: () => step(1),
  k: () => step(-1),
  Escape: () => {
    // What is open on a screen marks how it is closed.
    const close = /** @type {HTMLElement | null} */ (document.querySelector("[data-escape]"));
    if (close) use(close);
    return close !== null;
  },
  "?": () => {
    helpShown.value = true;
    return true;
  },
};

/** @param {1 | -1} by */
function step(by) {
  const rows = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-row]")]);
  if (!rows.length) return false;
  const current = document.activeElement?.closest("[data-row]") ?? document.querySelector("[data-row].chosen");
  const at = rows.findIndex((row) => row === current);
  const next = rows[at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + by))];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
  return true;
}
