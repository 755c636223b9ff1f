// What is going on: what is not well and what to do, the day so far, the time before, accounts, who spends, and
// requests as they end. A gateway that has served nothing shows how a client is pointed at it.

import { get } from "../api.js";
import { count, midnight, money, ratio, share, span, tokens } from "../format.js";
import { html, useCallback, useEffect, useRef } from "../html.js";
import { Badge } from "../parts/badge.js";
import { CopyText } from "../parts/copy.js";
import { Figure, Figures } from "../parts/figure.js";
import { Panel } from "../parts/panel.js";
import { prose } from "../parts/prose.js";
import { Empty, Loaded } from "../parts/states.js";
import { useResource } from "../resource.js";
import { to } from "../router.js";
import { mayChange } from "../state.js";
import { t, tn } from "../text.js";
import { Glance } from "./overview/accounts.js";
import { Feed } from "./overview/feed.js";
import { Spend, Trend } from "./overview/trend.js";
import { troubles } from "./overview/troubles.js";

/** @import {Accounts, Overview, Sums, Usage} from "../api-types.js" */

const EVERY = 5_000;
const SELDOM = 20_000;
// A row is in the sums a moment after it was told.
const SOON = 1_500;

export default function OverviewScreen() {
  const now = useResource((signal) => /** @type {Promise<Overview>} */ (get("/overview", {}, { signal })), [], { every: EVERY });
  const today = useResource(
    async (signal) => {
      const day = /** @type {Usage} */ (await get("/usage/totals", { since: midnight(Date.now()) }, { signal }));
      // Only a day without requests raises the question whether there ever was one.
      const ever = day.total.requests ? day : /** @type {Usage} */ (await get("/usage/totals", {}, { signal }));
      return { day: day.total, ever: ever.total.requests };
    },
    [],
    { every: SELDOM },
  );
  const accounts = useResource((signal) => /** @type {Promise<Accounts>} */ (get("/accounts", { hours: 24 }, { signal })), [], {
    every: SELDOM,
  });
  const soon = useSoon(today.reload);
  const unused = today.data !== null && today.data.ever === 0;
  const simulated = now.data?.upstream === "simulated";
  return html`
    <div class="page">
      <h1>${t("overview.title")}</h1>
      <${Loaded} of=${now}>
        ${(/** @type {Overview} */ data) => html`<${Now} of=${data} accounts=${accounts.data?.data ?? []} />`}
      <//>
      ${unused && html`<${First} simulated=${simulated} />`}
      <${Panel} title=${t("overview.today")} note=${t("overview.partial")}>
        <${Loaded} of=${today}>${(/** @type {{day: Sums}} */ data) => html`<${Today} of=${data.day} />`}<//>
      <//>
      ${today.data !== null && !unused && html`<${Trend} />`}
      <${Feed} onRow=${soon} />
      <${Glance} of=${accounts} simulated=${simulated} />
      ${today.data !== null && !unused && html`<${Spend} />`}
      ${now.data && html`<${Process} of=${now.data} />`}
    </div>
  `;
}

/**
 * Calls once for many calls, a moment after the first of them.
 * @param {() => void} act
 */
function useSoon(act) {
  const timer = useRef(0);
  const latest = useRef(act);
  latest.current = act;
  useEffect(() => () => clearTimeout(timer.current), []);
  return useCallback(() => {
    timer.current ||= setTimeout(() => {
      timer.current = 0;
      latest.current();
    }, SOON);
  }, []);
}

