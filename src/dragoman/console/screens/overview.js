// What is going on: the process now, the day so far, and what is not well.

import { get } from "../api.js";
import { count, midnight, money, ratio, share, span, tokens } from "../format.js";
import { html } from "../html.js";
import { Badge } from "../parts/badge.js";
import { Figure, Figures } from "../parts/figure.js";
import { Panel } from "../parts/panel.js";
import { Empty, Loaded } from "../parts/states.js";
import { useResource } from "../resource.js";
import { maybe, t, tn } from "../text.js";

/** @import {Overview, Sums, Usage} from "../api-types.js" */

const EVERY = 5_000;

export default function OverviewScreen() {
  const now = useResource((signal) => /** @type {Promise<Overview>} */ (get("/overview", {}, { signal })), [], { every: EVERY });
  const today = useResource(
    (signal) => /** @type {Promise<Usage>} */ (get("/usage/totals", { since: midnight(Date.now()) }, { signal })),
    [],
    { every: EVERY },
  );
  return html`
    <div class="page">
      <h1>${t("overview.title")}</h1>
      <${Loaded} of=${now}>${(/** @type {Overview} */ data) => html`<${Now} of=${data} />`}<//>
      <${Panel} title=${t("overview.today")} note=${t("overview.partial")}>
        <${Loaded} of=${today}>${(/** @type {Usage} */ data) => html`<${Today} of=${data.total} />`}<//>
      <//>
      ${now.data && html`<${Process} of=${now.data} />`}
    </div>
  `;
}

/** @param {{of: Overview}} props */
function Now({ of }) {
  const ill = Object.entries(of.ill);
  const state =
    of.status === "draining"
      ? html`<${Badge} tone="warn">${t("overview.draining")}<//>`
      : ill.length
        ? html`<${Badge} tone="bad">${tn("overview.ill", ill.length)}<//>`
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
      <//>
      ${ill.length > 0 &&
      html`
        <ul class="ills">
          ${ill.map(
            ([part, why]) => html`
              <li key=${part}>
                <strong>${maybe(`ill.${part}`, t("ill.other", { part }))}</strong> ${why}
                <p>${maybe(`ill.${part}.do`, t("ill.other.do"))}</p>
              </li>
            `,
          )}
        </ul>
      `}
    <//>
  `;
}

/** @param {{of: Sums}} props */
function Today({ of }) {
  if (!of.requests) {
    return html`<${Empty} title=${t("overview.none")}><p>${t("overview.none.do", { address: location.origin })}</p><//>`;
  }
  const notes = [
    of.unpriced > 0 && tn("overview.unpriced", of.unpriced),
    of.estimated > 0 && tn("overview.estimated", of.estimated),
  ].filter(Boolean);
  return html`
    <${Figures}>
      <${Figure} name=${t("overview.requests")} value=${count(of.requests)} />
      <${Figure} name=${t("overview.failed")} value=${count(of.errors)} tone=${of.errors ? "bad" : undefined} />
      <${Figure} name=${t("overview.input")} value=${tokens(of.input_tokens, of.estimated > 0)} title=${count(of.input_tokens)} />
      <${Figure} name=${t("overview.cached")} value=${share(ratio(of.cached_tokens, of.input_tokens))} title=${count(of.cached_tokens)} />
      <${Figure} name=${t("overview.output")} value=${tokens(of.output_tokens, of.estimated > 0)} title=${count(of.output_tokens)} />
      <${Figure} name=${t("overview.cost")} value=${money(of.cost_usd, of.estimated > 0)} note=${notes.join("; ")} />
      <${Figure} name=${t("overview.cost.anthropic")} value=${money(of.anthropic_cost_usd, of.estimated > 0)} />
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
        <${Figure} name=${t("overview.watchers")} value=${count(of.live_watchers)} />
      <//>
    <//>
  `;
}
