// Client keys: who may come in, what each may use and has used. One of them in `#/keys/NAME`.

import { get } from "../api.js";
import { NONE } from "../format.js";
import { html, useState } from "../html.js";
import { Badge } from "../parts/badge.js";
import { Tick } from "../parts/tick.js";
import { Problem } from "../parts/field.js";
import { Moment } from "../parts/figure.js";
import { Panel } from "../parts/panel.js";
import { prose } from "../parts/prose.js";
import { Empty, Loaded } from "../parts/states.js";
import { Table } from "../parts/table.js";
import { useResource } from "../resource.js";
import { go, place, to } from "../router.js";
import { mayChange } from "../state.js";
import { t, tn } from "../text.js";
import { KeyForm } from "./keys/form.js";
import { KeyPage } from "./keys/key.js";
import { LimitMeter } from "./keys/limit.js";
import { Secret, SpendFigure, Week } from "./keys/pieces.js";
import { since, spentOf } from "./keys/spend.js";

/** @import {KeyRecord, Keys, MadeKey, Sums, Usage} from "../api-types.js" */
/** @import {Spent} from "./keys/spend.js" */

const EVERY = 10_000;
const STATES = /** @type {const} */ ({ active: "good", off: "warn", expired: "warn", revoked: "faint" });

export default function KeysScreen() {
  const keys = useResource((signal) => /** @type {Promise<Keys>} */ (get("/keys", {}, { signal })), [], { every: EVERY });
  const usage = useResource(
    (signal) => /** @type {Promise<Usage>} */ (get("/usage", { bucket: "day", by: "key", since: since(Date.now()) }, { signal })),
    [],
    { every: EVERY },
  );
  const [name] = place.value.rest;
  /** @param {string} of */
  const spent = (of) => usage.data && spentOf(usage.data.data.filter((/** @type {Sums} */ row) => row.key === of), Date.now());
  if (name === undefined) return html`<${List} keys=${keys} spent=${spent} unread=${usage.error} />`;
  return html`
    <div class="page">
      <${Loaded} of=${keys}>
        ${(/** @type {Keys} */ found) => {
          const key = found.data.find((one) => one.name === name);
          return key
            ? html`<${KeyPage} key=${name} of=${key} spent=${spent(name)} reload=${keys.reload} />`
            : html`<${Empty} title=${t("key.nobody", { name })}><p><a href=${to("keys")}>${t("key.all")}</a></p><//>`;
        }}
      <//>
    </div>
  `;
}

/** @param {{keys: import("../resource.js").Resource<Keys>, spent: (name: string) => Spent | null, unread: Error | null}} props */
function List({ keys, spent, unread }) {
  const [making, setMaking] = useState(false);
  const [shown, setShown] = useState(/** @type {MadeKey | null} */ (null));
  const { q = "", ended = "" } = place.value.query;
  const words = q.toLowerCase();
  /** @param {Record<string, string>} change */
  const filter = (change) => go(to("keys", [], { q, ended, ...change }), { replace: true });
  return html`
    <div class="page">
      <h1>${t("key.head")}</h1>
      <${Panel}
        title=${t("key.list")}
        note=${t("key.days")}
        actions=${html`
          <${Tick} name="ended" label=${t("key.ended")} value=${ended === "1"} onInput=${(/** @type {boolean} */ on) => filter({ ended: on ? "1" : "" })} />
          <input
            class="search"
            type="search"
            data-search
            value=${q}
            placeholder=${t("key.search.hint")}
            aria-label=${t("key.search.hint")}
            onInput=${(/** @type {InputEvent} */ event) => filter({ q: /** @type {HTMLInputElement} */ (event.target).value })}
          />
          ${mayChange.value && html`<button type="button" class="button primary" onClick=${() => setMaking(true)}>${t("key.make")}</button>`}
        `}
      >
        <${Problem}>${unread && t("key.spend.failed", { why: unread.message })}<//>
        <${Loaded} of=${keys}>
          ${(/** @type {Keys} */ found) => {
            const rows = found.data.filter(
              (one) => (ended === "1" || one.state !== "revoked") && [one.name, one.hint ?? "", ...one.tags].some((text) => text.toLowerCase().includes(words)),
            );
            if (!found.data.length) {
              return html`<${Empty} title=${t("key.none")}><p>${prose(t(mayChange.value ? "key.none.do" : "key.none.viewer"))}</p><//>`;
            }
            if (!rows.length) {
              const hidden = found.data.length;
              return html`
                <${Empty} title=${t("key.nomatch")}>
                  <p>${tn("key.hidden", hidden)} <a href=${to("keys", [], { ended: "1" })}>${t("key.everything")}</a></p>
                <//>
              `;
            }
            return html`<${KeyTable} rows=${rows} spent=${spent} />`;
          }}
        <//>
      <//>
      ${making &&
      html`<${KeyForm}
        onClose=${() => setMaking(false)}
        onDone=${(/** @type {MadeKey} */ key) => {
          setMaking(false);
          setShown(key);
          keys.reload();
        }}
      />`}
      ${shown && html`<${Secret} of=${shown} onClose=${() => setShown(null)} />`}
    </div>
  `;
}

/** @param {{rows: KeyRecord[], spent: (name: string) => Spent | null}} props */
function KeyTable({ rows, spent }) {
  /** @type {import("../parts/table.js").Column<KeyRecord>[]} */
  const columns = [
    {
      id: "name",
      head: t("key.name"),
      cell: (key) => html`
        <a class="key-name" href=${to("keys", [key.name])}>${key.name}</a>
        ${key.origin === "config" && html` <${Badge} tone="faint" title=${t("key.config.why")}>${t("key.config")}<//>`}
        <span class="under">${key.hint && html`<code>${key.hint}</code>`} ${key.tags.join(", ")}</span>
      `,
    },
    {
      id: "state",
      head: t("key.state"),
      cell: (key) => html`
        <${Badge} tone=${STATES[key.state]}>${t(`key.state.${key.state}`)}<//>
        ${key.state === "active" && key.expires_at && html`<span class="under">${t("key.ends")} <${Moment} at=${key.expires_at} far /></span>`}
      `,
    },
    {
      id: "limits",
      head: t("key.limits"),
      cell: (key) =>
        key.state === "revoked"
          ? html`<span class="faint">${NONE}</span>`
          : key.limits.length
            ? html`<div class="limits">${key.limits.map((limit, at) => html`<${LimitMeter} key=${at} of=${limit} short />`)}</div>`
            : html`<span class="faint">${t("key.limits.none")}</span>`,
    },
    { id: "today", head: t("key.today"), numeric: true, cell: (key) => html`<${SpendFigure} of=${spent(key.name)?.today} />` },
    { id: "month", head: t("key.month"), numeric: true, cell: (key) => html`<${SpendFigure} of=${spent(key.name)?.month} />` },
    { id: "week", head: t("key.week"), aside: true, cell: (key) => html`<${Week} of=${spent(key.name)} name=${key.name} />` },
    {
      id: "used",
      head: t("key.used"),
      numeric: true,
      aside: true,
      cell: (key) =>
        key.last_used_at
          ? html`<${Moment} at=${key.last_used_at} far />`
          : html`<span class="faint">${t(key.origin === "config" ? "key.used.unknown" : "key.used.never")}</span>`,
    },
  ];
  return html`<${Table}
    stacked
    label=${t("key.list")}
    columns=${columns}
    rows=${rows}
    keyOf=${(/** @type {KeyRecord} */ key) => key.name}
    onOpen=${(/** @type {KeyRecord} */ key) => go(to("keys", [key.name]))}
  />`;
}

