// Sentences with `code` in them.

import { html } from "../html.js";

/**
 * What stands between backticks as code, the rest as it is.
 * @param {string} text
 * @returns {import("../html.js").Children[]}
 */
export function prose(text) {
  return text.split("`").map((part, at) => (at % 2 ? html`<code key=${at}>${part}</code>` : part));
}