/** @param {{of: Overview, accounts: import("../api-types.js").AccountRecord[]}} props */
function Now({ of, accounts }) {
  const found = troubles(of, accounts, Date.now());
  const bad = found.filter((one) => one.tone === "bad").length;
  const state =
    of.status === "draining"
      ? html`<${Badge} tone="warn">${t("overview.draining")}<//>`
      : found.length
        ? html`<${Badge} tone=${bad ? "bad" : "warn"}>${tn("overview.ill", found.length)}<//>`
        : html`<${Badge} tone="good">${t("overview.well")}<//>`;
  return html`
    <${Panel}
      title=${t("overview.now")}
      actions=${html`${of.upstream === "simulated" && html`<${Badge} tone="warn" title=${t("app.simulated.why")}>${t("app.simulated")}<//>`}
      ${state}`}
    >
      <${Figures}>
        <${Figure} name=${t("overview.inflight")} value=${count(of.in_flight)} />
        <${Figure} name=${t("overview.waiting")} value=${count(of.waiting)} tone=${of.waiting ? "warn" : undefined} />
        <${Figure} name=${t("overview.uptime")} value=${span(of.uptime_seconds)} />
        <${Figure} name=${t("overview.watchers")} value=${count(of.live_watchers)} />
      <//>
      ${found.length > 0 &&
      html`
        <ul class="ills">
          ${found.map(
            (one) => html`
              <li key=${one.id} class=${one.tone}>
                <strong>${one.what}</strong> ${one.why}
                <p>${one.act}${one.screen && html` <a href=${to(one.screen)}>${t("trouble.go")}</a>`}</p>
              </li>
            `,
          )}
        </ul>
      `}
    <//>
  `;
}

/** How the first request is made: for a gateway that has served none. @param {{simulated: boolean}} props */
function First({ simulated }) {
  const { origin } = location;
  return html`
    <${Panel} title=${t("overview.first")}>
      <ol class="first">
        <li>
          ${prose(t(mayChange.value ? "overview.first.key" : "overview.first.key.viewer"))}${" "}
          ${mayChange.value && html`<a href=${to("keys")}>${t("overview.first.key.go")}</a>`}
        </li>
        <li>
          ${t("overview.first.line")}
          <${CopyText} text=${`ANTHROPIC_BASE_URL=${origin} ANTHROPIC_AUTH_TOKEN=sk-drg-… claude`} label=${t("overview.first.claude")} />
          <p class="faint">${t("overview.first.other", { address: origin })}</p>
        </li>
        <li>${t(simulated ? "overview.first.simulated" : "overview.first.see")}${" "}
          ${simulated && mayChange.value && html`<a href=${to("accounts")}>${t("overview.first.account")}</a>`}
        </li>
      </ol>
    <//>
  `;
}

/** @param {{of: Sums}} props */
function Today({ of }) {
  if (!of.requests) return html`<${Empty} title=${t("overview.none")}><p>${t("overview.none.do")}</p><//>`;
  const guessed = of.estimated > 0;
  const notes = [
    of.unpriced > 0 && tn("overview.unpriced", of.unpriced),
    guessed && tn("overview.estimated", of.estimated),
  ].filter(Boolean);
  return html`
    <${Figures}>
      <${Figure} name=${t("overview.requests")} value=${count(of.requests)} />
      <${Figure}
        name=${t("overview.failed")}
        value=${count(of.errors)}
        title=${share(ratio(of.errors, of.requests))}
        tone=${of.errors ? "bad" : undefined}
      />
      <${Figure} name=${t("overview.input")} value=${tokens(of.input_tokens, guessed)} title=${count(of.input_tokens)} />
      <${Figure} name=${t("overview.cached")} value=${share(ratio(of.cached_tokens, of.input_tokens))} title=${count(of.cached_tokens)} />
      <${Figure} name=${t("overview.output")} value=${tokens(of.output_tokens, guessed)} title=${count(of.output_tokens)} />
      <${Figure} name=${t("overview.cost")} value=${money(of.cost_usd, guessed)} note=${notes.join("; ")} />
      <${Figure} name=${t("overview.cost.anthropic")} value=${money(of.anthropic_cost_usd, guessed)} />
    <//>
  `;
}

/** @param {{of: Overview}} props */
function Process({ of }) {
  const { ledger } = of;
  return html`
    <${Panel} title=${t("overview.process")}>
      <${Figures}>
        <${Figure} name=${t("overview.version")} value=${of.version} />
        <${Figure} name=${t("overview.database")} value=${of.database} />
        <${Figure} name=${t("overview.ledger.written")} value=${count(ledger.written_rows)} />
        <${Figure} name=${t("overview.ledger.waiting")} value=${count(ledger.waiting_rows)} />
        <${Figure} name=${t("overview.ledger.refused")} value=${count(ledger.refused_rows)} tone=${ledger.refused_rows ? "bad" : undefined} />
      <//>
    <//>
  `;
}
