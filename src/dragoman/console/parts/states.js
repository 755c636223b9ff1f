// What stands where something is not there: it loads, it is empty, it failed. Each says what to do next.

import { ApiError } from "../api.js";
import { html } from "../html.js";
import { t } from "../text.js";

/** @import {Children, View} from "../html.js" */
/**
 * @template T
 * @typedef {import("../resource.js").Resource<T>} Resource
 */

/** Drawn late by its style, so that quick answers do not flicker. */
export function Loading() {
  return html`<p class="state loading" role="status">${t("loading")}</p>`;
}

/** @param {{title: string, children?: Children}} props what is missing, and what to do about it */
export function Empty({ title, children }) {
  return html`<div class="state empty"><p class="state-title">${title}</p>${children}</div>`;
}

/** @param {{error: Error, retry?: () => void}} props */
export function Failure({ error, retry }) {
  const id = error instanceof ApiError ? error.requestId : "";
  return html`
    <div class="state failed" role="alert">
      <p class="state-title">${t("error.title")}</p>
      <p>${error.message}${id && html` <span class="faint">(${t("error.id", { id })})</span>`}</p>
      ${retry && html`<button type="button" class="button" onClick=${retry}>${t("error.retry")}</button>`}
    </div>
  `;
}

/**
 * A resource as what it is now: loading, failed, or drawn by `children`. What was there stays while it is
 * asked for again, and also when that fails: then the failure stands above it.
 * @template T
 * @param {{of: Resource<T>, children: (data: T) => View}} props
 */
export function Loaded({ of, children }) {
  if (of.data === null) {
    return of.error ? html`<${Failure} error=${of.error} retry=${of.reload} />` : html`<${Loading} />`;
  }
  return html`${of.error && html`<${Failure} error=${of.error} retry=${of.reload} />`}${children(of.data)}`;
}
