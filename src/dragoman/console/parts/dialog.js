// A question or a form above the page. The browser's own dialog: it keeps the focus inside, closes on Escape and
// gives the focus back.

import { html, useEffect, useId, useRef } from "../html.js";
import { t } from "../text.js";

/** @import {Children} from "../html.js" */

/**
 * Open as long as it is drawn. `onClose` is called by Escape, the cross and a press beside it; without it only
 * what is inside closes it.
 * @param {{title: string, onClose?: () => void, wide?: boolean, children?: Children}} props
 */
export function Dialog({ title, onClose, wide = false, children }) {
  const box = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const id = useId();
  useEffect(() => {
    const dialog = box.current;
    if (!dialog) return undefined;
    const before = document.activeElement;
    dialog.showModal();
    /** @type {HTMLElement | null} */ (dialog.querySelector("[autofocus], input:not(.unseen), select, textarea, .dialog-inside > :not(header) button"))?.focus();
    return () => {
      dialog.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  /** @param {Event} event */
  const cancel = (event) => {
    event.preventDefault();
    onClose?.();
  };
  /** @param {MouseEvent} event */
  const beside = (event) => {
    if (event.target === box.current) onClose?.();
  };
  return html`
    <dialog ref=${box} class=${wide ? "dialog wide" : "dialog"} aria-labelledby=${id} onCancel=${cancel} onMouseDown=${beside}>
      <div class="dialog-inside">
        <header class="dialog-head">
          <h2 id=${id}>${title}</h2>
          ${onClose && html`<button type="button" class="button plain" onClick=${onClose} aria-label=${t("dialog.close")}>✕</button>`}
        </header>
        ${children}
      </div>
    </dialog>
  `;
}

/**
 * Asks before something that cannot be taken back. `act` says on the button what it does.
 * @param {{title: string, act: string, danger?: boolean, busy?: boolean, onDo: () => void, onClose: () => void, children?: Children}} props
 */
export function Confirm({ title, act, danger = true, busy = false, onDo, onClose, children }) {
  return html`
    <${Dialog} title=${title} onClose=${onClose}>
      ${children}
      <div class="actions">
        <button type="button" class="button" onClick=${onClose}>${t("dialog.cancel")}</button>
        <button type="button" class=${danger ? "button danger" : "button primary"} disabled=${busy} onClick=${onDo} autofocus>
          ${act}
        </button>
      </div>
    <//>
  `;
}
