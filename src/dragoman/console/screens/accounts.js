// The accounts: how each is doing, what is left of it, what it did today; what an admin may do about it. One of the
// address is shown first (`#/accounts/NAME`), `?add=…` opens the way of adding one, `?q=…` filters.

import { get } from "../api.js";
import { midnight } from "../format.js";
import { html } from "../html.js";
import { Badge } from "../parts/badge.js";
import { prose } from "../parts/prose.js";
import { Empty, Loaded } from "../parts/states.js";
import { useResource } from "../resource.js";
import { go, place, to } from "../router.js";
import { mayChange } from "../state.js";
import { t, tn } from "../text.js";
import { Adding } from "./accounts/adding.js";
import { Card } from "./accounts/card.js";
import { stateOf, stateWord } from "./accounts/state.js";

/** @import {AccountRecord, Accounts, Usage} from "../api-types.js" */

const EVERY = 5_000;
const SLOWLY = 20_000;

export default function AccountsScreen() {
  const accounts = useResource((signal) => /** @type {Promise<Accounts>} */ (get("/accounts", {}, { signal })), [], { every: EVERY });
  const today = useResource(
    (signal) => /** @type {Promise<Usage>} */ (get("/usage/totals", { since: midnight(Date.now()), by: "account" }, { signal })),
    [],
    { every: SLOWLY },
  );
  const { rest, query } = place.value;
  const open = (/** @type {Record<string, string>} */ more) => go(to("accounts", [], { q: query.q, ...more }));
  const close = () => {
    go(to("accounts", rest, { q: query.q }));
    accounts.reload();
  };
  return html`
    <div class="page">
      <header class="page-head">
        <h1>${t("accounts.title")}</h1>
        ${accounts.data && html`<${Counts} of=${accounts.data.data} />`}
        ${mayChange.value &&
        html`<button type="button" class="button primary" onClick=${() => open({ add: "choose" })}>${t("accounts.add")}</button>`}
      </header>
      <${Loaded} of=${accounts}>
        ${(/** @type {Accounts} */ data) => html`<${List} rows=${data.data} today=${today.data} reload=${accounts.reload} open=${open} />`}
      <//>
      ${mayChange.value &&
      query.add &&
      accounts.data &&
      html`<${Adding} key=${query.name ?? ""} way=${query.add} name=${query.name} known=${accounts.data.data} onWay=${(/** @type {string} */ way) => open({ add: way, ...(query.name ? { name: query.name } : {}) })} onClose=${close} />`}
    </div>
  `;
}

/** @param {{of: AccountRecord[]}} props */
function Counts({ of }) {
  const rows = of.filter((one) => !one.simulated);
  if (!rows.length) return null;
  const states = rows.map(stateOf);
  const among = (/** @type {string[]} */ ...wanted) => states.filter((one) => wanted.includes(one)).length;
  const ill = among("needs_login", "dead", "unknown");
  const resting = among("cooling", "probing");
  const paused = among("paused");
  return html`
    <span class="badges">
      <${Badge}>${tn("accounts.count", rows.length)}<//>
      ${ill > 0 && html`<${Badge} tone="bad">${tn("accounts.count.ill", ill)}<//>`}
      ${resting > 0 && html`<${Badge} tone="warn">${tn("accounts.count.resting", resting)}<//>`}
      ${paused > 0 && html`<${Badge} tone="faint">${tn("accounts.count.paused", paused)}<//>`}
    </span>
  `;
}

/**
 * @param {{rows: AccountRecord[], today: Usage | null, reload: () => void, open: (more: Record<string, string>) => void}} props
 */
function List({ rows, today, reload, open }) {
  const { rest, query } = place.value;
  if (rows.every((one) => one.simulated)) {
    return html`
      <${Empty} title=${t("accounts.none")}>
        <p>${t("accounts.none.do")}</p>
        ${mayChange.value
          ? html`<button type="button" class="button primary" onClick=${() => open({ add: "choose" })}>${t("accounts.add")}</button>`
          : html`<p>${prose(t("accounts.none.viewer"))}</p>`}
      <//>
    `;
  }
  const words = (query.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const shown = rows.filter((one) => words.every((word) => textOf(one).includes(word)));
  const sums = new Map((today?.data ?? []).map((one) => [one.account ?? "", one]));
  const stored = rows.filter((one) => one.origin === "store").length;
  return html`
    <input
      type="search"
      class="filter"
      data-search
      aria-label=${t("accounts.filter")}
      placeholder=${t("accounts.filter")}
      value=${query.q ?? ""}
      onInput=${(/** @type {InputEvent} */ event) =>
        go(to("accounts", rest, { q: /** @type {HTMLInputElement} */ (event.target).value }), { replace: true })}
    />
    ${shown.length === 0 && html`<${Empty} title=${t("accounts.filter.none")}><p>${t("accounts.filter.none.do")}</p><//>`}
    <div class="cards">
      ${shown.map(
        (one) => html`
          <${Card}
            key=${one.name}
            of=${one}
            sums=${today ? (sums.get(one.name) ?? null) : undefined}
            total=${today?.total ?? null}
            chosen=${rest[0] === one.name}
            last=${stored === 1 && rows.length === 1}
            reload=${reload}
            onLogin=${() => open({ add: "choose", name: one.name })}
          />
        `,
      )}
    </div>
  `;
}

/** @param {AccountRecord} one what the filter looks into */
function textOf(one) {
  const kind = t(`accounts.kind.${/** @type {"chatgpt"} */ (one.kind)}`);
  return [one.name, kind, one.kind, one.plan, one.email, one.group, one.base_url, stateWord(stateOf(one)), one.origin]
    .join(" ")
    .toLowerCase();
}
