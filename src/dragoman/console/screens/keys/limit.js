// A limit: what of it is used and held, and when more is free.

import { count, money, share, tokens } from "../../format.js";
import { html } from "../../html.js";
import { Meter } from "../../parts/bar.js";
import { Moment } from "../../parts/figure.js";
import { t } from "../../text.js";
import { filled } from "./draft.js";

/** @import {LimitState} from "../../api-types.js" */
/** @import {TextName} from "../../text.js" */

const SLIDING = ["minute", "hour", "5h"];

/**
 * @param {LimitState} limit
 * @param {number} amount
 */
export function amountOf(limit, amount) {
  if (limit.measure === "cost_usd") return money(amount);
  return limit.measure === "requests" ? count(amount) : tokens(amount);
}

/** @param {LimitState} limit */
export function titleOf(limit) {
  const what = t(/** @type {TextName} */ (`key.measure.${limit.measure}`));
  const per = t(/** @type {TextName} */ (`key.per.${limit.per}`));
  return limit.models ? t("key.limit.of", { what, per, models: limit.models }) : `${what} ${per}`;
}

/** @param {{of: LimitState, short?: boolean}} props */
export function LimitMeter({ of, short = false }) {
  const used = filled(of);
  const told = t("key.limit.used", { used: amountOf(of, of.used), max: amountOf(of, of.max) });
  const held = of.held > 0 ? t("key.limit.held", { held: amountOf(of, of.held) }) : "";
  const title = titleOf(of);
  // A window that slides begins with its first request.
  const resets = of.resets_at && (of.used + of.held > 0 || !SLIDING.includes(of.per));
  const tone = used >= 1 ? "spent" : "";
  return html`
    <div class=${short ? `limit ${tone}` : `limit long ${tone}`} title=${short ? `${title}: ${told}${held && `, ${held}`}` : undefined}>
      <span class="limit-name">${title}</span>
      <span class="limit-used">${told}</span>
      <${Meter} used=${used} label=${title} text=${`${share(used)}, ${told}`} />
      ${!short && html`<span class="limit-more">${held}</span>`}
      ${(!short || resets) &&
      html`<span class="limit-reset">${resets ? html`${t("key.limit.resets")} <${Moment} at=${of.resets_at} far />` : t(of.per === "total" ? "key.limit.never" : "key.limit.fresh")}</span>`}
    </div>
  `;
}
