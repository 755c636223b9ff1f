// One turn: why it was slow and what made it dear, in sentences first, then in figures. What follows from the row
// is computed by the API; here it is only said.

import { ApiError, get, segment } from "../api.js";
import { clock, count, millis, money, NONE, ratio, share, tokens, UNKNOWN, utc } from "../format.js";
import { html } from "../html.js";
import { Badge } from "../parts/badge.js";
import { Bar } from "../parts/bar.js";
import { CopyButton } from "../parts/copy.js";
import { Estimate, Figure, Figures } from "../parts/figure.js";
import { Panel } from "../parts/panel.js";
import { Empty, Loaded } from "../parts/states.js";
import { Table } from "../parts/table.js";
import { OutcomeBadge, VerdictBadge } from "../parts/verdict.js";
import { useResource } from "../resource.js";
import { place, to } from "../router.js";
import { maybe, t, tn } from "../text.js";

/** @import {CacheStory, CostSplit, Explained, Span, TurnExplained} from "../api-types.js" */
/** @import {Children} from "../html.js" */
/** @import {Paint} from "../parts/bar.js" */
/** @import {TextName} from "../text.js" */

/** @type {Record<Span["name"], Paint>} */
const TIMES = {
  gateway: "rest",
  queue: "warn",
  attempts: "bad",
  connect: "one",
  first_byte: "five",
  first_token: "three",
  rest: "four",
  unanswered: "bad",
};
const TRIES = 3;
const PAUSE = 500;
// What is worth a word besides the longest part: it is no work of the model.
const AVOIDABLE = ["queue", "attempts"];
const NOTABLE = 0.1;
/** @type {Record<string, Paint>} */
const PARTS = { fresh: "two", cached: "one", written: "five", output: "four", reasoning: "three" };

/** @param {{id: string}} props */
export function Turn({ id }) {
  const found = useResource((signal) => explained(id, signal), [id]);
  const query = place.value.query;
  const back = html`<a class="button small" href=${to("log", [], query)} data-escape title=${t("turn.back.key")}>← ${t("turn.back")}</a>`;
  if (found.error instanceof ApiError && found.error.status === 404) {
    return html`
      <div class="page log">
        <nav class="turn-nav">${back}</nav>
        <${Empty} title=${t("turn.gone")}><p>${t("turn.gone.do")}</p><//>
      </div>
    `;
  }
  const turns = found.data?.data ?? [];
  const [newest] = turns;
  /** @param {string | undefined} other */
  const beside = (other) => other && to("log", [other], query);
  return html`
    <div class="page log">
      <nav class="turn-nav" aria-label=${t("turn.session")}>
        ${back}
        <span class="turn-ways">
          ${newest?.before && html`<a class="button small" href=${beside(newest.before.request_id)} data-key="[" title=${t("turn.before.key")}>‹ ${t("turn.before")}</a>`}
          ${newest?.after && html`<a class="button small" href=${beside(newest.after.request_id)} data-key="]" title=${t("turn.after.key")}>${t("turn.after")} ›</a>`}
          ${newest?.row.session_hash &&
          html`<a class="button small primary" href=${to("log", [id, "session"], query)} data-key="c" title=${t("turn.session.key")}>${t("turn.session")}</a>`}
        </span>
      </nav>
      <${Loaded} of=${found}>
        ${() => html`
          ${turns.length > 1 && html`<p class="faint">${t("turn.several", { n: turns.length })}</p>`}
          ${turns.map((turn) => html`<${One} key=${turn.row.time} of=${turn} />`)}
        `}
      <//>
    </div>
  `;
}

/**
 * A request that has just ended is on its way into the log: then it is asked for again.
 * @param {string} id
 * @param {AbortSignal} signal
 * @returns {Promise<Explained>}
 */
async function explained(id, signal) {
  for (let turn = 0; ; turn += 1) {
    try {
      return await get(`/log/${segment(id)}/explained`, {}, { signal });
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404 || turn === TRIES) throw error;
    }
    await new Promise((done) => setTimeout(done, PAUSE));
  }
}

