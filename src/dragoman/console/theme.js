// Light, dark or as the system has it; remembered in this browser. early.js applies it before the first drawing.

import { signal } from "./html.js";

const KEY = "dragoman.theme";

/** @typedef {"system" | "light" | "dark"} Theme */

/** @type {import("./html.js").Signal<Theme>} */
export const theme = signal(remembered());

/** @returns {Theme} */
function remembered() {
  const given = document.documentElement.dataset.theme;
  return given === "light" || given === "dark" ? given : "system";
}

/** The next one: system, light, dark, and round again. */
export function turnTheme() {
  /** @type {Theme[]} */
  const round = ["system", "light", "dark"];
  setTheme(round[(round.indexOf(theme.value) + 1) % round.length] ?? "system");
}

/** @param {Theme} chosen */
export function setTheme(chosen) {
  theme.value = chosen;
  if (chosen === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  try {
    if (chosen === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, chosen);
  } catch {
    // It then lasts as long as this page.
  }
}
