// The session of a turn: its lanes, each as a strip of turns, so that the one where the cache broke is seen at
// once. The turn that one came from is marked, every other can be jumped to.

import { ApiError, get, segment } from "../api.js";
import { clock, count, millis, money, NONE, ratio, share, tokens, UNKNOWN, utc } from "../format.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { joined } from "../logquery.js";
import { Badge } from "../parts/badge.js";
import { Bar } from "../parts/bar.js";
import { Panel } from "../parts/panel.js";
import { Empty, Failure, Loaded } from "../parts/states.js";
import { Table } from "../parts/table.js";
import { OutcomeBadge, outcomeTone, VerdictBadge, verdictName, verdictTone } from "../parts/verdict.js";
import { useResource } from "../resource.js";
import { go, place, to } from "../router.js";
import { maybe, t, tn } from "../text.js";

/** @import {LogRow, SessionPage, SessionTurn} from "../api-types.js" */
/** @typedef {{turns: SessionTurn[], next: string | null, hash: string | null}} Found */

const PAGE = 200;
// So many pages are read to find the turn that one came from.
const PATIENCE = 10;

/** @param {{id: string}} props */
export function Session({ id }) {
  const query = place.value.query;
  const found = useResource((signal) => opened(id, signal), [id]);
  const [older, setOlder] = useState(/** @type {{of: string, turns: SessionTurn[], next: string | null} | null} */ (null));
  const [problem, setProblem] = useState(/** @type {Error | null} */ (null));
  const more = older?.of === id ? older : null;
  const next = more ? more.next : (found.data?.next ?? null);
  const turns = joined(found.data?.turns ?? [], more?.turns ?? []);
  const gone = found.error instanceof ApiError && found.error.status === 404;
  const go_on = async () => {
    setProblem(null);
    try {
      const page = await read(found.data?.hash ?? "", next);
      setOlder({ of: id, turns: [...(more?.turns ?? []), ...page.data], next: page.next });
    } catch (error) {
      setProblem(error instanceof Error ? error : new Error(String(error)));
    }
  };
  return html`
    <div class="page log">
      <nav class="turn-nav">
        <a class="button small" href=${to("log", [id], query)} data-escape title=${t("session.back.key")}>← ${t("session.back")}</a>
      </nav>
      <h1>${t("session.title")} ${found.data?.hash && html`<code class="faint" title=${found.data.hash}>${found.data.hash.slice(0, 8)}</code>`}</h1>
      ${gone
        ? html`<${Empty} title=${t("turn.gone")}><p>${t("turn.gone.do")}</p><//>`
        : html`<${Loaded} of=${found}>
            ${(/** @type {Found} */ data) =>
              data.hash === null
                ? html`<${Empty} title=${t("session.none")}><p>${t("session.none.do")}</p><//>`
                : turns.length
                  ? html`<${Lanes} turns=${turns} here=${id} />`
                  : html`<${Empty} title=${t("session.gone")} />`}
          <//>`}
      ${problem && html`<${Failure} error=${problem} retry=${go_on} />`}
      ${next &&
      html`
        <div class="log-foot">
          <button type="button" class="button" onClick=${go_on}>${t("session.older")}</button>
          <span class="faint">${t("session.partly", { n: count(turns.length) })}</span>
        </div>
      `}
    </div>
  `;
}

/**
 * The newest turns of the session that a request belongs to, as far back as the request itself.
 * @param {string} id
 * @param {AbortSignal} signal
 * @returns {Promise<Found>}
 */
async function opened(id, signal) {
  const [row] = /** @type {{data: LogRow[]}} */ (await get(`/log/${segment(id)}`, {}, { signal })).data;
  const hash = row?.session_hash ?? null;
  if (hash === null) return { turns: [], next: null, hash };
  /** @type {SessionTurn[]} */
  const turns = [];
  let next = /** @type {string | null} */ (null);
  for (let page = 0; page < PATIENCE; page += 1) {
    const read_ = await read(hash, next, signal);
    turns.push(...read_.data);
    next = read_.next;
    if (!next || turns.some((turn) => turn.request_id === id)) break;
  }
  return { turns, next, hash };
}

/**
 * @param {string} hash
 * @param {string | null} cursor
 * @param {AbortSignal} [signal]
 * @returns {Promise<SessionPage>}
 */
async function read(hash, cursor, signal) {
  return await get(`/log/sessions/${segment(hash)}`, { limit: PAGE, cursor }, { signal });
}

/**
 * The conversations of a session, each with its turns in order; the one with the most turns first.
 * @param {SessionTurn[]} turns newest first
 */
function lanes(turns) {
  /** @type {Map<string, SessionTurn[]>} */
  const found = new Map();
  for (const turn of [...turns].reverse()) {
    const key = turn.conversation_hash ?? "";
    found.set(key, [...(found.get(key) ?? []), turn]);
  }
  return [...found].map(([key, of]) => ({ key, turns: of })).sort((one, other) => other.turns.length - one.turns.length);
}

/** @param {{turns: SessionTurn[], here: string}} props turns newest first */
function Lanes({ turns, here }) {
  const all = lanes(turns);
  const own = all.find((lane) => lane.turns.some((turn) => turn.request_id === here)) ?? all[0];
  const others = all.filter((lane) => lane !== own);
  return html`
    ${own && html`<${Lane} turns=${own.turns} here=${here} listed />`}
    ${others.length > 0 && html`<div class="lanes">${others.map((lane) => html`<${Lane} key=${lane.key} turns=${lane.turns} here=${here} />`)}</div>`}
  `;
}

/** @param {{turns: SessionTurn[], here: string, listed?: boolean}} props turns oldest first */
function Lane({ turns, here, listed = false }) {
  const name = turns[0]?.lane ?? "";
  const lane = name ? maybe(`lane.${name}`, name) : t("lane.none");
  const measured = turns.filter((turn) => turn.usage_source === "measured");
  const misses = turns.filter((turn) => missed(turn)).length;
  const unpriced = turns.filter((turn) => turn.usage_source !== "none" && turn.cost_usd === null).length;
  const priced = turns.filter((turn) => turn.cost_usd !== null);
  const about = turns.some((turn) => turn.usage_source === "estimated");
  const cost = priced.length ? sum(priced, (turn) => turn.cost_usd ?? 0) : null;
  const notes = [
    tn("session.turns", turns.length, { n: count(turns.length) }),
    measured.length > 0 &&
      t("session.cached", { share: share(ratio(sum(measured, (turn) => turn.cached_tokens), sum(measured, (turn) => turn.input_tokens))) }),
    (cost !== null || unpriced > 0) && t("session.cost", { usd: money(cost, about) }),
    cost !== null && unpriced > 0 && tn("session.unpriced", unpriced),
  ].filter(Boolean);
  return html`
    <${Panel} title=${lane} note=${notes.join(" · ")} actions=${misses > 0 && html`<${Badge} tone="warn">${tn("session.misses", misses)}<//>`}>
      <${Strip} turns=${turns} here=${here} lane=${lane} listed=${listed} />
      ${listed && html`<${Turns} turns=${turns} here=${here} label=${lane} />`}
    <//>
  `;
}

/** @param {SessionTurn} turn */
function missed(turn) {
  const tone = turn.cache_verdict && verdictTone(turn.cache_verdict);
  return tone === "bad" || tone === "warn";
}

/**
 * How bad it is: an end that was none, else a miss; undefined for neither.
 * @param {SessionTurn} turn
 */
function toneOf(turn) {
  if (turn.outcome !== "ok") return outcomeTone(turn.outcome);
  return missed(turn) ? verdictTone(turn.cache_verdict ?? "") : undefined;
}

/**
 * @param {SessionTurn[]} turns
 * @param {(turn: SessionTurn) => number} of
 */
function sum(turns, of) {
  return turns.reduce((all, turn) => all + of(turn), 0);
}

/** @param {SessionTurn} turn */
function parts(turn) {
  return {
    cached: turn.cached_tokens,
    fresh: Math.max(0, turn.input_tokens - turn.cached_tokens),
    output: turn.output_tokens,
  };
}

/** @param {{turns: SessionTurn[], here: string, lane: string, listed: boolean}} props `listed` where the list below leads to the same */
function Strip({ turns, here, lane, listed }) {
  const most = Math.max(1, ...turns.map((turn) => turn.input_tokens + turn.output_tokens));
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    const frame = box.current;
    const mark = /** @type {HTMLElement | null} */ (frame?.querySelector("[aria-current]") ?? frame?.lastElementChild ?? null);
    if (frame && mark) frame.scrollLeft = mark.offsetLeft - frame.clientWidth / 2;
  }, [here, turns.length]);
  return html`
    <div class="strip" ref=${box} role="group" aria-label=${t("session.strip", { lane })}>
      ${turns.map((turn) => {
        const { cached, fresh, output } = parts(turn);
        const verdict = turn.cache_verdict ? verdictName(turn.cache_verdict) : maybe(`outcome.${turn.outcome}`, turn.outcome);
        const known = turn.usage_source !== "none";
        const title = t("session.turn", {
          time: clock(turn.time, Date.now()),
          input: known ? tokens(turn.input_tokens) : UNKNOWN,
          cached: known ? tokens(cached) : UNKNOWN,
          output: known ? tokens(output) : UNKNOWN,
          verdict,
        });
        const tone = toneOf(turn) ?? (turn.cache_verdict ? verdictTone(turn.cache_verdict) : "faint");
        return html`
          <a
            key=${turn.request_id + turn.time}
            class="strip-turn"
            tabindex=${listed ? -1 : undefined}
            href=${to("log", [turn.request_id], place.peek().query)}
            aria-current=${turn.request_id === here ? "true" : undefined}
            aria-label=${title}
            title=${title}
          >
            <i class=${`mark ${tone}`}></i>
            <span class="strip-bar">
              ${piece("four", output, most)}${piece("two", fresh, most)}${piece("one", cached, most)}
            </span>
          </a>
        `;
      })}
    </div>
    <ul class="legend" aria-hidden="true">
      <li><i class="paint-one"></i>${t("session.cached.bar")}</li>
      <li><i class="paint-two"></i>${t("session.fresh.bar")}</li>
      <li><i class="paint-four"></i>${t("session.output.bar")}</li>
    </ul>
  `;
}

/**
 * @param {string} paint
 * @param {number} value
 * @param {number} most
 */
function piece(paint, value, most) {
  return value > 0 && html`<span class=${`paint-${paint}`} style=${{ height: `${(value / most) * 100}%` }}></span>`;
}

/** @param {{turns: SessionTurn[], here: string, label: string}} props */
function Turns({ turns, here, label }) {
  const most = Math.max(1, ...turns.map((turn) => turn.input_tokens + turn.output_tokens));
  const now = Date.now();
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    // The list scrolls by itself: the turn that one came from is in its middle.
    const frame = /** @type {HTMLElement | null} */ (box.current?.querySelector(".tablebox") ?? null);
    const row = /** @type {HTMLElement | null} */ (frame?.querySelector("tr.chosen") ?? null);
    if (frame && row) frame.scrollTop = row.offsetTop - frame.clientHeight / 2;
  }, [here, turns.length]);
  const rows = [...turns].reverse();
  const at = rows.find((turn) => turn.request_id === here);
  /** @type {import("../parts/table.js").Column<SessionTurn>[]} */
  const columns = [
    { id: "time", head: t("log.col.time"), cell: (turn) => clock(turn.time, now), title: (turn) => utc(turn.time) },
    { id: "tokens", head: t("session.col.tokens"), aside: true, cell: (turn) => html`<${Small} turn=${turn} most=${most} />` },
    { id: "in", head: t("log.col.in"), numeric: true, aside: true, cell: (turn) => figure(turn, turn.input_tokens), title: (turn) => count(turn.input_tokens) },
    {
      id: "cached",
      head: t("log.col.cached"),
      numeric: true,
      cell: (turn) => (turn.usage_source === "measured" ? share(ratio(turn.cached_tokens, turn.input_tokens)) : NONE),
      title: (turn) => count(turn.cached_tokens),
    },
    { id: "out", head: t("log.col.out"), numeric: true, aside: true, cell: (turn) => figure(turn, turn.output_tokens), title: (turn) => count(turn.output_tokens) },
    {
      id: "cost",
      head: t("log.col.cost"),
      numeric: true,
      cell: (turn) => (turn.usage_source === "none" ? NONE : money(turn.cost_usd, turn.usage_source === "estimated")),
    },
    { id: "took", head: t("log.col.took"), numeric: true, aside: true, cell: (turn) => (turn.duration_ms === null ? NONE : millis(turn.duration_ms)) },
    {
      id: "result",
      head: t("log.col.result"),
      cell: (turn) => html`
        <span class="results">
          ${turn.outcome !== "ok" && html`<${OutcomeBadge} row=${turn} />`}
          ${turn.cache_verdict && html`<${VerdictBadge} verdict=${turn.cache_verdict} />`}
          ${turn.request_id === here && html`<span class="aside"><${Badge} tone="faint">${t("session.here")}<//></span>`}
        </span>
      `,
    },
  ];
  return html`
    <div class="session-rows" ref=${box}>
      <${Table}
        label=${label}
        columns=${columns}
        rows=${rows}
        keyOf=${key}
        chosen=${at ? key(at) : null}
        tone=${toneOf}
        onOpen=${(/** @type {SessionTurn} */ turn) => go(to("log", [turn.request_id], place.peek().query))}
      />
    </div>
  `;
}

/** @param {SessionTurn} turn */
function key(turn) {
  return `${turn.request_id} ${turn.time}`;
}

/**
 * @param {SessionTurn} turn
 * @param {number} value
 */
function figure(turn, value) {
  return turn.usage_source === "none" ? NONE : tokens(value, turn.usage_source === "estimated");
}

/** @param {{turn: SessionTurn, most: number}} props */
function Small({ turn, most }) {
  const { cached, fresh, output } = parts(turn);
  const pieces = [
    { name: t("session.cached.bar"), value: cached, text: tokens(cached), paint: /** @type {const} */ ("one") },
    { name: t("session.fresh.bar"), value: fresh, text: tokens(fresh), paint: /** @type {const} */ ("two") },
    { name: t("session.output.bar"), value: output, text: tokens(output), paint: /** @type {const} */ ("four") },
  ];
  return html`<div class="small-bar"><${Bar} pieces=${pieces} label=${t("session.col.tokens")} total=${most} legend=${false} /></div>`;
}
