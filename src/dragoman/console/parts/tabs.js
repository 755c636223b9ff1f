// Parts of a screen, each an address of its own. The one that is open is in view, also where they do not all fit.

import { html, useEffect, useRef } from "../html.js";

/** @import {Children} from "../html.js" */

/** @param {{label: string, open: string | undefined, tabs: {id: string, name: string, href: string}[], children?: Children}} props */
export function Tabs({ label, open, tabs, children }) {
  const link = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    link.current?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [open]);
  return html`
    <nav class="tabs" aria-label=${label}>
      ${tabs.map(
        (one) => html`
          <a key=${one.id} href=${one.href} ref=${one.id === open ? link : undefined} aria-current=${one.id === open ? "page" : undefined}>${one.name}</a>
        `,
      )}
      ${children}
    </nav>
  `;
}