/** @param {{of: TurnExplained}} props */
function One({ of }) {
  const { row } = of;
  const failed = row.attempts.length;
  const effort = row.effort ? `@${row.effort}` : "";
  return html`
    <article class="turn">
      <header class="turn-head">
        <h1>
          ${row.requested_model || UNKNOWN} ${row.upstream_model && html`<span class="faint">→ ${row.upstream_model}${effort}</span>`}
        </h1>
        <p class="turn-facts">
          <time dateTime=${row.time} title=${utc(row.time)}>${clock(row.time, Date.now())}</time>
          <${OutcomeBadge} row=${row} />
          ${row.cache_verdict && html`<${VerdictBadge} verdict=${row.cache_verdict} />`}
          ${failed > 0 && html`<${Badge} tone="warn">${tn("log.failover", failed)}<//>`}
          ${row.key && html`<span>${row.key}</span>`}
        </p>
      </header>
      <${Short} of=${of} />
      <div class="turn-panels">
        <div>
          <${Times} of=${of} />
          <${Cost} of=${of} />
          <div class="last"><${Ids} of=${of} /></div>
        </div>
        <div>
          <${Cache} of=${of} />
          <${Attempts} of=${of} />
          <${Facts} of=${of} />
        </div>
      </div>
    </article>
  `;
}

/**
 * The answer to "why was it slow and expensive", in three sentences.
 * @param {{of: TurnExplained}} props
 */
function Short({ of }) {
  return html`
    <${Panel} title=${t("turn.short")}>
      <dl class="short">
        <div><dt>${t("turn.time")}</dt><dd>${slow(of)}</dd></div>
        <div><dt>${t("turn.cost")}</dt><dd>${dear(of)}</dd></div>
        ${of.cache && html`<div><dt>${t("turn.cache")}</dt><dd>${cause(of)}</dd></div>`}
      </dl>
    <//>
  `;
}

/** @param {TurnExplained} of */
function slow(of) {
  const { row } = of;
  const part = of.spans.find((one) => one.name === of.longest);
  if (!part) return t("turn.slow.none");
  const also = of.spans
    .filter((one) => one !== part && AVOIDABLE.includes(one.name) && one.ms >= NOTABLE * (row.duration_ms ?? 0))
    .map((one) => maybe(`turn.also.${one.name}`, "", { ms: millis(one.ms) }));
  return [slowest(of, part), ...also].join(" ");
}

/**
 * @param {TurnExplained} of
 * @param {Span} part
 */
function slowest({ row }, part) {
  const values = { ms: millis(part.ms), total: millis(row.duration_ms) };
  if (part.name === "first_token" && row.reasoning_tokens) {
    return t("turn.slow.first_token.thought", { ...values, n: count(row.reasoning_tokens) });
  }
  if (part.name === "rest" && row.output_tokens && part.ms >= 1) {
    const speed = (row.output_tokens / part.ms) * 1000;
    return t("turn.slow.rest.speed", { ...values, n: count(row.output_tokens), speed: count(Math.round(speed)) });
  }
  return t(`turn.slow.${part.name}`, values);
}

/** @param {TurnExplained} of */
function dear(of) {
  const { row, cost } = of;
  if (row.usage_source === "none") return t("turn.dear.none");
  if (row.cost_usd === null) return t("turn.dear.unknown", { model: row.upstream_model || row.requested_model });
  const about = row.usage_source === "estimated";
  const total = money(row.cost_usd, about);
  if (!cost?.as_charged) return t("turn.dear.charged", { total });
  const most = cost.parts.reduce((one, other) => (other.usd > one.usd ? other : one));
  const miss = cost.miss_usd ? t("turn.dear.miss", { usd: money(cost.miss_usd) }) : "";
  const part = maybe(`part.${most.name}`, most.name);
  const split = most.usd > 0 ? t("turn.dear", { total, part, usd: money(most.usd, about), n: count(most.tokens) }) : t("turn.dear.charged", { total });
  return [split, miss].filter(Boolean).join(" ");
}

/** @param {TurnExplained} of */
function cause(of) {
  const { row, cache } = of;
  if (!cache) return "";
  const words = because(cache);
  if (row.usage_source !== "measured") return `${t("turn.read.none")} ${words}`;
  const values = { read: count(row.cached_tokens), input: count(row.input_tokens) };
  const expected = cache.expected_tokens;
  const read =
    expected === null
      ? t("turn.read", values)
      : t(cache.first_difference ? "turn.read.common" : "turn.read.expected", { ...values, expected: (cache.expected_estimated ? "≈ " : "") + count(expected) });
  return `${read} ${words}`;
}

/** @param {CacheStory} cache */
function because(cache) {
  const words = cache.words || cache.verdict;
  return cache.inferred ? t("turn.cause.inferred", { words }) : `${words.charAt(0).toUpperCase()}${words.slice(1)}.`;
}

/** @param {{of: TurnExplained}} props */
function Times({ of }) {
  if (!of.spans.length) return null;
  let end = 0;
  const pieces = of.spans.map((span) => {
    end += span.ms;
    const name = maybe(`span.${span.name}`, span.name);
    const ms = millis(span.ms);
    return { name, value: span.ms, text: ms, paint: TIMES[span.name], title: t("span.since", { name, ms, end: millis(end) }) };
  });
  return html`
    <${Panel} title=${t("turn.time")} note=${`${millis(of.row.duration_ms)} ${t("turn.total")}`}>
      <div class="tall"><${Bar} pieces=${pieces} label=${t("turn.time")} /></div>
    <//>
  `;
}

/** @param {{of: TurnExplained}} props */
function Cost({ of }) {
  const { row, cost } = of;
  if (row.usage_source === "none") {
    return html`<${Panel} title=${t("turn.cost")}><p>${t("turn.dear.none")}</p><//>`;
  }
  const about = row.usage_source === "estimated";
  const note = row.service_tier && !["default", "auto"].includes(row.service_tier) ? t("turn.tier", { tier: row.service_tier }) : undefined;
  const times = ratio(row.anthropic_cost_usd, row.cost_usd);
  const saved = cost?.cache_saved_usd ?? null;
  return html`
    <${Panel} title=${t("turn.cost")} note=${note}>
      ${about && html`<p class="remark">${t("turn.estimated")}</p>`}
      ${row.cost_usd === null && html`<p class="remark">${t("turn.dear.unknown", { model: row.upstream_model || row.requested_model })}</p>`}
      ${cost && !cost.as_charged && html`<p class="remark">${t(row.cost_usd === null ? "turn.priced.late" : "turn.priced")}</p>`}
      <${Figures}>
        <${Figure} name=${t("turn.charged")} value=${money(row.cost_usd, about)} />
        <${Figure}
          name=${row.anthropic_cost_usd === null ? t("turn.anthropic.unknown") : t("turn.anthropic", { model: row.requested_model })}
          value=${money(row.anthropic_cost_usd, about)}
          note=${times !== null && times >= 1.05 && t("turn.anthropic.times", { n: times.toFixed(1) })}
        />
        ${saved !== null && saved > 0 && html`<${Figure} name=${t("turn.saved")} value=${money(saved, about)} tone="good" />`}
        ${saved !== null && saved < 0 && !cost?.miss_usd && html`<${Figure} name=${t("turn.stored")} value=${money(-saved, about)} note=${t("turn.stored.note")} />`}
        ${cost?.miss_usd
          ? html`<${Figure} name=${t("turn.miss")} value=${money(cost.miss_usd, true)} tone="bad" note=${t("turn.miss.note", { n: tokens(of.cache?.missed_tokens) })} />`
          : null}
        ${row.lost_usd > 0 && html`<${Figure} name=${t("turn.lost")} value=${money(row.lost_usd, true)} tone="warn" note=${t("turn.lost.note")} />`}
      <//>
      ${cost ? html`<${Bill} of=${of} cost=${cost} about=${about} />` : html`<${Unpriced} of=${of} about=${about} />`}
    <//>
  `;
}

