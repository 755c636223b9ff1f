// What models cost: what was set here, what the file and the catalogue say, and of which nobody knows it.

import { segment, send } from "../../api.js";
import { useForm } from "../../form.js";
import { tokens } from "../../format.js";
import { html, useState } from "../../html.js";
import { Badge } from "../../parts/badge.js";
import { Confirm, Dialog } from "../../parts/dialog.js";
import { Field, Problem, problemElse, problemOf } from "../../parts/field.js";
import { Panel } from "../../parts/panel.js";
import { Empty } from "../../parts/states.js";
import { Table } from "../../parts/table.js";
import { notify } from "../../state.js";
import { t, tn } from "../../text.js";

/** @import {PriceRecord} from "../../api-types.js" */
/** @import {Column} from "../../parts/table.js" */

const RATES = /** @type {const} */ (["input", "cached", "written", "output"]);
const GROUPS = /** @type {const} */ (["long", "flex", "flex_long", "priority", "priority_long"]);
const KEYS = ["long_from", ...RATES, ...GROUPS.flatMap((group) => RATES.map((rate) => `${group}_${rate}`))];
const exact = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 6 });

/** @param {{rows: PriceRecord[], names: string[], changed: () => void, may: boolean}} props */
export function Prices({ rows, names, changed, may }) {
  const [open, setOpen] = useState(/** @type {{what: "set" | "remove", of: PriceRecord | null} | null} */ (null));
  const close = () => setOpen(null);
  const unknown = rows.filter((one) => one.rates === null).length;
  /** @param {(typeof RATES)[number]} rate @returns {Column<PriceRecord>} */
  const figure = (rate) => ({
    id: rate,
    head: t(`models.price.${rate}`),
    numeric: true,
    cell: (one) => (one.rates ? dollars(one.rates[rate]) : rate === "input" ? html`<${Badge} tone="warn" title=${t("models.price.unknown.why")}>${t("models.price.unknown")}<//>` : ""),
  });
  /** @type {Column<PriceRecord>[]} */
  const columns = [
    { id: "model", head: t("models.price.model"), cell: (one) => html`<code>${one.model}</code>` },
    ...RATES.map(figure),
    { id: "more", head: t("models.price.more"), aside: true, cell: (one) => html`<span class="badges">${further(one.rates ?? {})}</span>` },
    { id: "from", head: t("models.price.from"), aside: true, cell: from },
  ];
  if (may) {
    columns.push({
      id: "do",
      head: "",
      cell: (one) => html`
        <span class="row-deeds">
          <button type="button" class="button small" onClick=${() => setOpen({ what: "set", of: one })}>
            ${t(own(one) ? "models.price.change" : one.rates ? "models.price.over" : "models.price.set")}
          </button>
          ${own(one) &&
          html`<button type="button" class="button small danger" onClick=${() => setOpen({ what: "remove", of: one })}>${t("models.price.remove")}</button>`}
        </span>
      `,
    });
  }
  return html`
    <${Panel}
      title=${t("models.prices")}
      note=${t("models.prices.note")}
      actions=${html`
        ${unknown > 0 && html`<${Badge} tone="warn" title=${t("models.price.unknown.why")}>${tn("models.price.unknown.count", unknown)}<//>`}
        ${may && html`<button type="button" class="button" onClick=${() => setOpen({ what: "set", of: null })}>${t("models.price.add")}</button>`}
      `}
    >
      ${rows.length
        ? html`<${Table} label=${t("models.prices")} columns=${columns} rows=${rows} keyOf=${(/** @type {PriceRecord} */ one) => one.model} tone=${(/** @type {PriceRecord} */ one) => (one.rates ? undefined : "warn")} />`
        : html`<${Empty} title=${t("models.prices.none")}><p>${t("models.prices.none.do")}</p><//>`}
    <//>
    ${open?.what === "set" && html`<${Setting} of=${open.of} names=${names} onDone=${() => (close(), changed())} onClose=${close} />`}
    ${open?.what === "remove" && open.of && html`<${Removal} of=${open.of} onDone=${() => (close(), changed())} onClose=${close} />`}
  `;
}

/** @param {PriceRecord} one whether it was set here under just this name */
function own(one) {
  return one.source === "store" && one.under === one.model;
}

/** @param {number | undefined} usd */
function dollars(usd) {
  return usd === undefined ? t("models.price.unknown") : exact.format(usd);
}

/** @param {Record<string, number>} rates what there is beside the four: its figures in the title */
function further(rates) {
  return GROUPS.filter((group) => `${group}_input` in rates && !group.endsWith("_long")).map((group) => {
    const text = RATES.map((rate) => `${t(`models.price.${rate}`)} ${dollars(rates[`${group}_${rate}`])}`).join(", ");
    const name = group === "long" ? t("models.price.long", { tokens: tokens(rates.long_from) }) : t(`models.price.${/** @type {"flex"} */ (group)}`);
    return html`<${Badge} key=${group} title=${text}>${name}<//>`;
  });
}

