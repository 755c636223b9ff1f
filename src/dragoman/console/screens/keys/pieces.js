// What the list of keys and the page of one key show alike.

import { count, money, NONE, tokens } from "../../format.js";
import { html } from "../../html.js";
import { Once } from "../../parts/once.js";
import { Spark } from "../../parts/spark.js";
import { go, to } from "../../router.js";
import { t, tn } from "../../text.js";
import { made } from "./made.js";

/** @import {MadeKey} from "../../api-types.js" */
/** @import {Spend, Spent} from "./spend.js" */

/**
 * Money of a time; a dash where nothing was asked for.
 * @param {{of: Spend | null | undefined}} props
 */
export function SpendFigure({ of }) {
  if (!of) return null;
  if (!of.requests) return html`<span class="faint" title=${tn("key.requests", 0)}>${NONE}</span>`;
  const told = [tn("key.requests", of.requests), t("key.tokens", { tokens: count(of.tokens) }), ...notesOf(of)];
  return html`<span title=${told.join("; ")}>${money(of.cost, of.estimated > 0)}${of.cost !== null && of.unpriced > 0 && "+"}</span>`;
}

/**
 * What a sum leaves out or only estimates, in words.
 * @param {Spend} of
 */
export function notesOf(of) {
  return [of.unpriced > 0 && tn("key.unpriced", of.unpriced), of.estimated > 0 && tn("key.estimated", of.estimated)].filter(
    (one) => typeof one === "string",
  );
}

/** @param {{of: Spent | null, name: string, tall?: number}} props */
export function Week({ of, name, tall }) {
  if (!of) return null;
  const titles = of.days.map(
    ({ time, spend }) => `${time.slice(0, 10)}: ${tn("key.requests", spend.requests)}, ${t("key.tokens", { tokens: tokens(spend.tokens) })}`,
  );
  return html`<${Spark}
    values=${of.days.map((day) => day.spend.tokens)}
    titles=${titles}
    label=${`${t("key.week.of", { name })}: ${titles.join("; ")}`}
    tall=${tall}
  />`;
}

/** @param {{of: MadeKey, onClose: () => void}} props */
export function Secret({ of, onClose }) {
  const connect = () => {
    made.value = { name: of.name, text: of.key };
    go(to("settings", ["connect"]));
  };
  return html`
    <${Once} title=${t("key.secret", { name: of.name })} text=${of.key} label=${t("key.secret.label")} onClose=${onClose}>
      <p>${t("key.secret.connect")} <button type="button" class="button small" onClick=${connect}>${t("key.secret.do")}</button></p>
    <//>
  `;
}
