// A field that is ticked or not.

import { html } from "../html.js";

/** @param {{name: string, label: string, value: boolean, onInput: (value: boolean) => void}} props */
export function Tick({ name, label, value, onInput }) {
  return html`
    <label class="tick">
      <input
        type="checkbox"
        name=${name}
        checked=${value}
        onChange=${(/** @type {Event} */ event) => onInput(/** @type {HTMLInputElement} */ (event.target).checked)}
      />
      ${label}
    </label>
  `;
}