/** @param {PriceRecord} one */
function from(one) {
  if (one.source === null) return "";
  const origin = t(`models.origin.${one.source}`);
  return one.under && one.under !== one.model ? t("models.price.under", { origin, name: one.under }) : origin;
}

/** @param {{of: PriceRecord | null, names: string[], onDone: () => void, onClose: () => void}} props */
function Setting({ of, names, onDone, onClose }) {
  const [model, setModel] = useState(of?.model ?? "");
  const [texts, setTexts] = useState(() => Object.fromEntries(KEYS.map((key) => [key, String(of?.rates?.[key] ?? "")])));
  const form = useForm();
  const put = (/** @type {string} */ key) => (/** @type {string} */ value) => setTexts({ ...texts, [key]: value });
  const save = form.submits(async () => {
    const rates = Object.fromEntries(KEYS.filter((key) => texts[key]?.trim()).map((key) => [key, number(texts[key] ?? "")]));
    await send("PUT", `/prices/${segment(model.trim())}`, rates);
    notify(t("models.price.set.done", { name: model.trim() }));
    onDone();
  });
  /** @param {string} key @param {string} label @param {string} [hint] */
  const field = (key, label, hint) =>
    html`<${Field} key=${key} name=${key} label=${label} hint=${hint} inputmode="decimal" value=${texts[key] ?? ""} onInput=${put(key)} problem=${problemOf(form.error, key)} />`;
  const group = (/** @type {string} */ front) =>
    html`<div class="rates">${RATES.map((rate) => field(front + rate, t(`models.price.${rate}`), rate === "cached" || rate === "written" ? t("models.price.field.empty") : undefined))}</div>`;
  const more = KEYS.some((key) => !(/** @type {readonly string[]} */ (RATES).includes(key)) && texts[key]);
  return html`
    <${Dialog} title=${of ? t("models.price.title", { name: of.model }) : t("models.price.title.new")} onClose=${onClose} wide>
      <form onSubmit=${save} novalidate>
        ${!of &&
        html`<${Field} name="model" label=${t("models.price.field.model")} hint=${t("models.price.field.model.hint")} value=${model} onInput=${setModel} suggestions=${names} problem=${problemOf(form.error, "model")} mono />`}
        <p class="hint">${t("models.prices.note")}</p>
        <fieldset><legend>${t("models.price.group.base")}</legend>${group("")}</fieldset>
        <details class="more" open=${more}>
          <summary>${t("models.price.field.more")}</summary>
          ${GROUPS.map(
            (one) => html`
              <fieldset key=${one}>
                <legend>${t(`models.price.group.${one}`)}</legend>
                ${one === "long" && html`<div class="rates">${field("long_from", t("models.price.field.long_from"))}</div>`}
                ${group(`${one}_`)}
              </fieldset>
            `,
          )}
        </details>
        <${Problem}>${problemElse(form.error, ["model", ...KEYS])}<//>
        <div class="actions">
          <button type="button" class="button" onClick=${onClose}>${t("dialog.cancel")}</button>
          <button class="button primary" disabled=${form.busy || !model.trim()}>${t("models.alias.save")}</button>
        </div>
      </form>
    <//>
  `;
}

/** @param {string} text what is no number goes as it is: the API says what is wrong with it */
function number(text) {
  const value = Number(text.trim().replace(",", "."));
  return Number.isFinite(value) ? value : text.trim();
}

/** @param {{of: PriceRecord, onDone: () => void, onClose: () => void}} props */
function Removal({ of, onDone, onClose }) {
  const form = useForm();
  const remove = () =>
    form.run(async () => {
      await send("DELETE", `/prices/${segment(of.model)}`);
      notify(t("models.price.removed.done", { name: of.model }));
      onDone();
    });
  return html`
    <${Confirm} title=${t("models.price.remove.title", { name: of.model })} act=${t("models.price.remove")} busy=${form.busy} onDo=${remove} onClose=${onClose}>
      <p>${t("models.price.remove.text")}</p>
      <${Problem}>${form.error?.message}<//>
    <//>
  `;
}
