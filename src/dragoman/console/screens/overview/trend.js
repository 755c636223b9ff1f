// Requests, tokens, cost and the cached share over time, and who they were of.

import { get } from "../../api.js";
import { count, money, NONE, ratio, share, tokens } from "../../format.js";
import { html, useMemo, useState } from "../../html.js";
import { Panel } from "../../parts/panel.js";
import { Plot } from "../../parts/plot.js";
import { Loaded } from "../../parts/states.js";
import { Table } from "../../parts/table.js";
import { useResource } from "../../resource.js";
import { go, place, to } from "../../router.js";
import { t, tn } from "../../text.js";
import { beginning, drawn, MEASURES, named, RANGES, steps, ticked } from "./steps.js";

/** @import {Sums, Usage} from "../../api-types.js" */
/** @import {Measure, Range, Step} from "./steps.js" */

const EVERY = 60_000;
const MOST = 8;

/** What the address asks for: a range and a measure, else the first of each. */
function asked() {
  const { range, show } = place.value.query;
  return {
    range: /** @type {Range} */ (range && range in RANGES ? range : "24h"),
    measure: MEASURES.find((one) => one === show) ?? MEASURES[0] ?? "requests",
  };
}

export function Trend() {
  const { range, measure } = asked();
  const usage = useResource(
    async (signal) => {
      const start = beginning(range, Date.now());
      const since = new Date(start).toISOString();
      const found = /** @type {Usage} */ (await get("/usage", { bucket: RANGES[range].bucket, since }, { signal }));
      return { range, start, found };
    },
    [range],
    { every: EVERY },
  );
  return html`
    <${Panel}
      title=${t("overview.trend")}
      note=${range === "30d" ? t("overview.trend.days") : undefined}
      actions=${html`
        <${Switch}
          label=${t("overview.trend.measure")}
          chosen=${measure}
          of=${MEASURES.map((one) => ({ value: one, text: t(`overview.measure.${one}`) }))}
          onChoose=${(/** @type {string} */ show) => pick({ show })}
        />
        <${Switch}
          label=${t("overview.trend.range")}
          chosen=${range}
          of=${Object.keys(RANGES).map((one) => ({ value: one, text: t(`overview.range.${/** @type {Range} */ (one)}`) }))}
          onChoose=${(/** @type {string} */ wanted) => pick({ range: wanted })}
        />
      `}
    >
      <${Loaded} of=${usage}>
        ${(/** @type {{range: Range, start: number, found: Usage}} */ data) => html`<${Drawn} ...${data} measure=${measure} />`}
      <//>
    <//>
  `;
}

/** @param {Record<string, string>} change */
function pick(change) {
  go(to("overview", [], { ...place.peek().query, ...change }), { replace: true });
}

/** @param {{label: string, chosen: string, of: {value: string, text: string}[], onChoose: (value: string) => void}} props */
function Switch({ label, chosen, of, onChoose }) {
  return html`
    <div class="switch" role="group" aria-label=${label}>
      ${of.map(
        (one) => html`
          <button key=${one.value} type="button" aria-pressed=${one.value === chosen ? "true" : "false"} onClick=${() => onChoose(one.value)}>
            ${one.text}
          </button>
        `,
      )}
    </div>
  `;
}

/** @param {{range: Range, start: number, found: Usage, measure: Measure}} props */
function Drawn({ range, start, found, measure }) {
  const [pointed, setPointed] = useState(/** @type {number | null} */ (null));
  const all = useMemo(() => steps(range, start, found.data), [range, start, found]);
  const picture = useMemo(
    () => ({
      ...drawn(measure, all, t),
      times: all.map((step) => step.at / 1000),
      until: (start + RANGES[range].steps * RANGES[range].width) / 1000,
      tick: (/** @type {number} */ seconds) => ticked(range, seconds),
      zone: RANGES[range].bucket === "day" ? "UTC" : undefined,
    }),
    [all, measure, range, start],
  );
  const label = `${t(`overview.measure.${measure}`)}, ${t(`overview.range.${range}`)}: ${tn("overview.trend.all", found.total.requests)}`;
  const now = Date.now();
  const step = pointed === null ? undefined : all[pointed];
  return html`
    <p class="plot-what">
      <b>${step ? named(range, step.at, now) : t("overview.trend.sum")}</b>
      ${readings(measure, step ? step.sums : found.total).map(
        ([name, text, paint]) => html`<span key=${name}>${paint && html`<i class=${`paint-${paint}`}></i>`}${name} <b>${text}</b></span>`,
      )}
    </p>
    <${Plot} picture=${picture} label=${label} onLook=${setPointed} />
    <details class="plot-table">
      <summary>${t("overview.trend.table")}</summary>
      <${Figured} steps=${all} range=${range} now=${now} />
    </details>
  `;
}

/**
 * What a step, or all of them, say of a measure: names, texts and colours.
 * @param {Measure} measure
 * @param {Sums | null} sums
 * @returns {[string, string, string?][]}
 */
