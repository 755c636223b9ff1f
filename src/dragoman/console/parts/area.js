// A field of several lines: a list with one entry a line, a document that is pasted.

import { html, useId } from "../html.js";
import { prose } from "./prose.js";

/**
 * @param {{
 *   name: string, label: string, value: string, onInput: (value: string) => void,
 *   rows?: number, hint?: string, problem?: string | null, mono?: boolean, placeholder?: string,
 * }} props
 */
export function Area({ name, label, value, onInput, rows = 4, hint, problem, mono = false, placeholder }) {
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
        placeholder=${placeholder}
        value=${value}
        onInput=${(/** @type {InputEvent} */ event) => onInput(/** @type {HTMLTextAreaElement} */ (event.target).value)}
        autocomplete="off"
        autocapitalize="none"
        spellcheck=${false}
        aria-invalid=${problem ? "true" : undefined}
        aria-describedby=${told || undefined}
      ></textarea>
      ${hint && html`<p class="hint" id=${`${id}-hint`}>${prose(hint)}</p>`}
      ${problem && html`<p class="problem" id=${`${id}-problem`}>${problem}</p>`}
    </div>
  `;
}
