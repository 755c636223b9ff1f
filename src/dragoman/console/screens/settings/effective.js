// Every setting with its value and where it comes from. They are changed where they are, not here.

import { get } from "../../api.js";
import { html } from "../../html.js";
import { Tick } from "../../parts/tick.js";
import { Badge } from "../../parts/badge.js";
import { Panel } from "../../parts/panel.js";
import { prose } from "../../parts/prose.js";
import { Empty, Loaded } from "../../parts/states.js";
import { Table } from "../../parts/table.js";
import { useResource } from "../../resource.js";
import { go, place, to } from "../../router.js";
import { maybe, t } from "../../text.js";

/** @import {Setting, Settings} from "../../api-types.js" */

export function Effective() {
  const found = useResource((signal) => /** @type {Promise<Settings>} */ (get("/settings", {}, { signal })), []);
  const { q = "", set = "" } = place.value.query;
  /** @param {Record<string, string>} change */
  const filter = (change) => go(to("settings", ["effective"], { q, set, ...change }), { replace: true });
  return html`
    <${Panel}
      title=${t("settings.effective")}
      actions=${html`
        <${Tick} name="set" label=${t("settings.set")} value=${set === "1"} onInput=${(/** @type {boolean} */ on) => filter({ set: on ? "1" : "" })} />
        <input
          class="search"
          type="search"
          data-search
          value=${q}
          placeholder=${t("settings.search")}
          aria-label=${t("settings.search")}
          onInput=${(/** @type {InputEvent} */ event) => filter({ q: /** @type {HTMLInputElement} */ (event.target).value })}
        />
      `}
    >
      <p class="faint">${prose(t("settings.effective.why"))}</p>
      <${Loaded} of=${found}>
        ${(/** @type {Settings} */ settings) => {
          const words = q.toLowerCase();
          const rows = settings.data.filter((one) => one.key.toLowerCase().includes(words) && (set !== "1" || one.origin !== "default"));
          return rows.length
            ? html`<${Rows} rows=${rows} />`
            : html`<${Empty} title=${t(settings.data.length && (q || !set) ? "settings.nomatch" : "settings.alldefault")}>
                <p><a href=${to("settings", ["effective"])}>${t("settings.showall")}</a></p>
              <//>`;
        }}
      <//>
    <//>
  `;
}

/** @param {{rows: Setting[]}} props */
function Rows({ rows }) {
  /** @type {import("../../parts/table.js").Column<Setting>[]} */
  const columns = [
    { id: "key", head: t("settings.key"), cell: (row) => html`<code class="broken">${row.key}</code>` },
    { id: "value", head: t("settings.value"), cell: (row) => html`<span class="setting-value">${shown(row.value)}</span>` },
    {
      id: "origin",
      head: t("settings.origin"),
      cell: (row) => html`
        <${Badge} tone=${row.origin === "default" ? "faint" : "good"}>${maybe(`settings.origin.${row.origin}`, row.origin)}<//>
        ${row.source && html`<span class="faint broken">${row.source}</span>`}
      `,
    },
  ];
  return html`<${Table} stacked label=${t("settings.effective")} columns=${columns} rows=${rows} keyOf=${(/** @type {Setting} */ row) => row.key} />`;
}

/** @param {any} value */
function shown(value) {
  if (value === null) return html`<span class="faint">${t("settings.none")}</span>`;
  if (value === "") return html`<span class="faint">${t("settings.empty")}</span>`;
  if (Array.isArray(value) && !value.length) return html`<span class="faint">${t("settings.none")}</span>`;
  if (Array.isArray(value) && value.every((one) => typeof one === "string")) return html`<code>${value.join(", ")}</code>`;
  return html`<code>${typeof value === "string" ? value : JSON.stringify(value)}</code>`;
}
