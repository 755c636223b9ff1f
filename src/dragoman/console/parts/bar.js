// A whole and its parts as one bar: a turn's times, a window's use, a prompt's tokens. Its parts are named in a
// list beside it, so that nobody has to tell colours apart.

import { html } from "../html.js";
import { share } from "../format.js";

/** @typedef {"one" | "two" | "three" | "four" | "five" | "rest" | "good" | "warn" | "bad"} Paint */
/** @typedef {{name: string, value: number, text: string, paint: Paint, title?: string}} Piece */

/**
 * @param {{pieces: Piece[], label: string, total?: number, legend?: boolean}} props `total` where the pieces do
 *   not fill the bar; pieces of nothing are left out of the bar, not of the list
 */
export function Bar({ pieces, label, total, legend = true }) {
  const sum = total ?? pieces.reduce((all, piece) => all + piece.value, 0);
  const parts = pieces.filter((piece) => piece.value > 0 && sum > 0);
  return html`
    <figure class="barbox">
      <div class="bar" role="img" aria-label=${`${label}: ${pieces.map((one) => `${one.name} ${one.text}`).join(", ")}`}>
        ${parts.map(
          (piece) => html`
            <span
              key=${piece.name}
              class=${`paint-${piece.paint}`}
              style=${{ flexBasis: `${Math.min(100, (piece.value / sum) * 100)}%` }}
              title=${piece.title ?? `${piece.name}: ${piece.text}`}
            ></span>
          `,
        )}
      </div>
      ${legend &&
      html`
        <ul class="legend" aria-hidden="true">
          ${pieces.map(
            (piece) => html`
              <li key=${piece.name}><i class=${`paint-${piece.paint}`}></i>${piece.name} <b>${piece.text}</b></li>
            `,
          )}
        </ul>
      `}
    </figure>
  `;
}

/**
 * How much of something is used, from 0 to 1; warm from 75 %, hot from 90 %.
 * @param {{used: number, label: string, text?: string}} props
 */
export function Meter({ used, label, text }) {
  const paint = used >= 0.9 ? "bad" : used >= 0.75 ? "warn" : "good";
  const piece = { name: label, value: used, text: text ?? share(used), paint: /** @type {Paint} */ (paint) };
  return html`<${Bar} pieces=${[piece]} total=${1} label=${label} legend=${false} />`;
}