function readings(measure, sums) {
  if (!sums || !sums.requests) return [[t("overview.trend.none"), ""]];
  const guessed = sums.estimated > 0;
  switch (measure) {
    case "requests":
      return [
        [t("overview.answered"), count(sums.requests - sums.errors), "one"],
        [t("overview.failed"), count(sums.errors), "bad"],
      ];
    case "tokens":
      return [
        [t("overview.tokens.cached"), tokens(sums.cached_tokens, guessed), "four"],
        [t("overview.tokens.fresh"), tokens(sums.input_tokens - sums.cached_tokens, guessed), "two"],
        [t("overview.tokens.output"), tokens(sums.output_tokens, guessed), "three"],
      ];
    case "cost":
      return [
        [t("overview.cost"), money(sums.cost_usd, guessed), "one"],
        [t("overview.cost.anthropic"), money(sums.anthropic_cost_usd, guessed)],
      ];
    case "cached":
      return [[t("overview.cached.share"), share(ratio(sums.cached_tokens, sums.input_tokens)), "four"]];
  }
}

/** @param {{steps: Step[], range: Range, now: number}} props newest first, without those of nothing */
function Figured({ steps: all, range, now }) {
  const rows = all.flatMap((step) => (step.sums ? [{ at: step.at, sums: step.sums }] : [])).reverse();
  if (!rows.length) return html`<p class="faint">${t("overview.trend.none")}</p>`;
  return html`
    <${Table}
      label=${t("overview.trend")}
      rows=${rows}
      keyOf=${(/** @type {{at: number}} */ row) => String(row.at)}
      columns=${[
        { id: "at", head: t("overview.time"), cell: (/** @type {{at: number}} */ row) => named(range, row.at, now) },
        ...FIGURES.map((one) => ({ ...one, head: t(one.head), cell: (/** @type {{sums: Sums}} */ row) => one.cell(row.sums) })),
      ]}
    />
  `;
}

/** @type {{id: string, head: import("../../text.js").TextName, numeric: true, aside?: boolean, cell: (sums: Sums) => any}[]} */
const FIGURES = [
  { id: "requests", head: "overview.requests", numeric: true, cell: (sums) => count(sums.requests) },
  { id: "failed", head: "overview.failed", numeric: true, cell: (sums) => count(sums.errors) },
  { id: "input", head: "overview.input", numeric: true, aside: true, cell: (sums) => tokens(sums.input_tokens, sums.estimated > 0) },
  { id: "cached", head: "overview.cached.short", numeric: true, cell: (sums) => (sums.counted ? share(ratio(sums.cached_tokens, sums.input_tokens)) : NONE) },
  { id: "output", head: "overview.output", numeric: true, aside: true, cell: (sums) => tokens(sums.output_tokens, sums.estimated > 0) },
  { id: "cost", head: "overview.cost", numeric: true, cell: (sums) => spent(sums) },
];

/** @param {Sums} sums */
function spent(sums) {
  if (!sums.counted) return NONE; // nothing of it was answered
  const text = money(sums.cost_usd, sums.estimated > 0);
  return sums.unpriced > 0 ? html`<span title=${tn("overview.unpriced", sums.unpriced)}>${text} +</span>` : text;
}

export function Spend() {
  const { range } = asked();
  const since = () => new Date(beginning(range, Date.now())).toISOString();
  /** @param {"key" | "upstream_model"} by */
  const by = (by) =>
    useResource(
      (signal) => /** @type {Promise<Usage>} */ (get("/usage/totals", { by, since: since() }, { signal })),
      [range],
      { every: EVERY },
    );
  const keys = by("key");
  const models = by("upstream_model");
  return html`
    <div class="halves">
      <${Panel} title=${t("overview.keys")} note=${t(`overview.range.${range}`)}>
        <${Loaded} of=${keys}>${(/** @type {Usage} */ data) => html`<${Spenders} of=${data.data} by="key" />`}<//>
      <//>
      <${Panel} title=${t("overview.models")} note=${t(`overview.range.${range}`)}>
        <${Loaded} of=${models}>${(/** @type {Usage} */ data) => html`<${Spenders} of=${data.data} by="upstream_model" />`}<//>
      <//>
    </div>
  `;
}

/** @param {{of: Sums[], by: "key" | "upstream_model"}} props the dearest first, then those of most tokens */
function Spenders({ of, by }) {
  if (!of.length) return html`<p class="faint">${t("overview.trend.none")}</p>`;
  const sorted = [...of].sort((a, b) => (b.cost_usd ?? 0) - (a.cost_usd ?? 0) || b.input_tokens - a.input_tokens);
  const shown = sorted.slice(0, MOST);
  const head = t(by === "key" ? "overview.key" : "overview.model");
  return html`
    <${Table}
      label=${head}
      rows=${shown}
      keyOf=${(/** @type {Sums} */ sums) => sums[by] ?? ""}
      columns=${[
        { id: "name", head, cell: (/** @type {Sums} */ sums) => html`<a href=${to("log", [], { [by]: sums[by] })}>${sums[by] || t("overview.nobody")}</a>` },
        ...FIGURES.filter((one) => ["requests", "cached", "cost"].includes(one.id)).map((one) => ({ ...one, head: t(one.head) })),
      ]}
    />
    ${sorted.length > MOST && html`<p class="faint">${tn("overview.more", sorted.length - MOST)}</p>`}
  `;
}
