// A text to be taken along: a key, a line for a shell. Copied with one press, selectable where that is forbidden.

import { html, useEffect, useRef, useState } from "../html.js";
import { t } from "../text.js";

/**
 * @param {{text: string, label?: string}} props `label` says what is copied, for those who do not see it
 */
export function CopyButton({ text, label }) {
  const [said, setSaid] = useState(/** @type {"copy.do" | "copy.done" | "copy.failed"} */ ("copy.do"));
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setSaid("copy.done");
    } catch {
      // No clipboard without https beyond this machine.
      setSaid("copy.failed");
    }
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setSaid("copy.do"), 2_500);
  };
  return html`
    <button type="button" class="button small" onClick=${copy} title=${label}>
      <span aria-live="polite">${t(said)}</span>${label && html`<span class="unseen"> ${label}</span>`}
    </button>
  `;
}

/**
 * A text in a frame with its button; a press on the text selects all of it.
 * @param {{text: string, label?: string}} props
 */
export function CopyText({ text, label }) {
  return html`
    <div class="copytext">
      <pre tabindex="0"><code>${text}</code></pre>
      <${CopyButton} text=${text} label=${label} />
    </div>
  `;
}
