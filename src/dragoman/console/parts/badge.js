// A word in a colour that means something: never the colour alone.

import { html } from "../html.js";

/** @import {Children} from "../html.js" */
/** @typedef {"good" | "warn" | "bad" | "calm" | "faint"} Tone */

/** @param {{tone?: Tone, title?: string, children?: Children}} props */
export function Badge({ tone = "calm", title, children }) {
  return html`<span class=${`badge ${tone}`} title=${title}>${children}</span>`;
}
