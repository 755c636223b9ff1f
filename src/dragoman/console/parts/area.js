// A field of several lines, and one that is ticked.

import { html, useId } from "../html.js";
import { prose } from "./prose.js";

/**
 * @param {{
 *   name: string, label: string, value: string, onInput: (value: string) => void,
 *   rows?: number, hint?: string, problem?: string | null, placeholder?: string, mono?: boolean,
 * }} props
 */
export function Area({ name, label, value, onInput, rows = 3, hint, problem, placeholder, mono = false }) {
  const id = useId();
  const told = [hint && `${id}-hint`, problem && `${id}-problem`].filter(Boolean).join(" ");
  return html`
    <div class=${problem ? "field wrong" : "field"}>
      <label for=${id}>${label}</label>
      <textarea
        id=${id}
        name=${name}
        rows=${rows}
        class=${mono ? "mono" : ""}
        value=${value}
        onInput=${(/** @type {InputEvent} */ event) => onInput(/** @type {HTMLTextAreaElement} */ (event.target).value)}
        placeholder=${placeholder}
        autocomplete="off"
        spellcheck=${false}
        autocapitalize="none"
        aria-invalid=${problem ? "true" : undefined}
        aria-describedby=${told || undefined}
      ></textarea>
      ${hint && html`<p class="hint" id=${`${id}-hint`}>${prose(hint)}</p>`}
      ${problem && html`<p class="problem" id=${`${id}-problem`}>${problem}</p>`}
    </div>
  `;
}

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
