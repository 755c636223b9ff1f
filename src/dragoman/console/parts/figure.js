// A figure with its name, and a row of them.

import { html } from "../html.js";
import { t } from "../text.js";
import { away, clock, utc } from "../format.js";

/** @import {Children} from "../html.js" */

/** @param {{name: string, value: Children, note?: Children, title?: string, tone?: "good" | "warn" | "bad"}} props */
export function Figure({ name, value, note, title, tone }) {
  return html`
    <div class=${tone ? `figure ${tone}` : "figure"} title=${title}>
      <dt>${name}</dt>
      <dd><span class="figure-value">${value}</span>${note && html`<span class="figure-note">${note}</span>`}</dd>
    </div>
  `;
}

/** @param {{children?: Children}} props */
export function Figures({ children }) {
  return html`<dl class="figures">${children}</dl>`;
}

/**
 * A moment in local time with UTC in its title; `far` says how far away it is instead.
 * @param {{at: string | null | undefined, now?: number, far?: boolean}} props
 */
export function Moment({ at, now = Date.now(), far = false }) {
  return html`<time dateTime=${at ?? undefined} title=${utc(at)}>${far ? away(at, now) : clock(at, now)}</time>`;
}

/**
 * A figure that was estimated is marked as such.
 * @param {{estimated?: boolean, children?: Children}} props
 */
export function Estimate({ estimated = true, children }) {
  return estimated ? html`<span class="estimate" title=${t("estimate.title")}>≈ ${children}</span>` : html`<span>${children}</span>`;
}
