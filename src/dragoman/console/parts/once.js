// A secret that is shown once: with its button, with a warning, and closed by hand alone.

import { html } from "../html.js";
import { t } from "../text.js";
import { CopyText } from "./copy.js";
import { Dialog } from "./dialog.js";

/** @import {Children} from "../html.js" */

/** @param {{title: string, text: string, label: string, onClose: () => void, children?: Children}} props */
export function Once({ title, text, label, onClose, children }) {
  return html`
    <${Dialog} title=${title}>
      <p class="once" role="alert">${t("once.warning")}</p>
      <${CopyText} text=${text} label=${label} />
      ${children}
      <div class="actions"><button type="button" class="button primary" onClick=${onClose}>${t("once.kept")}</button></div>
    <//>
  `;
}
