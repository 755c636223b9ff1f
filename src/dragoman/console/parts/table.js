// Rows of something. Figures stand right; on a narrow page columns that are `aside` go, and what is still too wide
// scrolls inside of its frame. `j` and `k` move between rows (keyboard.js), Enter and a press open one.

import { html } from "../html.js";

/** @import {Children} from "../html.js" */

/**
 * @template T
 * @typedef {{
 *   id: string,
 *   head: string,
 *   cell: (row: T) => Children,
 *   numeric?: boolean,
 *   aside?: boolean,
 *   title?: (row: T) => string | undefined,
 *   headTitle?: string,
 * }} Column
 */

/**
 * `stacked`: on a narrow page each row becomes a block with its heads inside. `tone` paints a row by what it means ("bad", "warn"); `chosen` is the key of the row that is open.
 * @template T
 * @param {{
 *   label: string,
 *   stacked?: boolean,
 *   columns: Column<T>[],
 *   rows: T[],
 *   keyOf: (row: T) => string,
 *   onOpen?: (row: T) => void,
 *   chosen?: string | null,
 *   tone?: (row: T) => string | undefined,
 * }} props
 */
export function Table({ label, stacked = false, columns, rows, keyOf, onOpen, chosen, tone }) {
  return html`
    <div class=${stacked ? "tablebox stacked" : "tablebox"}>
      <table aria-label=${label}>
        <thead>
          <tr>
            ${columns.map((one) => html`<th key=${one.id} scope="col" class=${look(one)} title=${one.headTitle}>${one.head}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows.map((row) => {
            const key = keyOf(row);
            const classes = [onOpen && "opens", chosen === key && "chosen", tone?.(row)].filter(Boolean).join(" ");
            return html`
              <tr
                key=${key}
                class=${classes}
                data-row=${onOpen ? key : undefined}
                tabindex=${onOpen ? 0 : undefined}
                aria-selected=${onOpen && chosen === key ? "true" : undefined}
                onClick=${onOpen && ((/** @type {MouseEvent} */ event) => pressed(event) && onOpen(row))}
                onKeyDown=${onOpen &&
                ((/** @type {KeyboardEvent} */ event) => {
                  if (event.key === "Enter" && event.target === event.currentTarget) onOpen(row);
                })}
              >
                ${columns.map(
                  (one) => html`<td key=${one.id} class=${look(one)} data-head=${(stacked && one.head) || undefined} title=${one.title?.(row)}>${one.cell(row)}</td>`,
                )}
              </tr>
            `;
          })}
        </tbody>
      </table>
    </div>
  `;
}

/** @param {Column<any>} column */
function look(column) {
  return [column.numeric && "number", column.aside && "aside"].filter(Boolean).join(" ");
}

/**
 * Whether a press means the row: not a link or button in it, and not the end of a selection.
 * @param {MouseEvent} event
 */
function pressed(event) {
  const at = /** @type {Element} */ (event.target);
  return !at.closest("a, button, input, select, label") && !getSelection()?.toString();
}
