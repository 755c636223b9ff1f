// Who changed what, the newest first, a page at a time. The page is in the address: Back leads to the newer one.

import { get } from "../../api.js";
import { utc } from "../../format.js";
import { html } from "../../html.js";
import { Moment } from "../../parts/figure.js";
import { Panel } from "../../parts/panel.js";
import { Empty, Loaded } from "../../parts/states.js";
import { Table } from "../../parts/table.js";
import { useResource } from "../../resource.js";
import { place, to } from "../../router.js";
import { t } from "../../text.js";

/** @import {Change, Changes} from "../../api-types.js" */

const PAGE = 50;

export function Audit() {
  const before = place.value.query.before ?? "";
  const changes = useResource((signal) => /** @type {Promise<Changes>} */ (get("/audit", { limit: PAGE, before }, { signal })), [before]);
  /** @type {import("../../parts/table.js").Column<Change>[]} */
  const columns = [
    { id: "time", head: t("settings.audit.time"), cell: (one) => html`<${Moment} at=${one.time} />` },
    { id: "actor", head: t("settings.audit.actor"), cell: (one) => one.actor },
    { id: "action", head: t("settings.audit.action"), cell: (one) => html`<code>${one.action}</code>` },
    { id: "subject", head: t("settings.audit.subject"), cell: (one) => html`<span class="broken">${one.subject}</span>` },
    { id: "detail", head: t("settings.audit.detail"), cell: (one) => html`<span class="detail">${told(one.detail)}</span>` },
  ];
  return html`
    <${Panel} title=${t("settings.audit")}>
      <${Loaded} of=${changes}>
        ${(/** @type {Changes} */ found) =>
          found.data.length
            ? html`
                <${Table} stacked label=${t("settings.audit")} columns=${columns} rows=${found.data} keyOf=${(/** @type {Change} */ one) => String(one.id)} />
                <p class="pages">
                  ${before && html`<a class="button" href=${to("settings", ["audit"])}>${t("settings.audit.newest")}</a>`}
                  ${found.next !== null && html`<a class="button" href=${to("settings", ["audit"], { before: found.next })}>${t("settings.audit.older")}</a>`}
                </p>
              `
            : html`<${Empty} title=${t("settings.audit.none")}>${before && html`<p><a href=${to("settings", ["audit"])}>${t("settings.audit.newest")}</a></p>`}<//>`}
      <//>
    <//>
  `;
}

/**
 * What was set, without what was left as it is everywhere.
 * @param {Record<string, any>} detail
 */
function told(detail) {
  return Object.entries(detail)
    .filter(([, value]) => value !== null && !(Array.isArray(value) && !value.length))
    .map(([name, value]) => `${name} ${spelled(name, value)}`)
    .join("; ");
}

/**
 * @param {string} name
 * @param {any} value
 * @returns {string}
 */
function spelled(name, value) {
  if (typeof value === "number" && name.endsWith("_at")) return utc(new Date(value * 1000).toISOString());
  if (Array.isArray(value)) return value.map((one) => spelled("", one)).join(", ");
  if (value !== null && typeof value === "object") {
    return Object.entries(value)
      .map(([key, inner]) => `${key} ${spelled(key, inner)}`)
      .join(" ");
  }
  return String(value);
}
