// A few figures as bars in a line of text: what they were lately, not what they were exactly.

import { html } from "../html.js";

const WIDE = 6;
const GAP = 2;

/**
 * `label` says it in words; each bar's own words are its title.
 * @param {{values: number[], titles: string[], label: string, tall?: number}} props
 */
export function Spark({ values, titles, label, tall = 20 }) {
  const most = Math.max(...values, 0);
  const width = values.length * (WIDE + GAP) - GAP;
  return html`
    <svg class="spark" role="img" aria-label=${label} width=${width} height=${tall} viewBox=${`0 0 ${width} ${tall}`}>
      ${values.map((value, at) => {
        // Nothing is a line at the bottom; little is more than that.
        const high = value > 0 && most > 0 ? Math.max(3, (value / most) * tall) : 1;
        return html`
          <rect key=${at} class=${value > 0 ? "" : "nothing"} x=${at * (WIDE + GAP)} y=${tall - high} width=${WIDE} height=${high}>
            <title>${titles[at]}</title>
          </rect>
        `;
      })}
    </svg>
  `;
}
