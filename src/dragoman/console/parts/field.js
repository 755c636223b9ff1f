// A field of a form: its label, its hint, what is wrong with it. An error of the API finds its field by path.

import { ApiError } from "../api.js";
import { html, useEffect, useId, useRef } from "../html.js";
import { prose } from "./prose.js";

/** @import {Children} from "../html.js" */

/**
 * @param {{
 *   name: string, label: string, value: string, onInput: (value: string) => void,
 *   type?: string, hint?: string, problem?: string | null, autocomplete?: string, inputmode?: string,
 *   autofocus?: boolean, required?: boolean, disabled?: boolean, placeholder?: string, mono?: boolean,
 *   suggestions?: string[],
 * }} props
 */
export function Field(props) {
  const { name, label, value, onInput, type = "text", hint, problem, mono = false, autofocus = false } = props;
  const id = useId();
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => {
    // The attribute counts for the first page alone, not for what is drawn later.
    if (autofocus) input.current?.focus();
  }, []);
  const told = [hint && `${id}-hint`, problem && `${id}-problem`].filter(Boolean).join(" ");
  return html`
    <div class=${problem ? "field wrong" : "field"}>
      <label for=${id}>${label}</label>
      <input
        id=${id}
        ref=${input}
        name=${name}
        type=${type}
        class=${mono ? "mono" : ""}
        value=${value}
        onInput=${(/** @type {InputEvent} */ event) => onInput(/** @type {HTMLInputElement} */ (event.target).value)}
        autocomplete=${props.autocomplete ?? "off"}
        inputmode=${props.inputmode}
        list=${props.suggestions ? `${id}-list` : undefined}
        placeholder=${props.placeholder}
        required=${props.required}
        disabled=${props.disabled}
        spellcheck=${false}
        autocapitalize="none"
        aria-invalid=${problem ? "true" : undefined}
        aria-describedby=${told || undefined}
      />
      ${props.suggestions && html`<datalist id=${`${id}-list`}>${props.suggestions.map((one) => html`<option key=${one} value=${one}></option>`)}</datalist>`}
      ${hint && html`<p class="hint" id=${`${id}-hint`}>${prose(hint)}</p>`}
      ${problem && html`<p class="problem" id=${`${id}-problem`}>${problem}</p>`}
    </div>
  `;
}

/**
 * @param {{
 *   name: string, label: string, value: string, onInput: (value: string) => void,
 *   options: {value: string, text: string}[], hint?: string, problem?: string | null, disabled?: boolean,
 * }} props
 */
export function Choice({ name, label, value, onInput, options, hint, problem, disabled }) {
  const id = useId();
  return html`
    <div class=${problem ? "field wrong" : "field"}>
      <label for=${id}>${label}</label>
      <select
        id=${id}
        name=${name}
        value=${value}
        disabled=${disabled}
        onChange=${(/** @type {Event} */ event) => onInput(/** @type {HTMLSelectElement} */ (event.target).value)}
      >
        ${options.map((one) => html`<option key=${one.value} value=${one.value} selected=${one.value === value}>${one.text}</option>`)}
      </select>
      ${hint && html`<p class="hint">${prose(hint)}</p>`}
      ${problem && html`<p class="problem">${problem}</p>`}
    </div>
  `;
}

/**
 * What is wrong with a field, from the last failure; null for none.
 * @param {Error | null} error
 * @param {string} path of the field as the API names it
 */
export function problemOf(error, path) {
  return error instanceof ApiError && error.path === path ? error.said : null;
}

/**
 * What is wrong with no single field that the form has: to stand at its end.
 * @param {Error | null} error
 * @param {string[]} paths those of the form's fields
 */
export function problemElse(error, paths) {
  if (!error || (error instanceof ApiError && error.path && paths.includes(error.path))) return null;
  return error.message;
}

/**
 * Tells password managers whose password a form wants, where it has no field for the name.
 * @param {{name: string | undefined}} props
 */
export function Owner({ name }) {
  return html`<input class="unseen" name="username" value=${name} autocomplete="username" readonly tabindex="-1" aria-hidden="true" />`;
}

/** @param {{children?: Children}} props */
export function Problem({ children }) {
  return children ? html`<p class="problem" role="alert">${children}</p>` : null;
}
