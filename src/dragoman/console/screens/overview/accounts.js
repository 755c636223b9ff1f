// The accounts at a glance: whether each works, what is left of its windows and when they are full again.

import { count, money, share, utc } from "../../format.js";
import { html } from "../../html.js";
import { Badge } from "../../parts/badge.js";
import { Meter } from "../../parts/bar.js";
import { Panel } from "../../parts/panel.js";
import { prose } from "../../parts/prose.js";
import { Empty, Loaded } from "../../parts/states.js";
import { to } from "../../router.js";
import { maybe, t, tn } from "../../text.js";
import { reason, resets } from "./troubles.js";

/** @import {AccountRecord, Accounts, Window} from "../../api-types.js" */
/** @import {Tone} from "../../parts/badge.js" */

// Windows of a minute come and go; they are told only where they are nearly empty.
const LONG = 3600;
const LOW = 0.25;

/** @param {{of: import("../../resource.js").Resource<Accounts>, simulated: boolean}} props */
export function Glance({ of, simulated }) {
  return html`
    <${Panel} title=${t("overview.accounts")} actions=${html`<a class="button" href=${to("accounts")}>${t("overview.accounts.all")}</a>`}>
      <${Loaded} of=${of}>
        ${(/** @type {Accounts} */ data) =>
          data.data.length
            ? html`<ul class="glance">${data.data.map((one) => html`<${Card} key=${one.name} of=${one} />`)}</ul>`
            : html`<${Empty} title=${t(simulated ? "overview.accounts.simulated" : "overview.accounts.none")}><p>${prose(t("overview.accounts.do"))}</p><//>`}
      <//>
    <//>
  `;
}

/** @param {{of: AccountRecord}} props */
function Card({ of }) {
  const state = of.status === "active" ? (of.live?.state ?? "unused") : of.status;
  const now = Date.now();
  const windows = (of.live?.windows ?? []).filter((one) => one.seconds >= LONG || one.remaining < LOW);
  const uses = of.usage;
  return html`
    <li class="glance-card">
      <p class="glance-name">
        <a href=${to("accounts", [of.name])}><strong>${of.name}</strong></a>
        <span class="faint">${[kind(of), of.plan].filter(Boolean).join(", ")}</span>
        <${Badge} tone=${TONES[state] ?? "calm"} title=${of.live?.why ? reason(of.live.why) : undefined}>${maybe(`overview.state.${state}`, state)}<//>
      </p>
      ${windows.map((one) => html`<${Left} key=${`${one.meter} ${one.window}`} of=${one} now=${now} />`)}
      ${windows.length === 0 && html`<p class="faint">${t("overview.windows.none")}</p>`}
      <p class="glance-use faint">
        ${uses
          ? html`${tn("overview.accounts.use", uses.requests, { n: count(uses.requests), cost: money(uses.cost_usd, uses.estimated > 0) })}`
          : t("overview.accounts.unused")}
        ${of.live && of.live.in_flight > 0 && ` ${tn("overview.accounts.inflight", of.live.in_flight)}`}
      </p>
    </li>
  `;
}

/** @param {AccountRecord} of */
function kind(of) {
  return maybe(`overview.kind.${of.kind}`, of.kind);
}

/** @param {{of: Window, now: number}} props */
function Left({ of, now }) {
  const doubtful = of.confidence !== "fresh";
  return html`
    <div class="glance-window">
      <span>${of.meter === "main" ? of.window : `${of.meter}, ${of.window}`}</span>
      <${Meter} used=${of.used} label=${t("overview.windows.used", { window: of.window })} />
      <span title=${of.resets_at ? utc(of.resets_at) : undefined}>
        ${doubtful ? "≈ " : ""}${t("overview.windows.left", { left: share(of.remaining) })}, ${resets(of, now)}
      </span>
    </div>
  `;
}

/** @type {Record<string, Tone>} */
const TONES = { ok: "good", probing: "warn", cooling: "warn", paused: "faint", needs_login: "bad", dead: "bad", unused: "faint" };
