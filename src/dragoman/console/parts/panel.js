// A part of a screen under a heading, with what can be done there at its right.

import { html, useId } from "../html.js";

/** @import {Children} from "../html.js" */

/** @param {{title: string, actions?: Children, note?: Children, children?: Children}} props */
export function Panel({ title, actions, note, children }) {
  const id = useId();
  return html`
    <section class="panel" aria-labelledby=${id}>
      <header class="panel-head">
        <h2 id=${id}>${title}</h2>
        ${note && html`<span class="panel-note">${note}</span>`}
        ${actions && html`<div class="panel-actions">${actions}</div>`}
      </header>
      ${children}
    </section>
  `;
}