/** @param {{of: TurnExplained, cost: CostSplit, about: boolean}} props */
function Bill({ of, cost, about }) {
  const sum = cost.parts.reduce((all, one) => all + one.usd, 0);
  const pieces = cost.parts.map((one) => ({
    name: maybe(`part.${one.name}`, one.name),
    value: one.usd,
    text: money(one.usd, about),
    paint: PARTS[one.name] ?? /** @type {Paint} */ ("rest"),
  }));
  return html`
    <div class="tall"><${Bar} pieces=${pieces} label=${t("turn.cost")} legend=${false} /></div>
    <div class="tablebox bill">
      <table aria-label=${t("turn.cost")}>
        <thead>
          <tr>
            <th scope="col">${t("turn.col.part")}</th>
            <th scope="col" class="number">${t("turn.col.tokens")}</th>
            <th scope="col" class="number aside">${t("turn.col.price")}</th>
            <th scope="col" class="number">${t("turn.col.cost")}</th>
            <th scope="col" class="number aside">${t("turn.col.share")}</th>
          </tr>
        </thead>
        <tbody>
          ${cost.parts.map(
            (one, at) => html`
              <tr key=${one.name} class=${one.tokens ? "" : "faint"}>
                <td><i class=${`dot paint-${pieces[at]?.paint}`}></i>${pieces[at]?.name}</td>
                <td class="number">${about && !one.tokens ? UNKNOWN : html`<${Estimate} estimated=${about}>${count(one.tokens)}<//>`}</td>
                <td class="number aside">${price(one.usd_per_million)}</td>
                <td class="number">${about && !one.tokens ? NONE : money(one.usd, about)}</td>
                <td class="number aside">${sum > 0 && !(about && !one.tokens) ? share(one.usd / sum) : NONE}</td>
              </tr>
            `,
          )}
          <tr class="sum">
            <th scope="row">${t("turn.total")}</th>
            <td class="number"><${Estimate} estimated=${about}>${count(of.row.input_tokens + of.row.output_tokens)}<//></td>
            <td class="aside"></td>
            <td class="number">${money(sum, about)}</td>
            <td class="aside"></td>
          </tr>
        </tbody>
      </table>
    </div>
  `;
}

