// Upstream models with their limits and efforts, who lists them and what leads there.

import { count, tokens } from "../../format.js";
import { html } from "../../html.js";
import { Badge } from "../../parts/badge.js";
import { Estimate } from "../../parts/figure.js";
import { Empty } from "../../parts/states.js";
import { Table } from "../../parts/table.js";
import { to } from "../../router.js";
import { t } from "../../text.js";

/** @import {ModelRecord, Models} from "../../api-types.js" */
/** @import {Column} from "../../parts/table.js" */

/** @param {{of: Models}} props */
export function Catalogue({ of }) {
  if (!of.data.length) return html`<${Empty} title=${t("models.catalogue.none")}><p>${t("models.catalogue.none.do")}</p><//>`;
  /** @type {Column<ModelRecord>[]} */
  const columns = [
    {
      id: "model",
      head: t("models.catalogue.model"),
      cell: (one) => html`<a href=${to("models", [], { try: one.model })}><code>${one.model}</code></a>`,
    },
    { id: "window", head: t("models.catalogue.window"), numeric: true, title: (one) => count(one.context_window), cell: (one) => guessed(one, tokens(one.context_window)) },
    { id: "output", head: t("models.catalogue.output"), numeric: true, aside: true, title: (one) => count(one.max_output_tokens), cell: (one) => guessed(one, tokens(one.max_output_tokens)) },
    { id: "efforts", head: t("models.catalogue.efforts"), cell: efforts },
    { id: "takes", head: t("models.catalogue.takes"), aside: true, cell: takes },
    {
      id: "accounts",
      head: t("models.catalogue.accounts"),
      cell: (one) =>
        one.accounts.length
          ? html`<span class="names">${one.accounts.map((name, at) => html`${at > 0 && ", "}<a key=${name} href=${to("accounts", [name])}>${name}</a>`)}</span>`
          : html`<span class="faint">${t("models.catalogue.nobody")}</span>`,
    },
    { id: "aliases", head: t("models.catalogue.aliases"), aside: true, cell: (one) => html`<span class="names">${one.aliases.map((name) => html`<code key=${name}>${name}</code> `)}</span>` },
  ];
  return html`
    ${of.passes && of.any.length > 0 && html`<p class="hint">${t("models.catalogue.any", { names: of.any.join(", ") })}</p>`}
    <${Table} label=${t("models.catalogue")} columns=${columns} rows=${of.data} keyOf=${(/** @type {ModelRecord} */ one) => one.model} />
  `;
}

/**
 * @param {ModelRecord} one
 * @param {string} text
 */
function guessed(one, text) {
  return one.known ? text : html`<span title=${t("models.catalogue.guess")}><${Estimate}>${text}<//></span>`;
}

/** @param {ModelRecord} one */
function efforts(one) {
  if (!one.efforts.length) return html`<span class="faint">${t("models.catalogue.efforts.none")}</span>`;
  return html`
    <span class="badges">
      ${one.efforts.map(
        (level) => html`<${Badge} key=${level} tone=${level === one.default_effort ? "good" : "faint"} title=${level === one.default_effort ? t("models.catalogue.default") : undefined}>${level}<//>`,
      )}
    </span>
  `;
}

/** @param {ModelRecord} one */
function takes(one) {
  return [t("models.catalogue.text"), one.images && t("models.catalogue.images"), one.files && t("models.catalogue.files")].filter(Boolean).join(", ");
}