/**
 * Tokens alone, where no price is known.
 * @param {{of: TurnExplained, about: boolean}} props
 */
function Unpriced({ of, about }) {
  const { row } = of;
  /** @type {[TextName, number][]} */
  const parts = [
    ["part.fresh", row.input_tokens - row.cached_tokens - row.written_tokens],
    ["part.cached", row.cached_tokens],
    ["part.written", row.written_tokens],
    ["part.output", row.output_tokens - row.reasoning_tokens],
    ["part.reasoning", row.reasoning_tokens],
  ];
  return html`
    <${Figures}>
      ${parts.map(
        ([name, value]) =>
          html`<${Figure} key=${name} name=${t(name)} value=${about && !value ? UNKNOWN : tokens(value, about)} title=${count(value)} />`,
      )}
    <//>
  `;
}

/** @param {number} usd a million tokens */
function price(usd) {
  return usd.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 6 });
}

/** @param {{of: TurnExplained}} props */
function Cache({ of }) {
  const { row, cache } = of;
  if (!cache) return html`<${Panel} title=${t("turn.cache")}><p class="faint">${t("turn.cache.none")}</p><//>`;
  const measured = row.usage_source === "measured";
  const missed = Math.min(cache.missed_tokens ?? 0, row.input_tokens - row.cached_tokens);
  const rest = row.input_tokens - row.cached_tokens - missed;
  const pieces = [
    { name: t("turn.bar.read"), value: row.cached_tokens, text: tokens(row.cached_tokens), paint: /** @type {Paint} */ ("one") },
    { name: t("turn.bar.missed"), value: missed, text: tokens(missed, cache.missed_estimated), paint: /** @type {Paint} */ ("bad") },
    { name: t("turn.bar.fresh"), value: rest, text: tokens(rest, missed > 0 && cache.missed_estimated), paint: /** @type {Paint} */ ("rest") },
  ].filter((piece) => piece.value > 0);
  return html`
    <${Panel} title=${t("turn.cache")} actions=${html`<${VerdictBadge} verdict=${cache.verdict} />`}>
      <p>${because(cache)}</p>
      ${measured && row.input_tokens > 0 && html`<div class="tall"><${Bar} pieces=${pieces} label=${t("turn.bar.label")} total=${row.input_tokens} /></div>`}
      <dl class="facts">
        <${Fact} name=${t("turn.read.figure")}>${measured ? `${count(row.cached_tokens)} (${share(ratio(row.cached_tokens, row.input_tokens))})` : UNKNOWN}<//>
        <${Fact} name=${t(cache.first_difference ? "turn.common" : "turn.expected")}>
          ${cache.expected_tokens === null
            ? t("turn.expected.none")
            : html`<${Estimate} estimated=${cache.expected_estimated}>${count(cache.expected_tokens)}<//>`}
        <//>
        ${cache.missed_tokens
          ? html`<${Fact} name=${t(cache.first_difference ? "turn.missed.changed" : "turn.missed")}><${Estimate} estimated=${cache.missed_estimated}>${count(cache.missed_tokens)}<//><//>`
          : null}
        ${cache.first_difference && html`<${Fact} name=${t("turn.difference")}><code>${cache.first_difference}</code><//>`}
      </dl>
    <//>
  `;
}

/** @param {{of: TurnExplained}} props */
function Attempts({ of }) {
  const rows = of.row.attempts.map((one, at) => ({ ...one, at }));
  if (!rows.length) return null;
  /** @param {string} name @param {boolean} [numeric] */
  const column = (name, numeric = false) => ({
    id: name,
    head: maybe(`attempt.${name}`, name),
    numeric,
    cell: (/** @type {Record<string, any>} */ row) => String(row[name] ?? "–").replaceAll(name === "cause" ? "_" : "\0", " "),
  });
  return html`
    <${Panel} title=${t("turn.attempts")}>
      <${Table}
        label=${t("turn.attempts")}
        columns=${[column("account"), column("cause"), column("status", true), column("code")]}
        rows=${rows}
        keyOf=${(/** @type {{at: number}} */ row) => String(row.at)}
      />
    <//>
  `;
}

/** @param {{name: string, children?: Children}} props */
function Fact({ name, children }) {
  return html`<div><dt>${name}</dt><dd>${children}</dd></div>`;
}

/** @param {{of: TurnExplained}} props */
function Facts({ of }) {
  const { row } = of;
  /** @type {[string, Children][]} */
  const facts = [
    [t("fact.outcome"), `${row.status} · ${maybe(`outcome.${row.outcome}.long`, row.outcome)}`],
    [t("fact.error"), row.error_type && html`<code>${row.error_type}</code>`],
    [t("fact.stop"), row.stop_reason],
    [t("fact.model"), row.upstream_model || t("fact.model.none")],
    [t("fact.effort"), row.effort],
    [t("fact.account"), row.account || t("fact.account.none")],
    [t("fact.choice"), row.choice && html`${row.choice}${row.move && html` <${Badge} tone="faint">${row.move.replaceAll("_", " ")}<//>`}`],
    [t("fact.key"), row.key],
    [t("fact.client"), row.client || t("fact.client.none")],
    [t("fact.route"), row.route],
    [t("fact.how"), t(row.stream ? "fact.streamed" : "fact.whole")],
    [t("fact.lane"), row.lane && maybe(`lane.${row.lane}`, row.lane)],
    [t("fact.usage"), maybe(`usage.${row.usage_source}`, row.usage_source)],
    [t("fact.ignored"), row.ignored_fields.length > 0 && codes(row.ignored_fields)],
    [t("fact.repaired"), row.repaired.length > 0 && codes(row.repaired)],
    [t("fact.dropped"), row.dropped_reasoning > 0 && tn("fact.dropped.n", row.dropped_reasoning)],
    [t("fact.arrived"), utc(row.time)],
  ];
  return html`
    <${Panel} title=${t("turn.request")}>
      <dl class="facts">${facts.filter(([, value]) => value).map(([name, value]) => html`<${Fact} key=${name} name=${name}>${value}<//>`)}</dl>
    <//>
  `;
}

/** @param {string[]} names */
function codes(names) {
  return names.map((name) => html`<code key=${name}>${name}</code> `);
}

/** @param {{of: TurnExplained}} props */
function Ids({ of }) {
  const { row } = of;
  /** @type {[string, string | null, string | null][]} name, value, the filter it makes */
  const ids = [
    [t("id.request"), row.request_id, null],
    [t("id.session"), row.session_hash, "session_hash"],
    [t("id.conversation"), row.conversation_hash, "conversation_hash"],
    [t("id.lineage"), row.lineage, null],
  ];
  return html`
    <${Panel} title=${t("turn.ids")}>
      <dl class="facts ids">
        ${ids.map(
          ([name, value, filter]) =>
            value &&
            html`
              <${Fact} key=${name} name=${name}>
                <code>${value}</code>
                <${CopyButton} text=${value} label=${name} />
                ${filter && html`<a class="button small" href=${to("log", [], { [filter]: value })}>${t("id.filter")}</a>`}
              <//>
            `,
        )}
      </dl>
    <//>
  `;
}
