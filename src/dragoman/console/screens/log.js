// The request log: what is listed, filtered by the address, goes on by itself while nothing holds it. A row opens
// the turn (log-turn.js), a turn its session (log-session.js).

import { address, get } from "../api.js";
import { clock, count, millis, money, ratio, share, tokens, UNKNOWN, utc, NONE } from "../format.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "../html.js";
import { feed, useLive } from "../live.js";
import { asked, filtersOf, fits, identity, joined, localField, momentOf, RANGES } from "../logquery.js";
import { Badge } from "../parts/badge.js";
import { Choice, Field } from "../parts/field.js";
import { Empty, Failure, Loading } from "../parts/states.js";
import { Table } from "../parts/table.js";
import { OutcomeBadge, VerdictBadge, verdictName } from "../parts/verdict.js";
import { useResource } from "../resource.js";
import { go, place, to } from "../router.js";
import { maybe, t, tn } from "../text.js";
import { Session } from "./log-session.js";
import { Turn } from "./log-turn.js";

/** @import {Facets, LogPage, LogRow} from "../api-types.js" */
/** @import {Filters} from "../logquery.js" */

const PAGE = 50;
// Rows that are kept while the log goes on by itself; older ones are read again.
const MOST = 1_000;
// Pages without a row before somebody is asked whether to look further.
const PATIENCE = 5;
const GATHER = 250;
const TYPED = 400;
const SELECTED = ["key", "requested_model", "account", "outcome"];
const CHIPS = ["session_hash", "conversation_hash", "upstream_model", "status", "error_type", "lane", "client", "request_id"];
const FACET_AGE = 60_000;

/**
 * What was listed last: coming back from a turn shows the same at the same place.
 * @type {{of: string, rows: LogRow[], next: string | null, y: number, opened: string | null}}
 */
let left = { of: "", rows: [], next: null, y: 0, opened: null };

export default function LogScreen() {
  const { rest } = place.value;
  const [id, more] = rest;
  if (!id) return html`<${List} />`;
  return more === "session" ? html`<${Session} id=${id} />` : html`<${Turn} key=${id} id=${id} />`;
}

function List() {
  const filters = filtersOf(place.value.query);
  const key = JSON.stringify(filters);
  const log = useLog(filters, key);
  const [held, setHeld] = useState(/** @type {LogRow[] | null} */ (null));
  const open = Boolean(filters.until);
  useTail(filters, held, setHeld, log);
  useLayoutEffect(() => {
    if (left.of === key && left.y) scrollTo(0, left.y);
    return () => {
      left.y = scrollY;
    };
  }, []);
  const resume = () => {
    if (held?.length) log.add(held);
    setHeld(null);
  };
  return html`
    <div class="page log">
      <div class="log-head">
        <h1>${t("log.title")}</h1>
        <${Tail} held=${held} past=${open} onPause=${() => setHeld([])} onResume=${resume} />
        <${Export} filters=${filters} />
      </div>
      <${FilterRow} filters=${filters} />
      <${Chips} filters=${filters} />
      <${Rows} log=${log} filtered=${Object.keys(filters).length > 0} />
    </div>
  `;
}

/**
 * @typedef {{
 *   rows: LogRow[], loading: boolean, error: Error | null, reload: () => void,
 *   more: (() => void) | null, busy: boolean, problem: Error | null, add: (rows: LogRow[]) => void,
 * }} Log
 */

/**
 * The rows of these filters: the newest page, older ones on request, newer ones added.
 * @param {Filters} filters
 * @param {string} key the same as one text
 * @returns {Log}
 */
function useLog(filters, key) {
  const [state, setState] = useState(left.of === key ? left : { ...left, of: "", rows: [] });
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(/** @type {Error | null} */ (null));
  const now = useRef(key);
  now.current = key;
  left = state;
  const first = useResource(async (signal) => ({ of: key, ...(await filled(filters, null, signal)) }), [key]);

  useEffect(() => {
    const page = first.data;
    if (!page || page.of !== now.current) return;
    setState((before) => {
      const seen = new Set(before.of === page.of ? before.rows.map(identity) : []);
      // Without a row in common something may be missing in between: then only the page is certain.
      const meets = page.data.some((row) => seen.has(identity(row)));
      return meets
        ? { ...before, rows: joined(page.data, before.rows) }
        : { of: page.of, rows: page.data, next: page.next, y: 0, opened: before.opened };
    });
  }, [first.data]);

  const shown = state.of === key;
  const last = state.rows.at(-1);
  const more = async () => {
    setBusy(true);
    setProblem(null);
    try {
      const page = await filled(filters, state.next);
      setState((before) => (before.of === key ? { ...before, rows: joined(before.rows, page.data), next: page.next } : before));
    } catch (error) {
      setProblem(error instanceof Error ? error : new Error(String(error)));
    } finally {
      setBusy(false);
    }
  };
  return {
    rows: shown ? state.rows : [],
    loading: !shown || (first.loading && !last),
    error: first.error,
    reload: first.reload,
    more: shown && state.next ? () => void more() : null,
    busy,
    problem,
    add: (rows) =>
      setState((before) => {
        if (before.of !== now.current) return before;
        const all = joined(rows, before.rows);
        if (all.length <= MOST) return { ...before, rows: all };
        const kept = all.slice(0, MOST);
        // The cursor of the rows that go would leave a gap: from the last that stays on is asked by time.
        return { ...before, rows: kept, next: `${UNTIL}${kept.at(-1)?.time ?? ""}` };
      }),
  };
}

const UNTIL = "until ";

/**
 * The page behind a cursor. A page without a row has been looking in vain: then the next is asked for, a few times.
 * @param {Filters} filters
 * @param {string | null} cursor
 * @param {AbortSignal} [signal]
 * @returns {Promise<LogPage>}
 */
async function filled(filters, cursor, signal) {
  /** @type {Record<string, string | number | null>} */
  const query = { ...asked(filters, Date.now()), limit: PAGE, cursor };
  if (cursor?.startsWith(UNTIL)) {
    query.cursor = null;
    query.until = new Date(Date.parse(cursor.slice(UNTIL.length)) + 1).toISOString();
  }
  for (let turn = 0; ; turn += 1) {
    const page = /** @type {LogPage} */ (await get("/log", query, { signal }));
    if (page.data.length || !page.next || turn === PATIENCE) return page;
    query.cursor = page.next;
  }
}

/**
 * Takes in what ends meanwhile, or keeps it back while the log is held.
 * @param {Filters} filters
 * @param {LogRow[] | null} held
 * @param {(change: (before: LogRow[] | null) => LogRow[] | null) => void} setHeld
 * @param {Log} log
 */
function useTail(filters, held, setHeld, log) {
  const come = useRef(/** @type {LogRow[]} */ ([]));
  const timer = useRef(0);
  const take = useRef(() => {});
  take.current = () => {
    timer.current = 0;
    const rows = come.current.splice(0);
    if (held) setHeld((before) => (before ? joined(rows, before).slice(0, MOST) : before));
    else log.add(rows);
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  useLive((row) => {
    if (!fits(filters, row, Date.now())) return;
    come.current.push(row);
    timer.current ||= setTimeout(() => take.current(), GATHER);
  });
  const state = feed.value;
  useEffect(() => {
    // What ended before the feed was open (again) is in the log alone.
    if (state === "live") log.reload();
  }, [state]);
}

/** @param {{held: LogRow[] | null, past: boolean, onPause: () => void, onResume: () => void}} props */
function Tail({ held, past, onPause, onResume }) {
  if (past) return html`<${Badge} tone="faint" title=${t("log.live.past")}>${t("log.paused")}<//>`;
  const live = feed.value === "live";
  const name = held ? (held.length ? t("log.resume.some", { n: count(held.length) }) : t("log.resume")) : t("log.pause");
  return html`
    <span class="log-tail">
      ${held
        ? html`<${Badge} tone="warn">${t("log.paused")}<//>`
        : html`<${Badge} tone=${live ? "good" : "faint"} title=${t("log.live.why")}>${t(live ? "log.live" : "log.live.waiting")}<//>`}
      <button type="button" class="button small" data-key="p" title=${t("log.pause.key")} aria-pressed=${held !== null} onClick=${held ? onResume : onPause}>
        ${name}
      </button>
    </span>
  `;
}

/** @param {{filters: Filters}} props */
function Export({ filters }) {
  const forms = /** @type {const} */ (["csv", "jsonl"]);
  return html`
    <span class="log-export">
      ${forms.map((form) => {
        const name = t(`log.export.${form}`);
        const what = { ...asked(filters, Date.now()), format: form };
        return html`<a key=${form} class="button small" href=${address("/log/export", what)} download title=${t("log.export", { form: name })}>${name}</a>`;
      })}
    </span>
  `;
}

/**
 * @param {Filters} filters
 * @param {Record<string, string>} change "" takes a filter away
 */
function changed(filters, change) {
  return to("log", [], { ...filters, ...change });
}

/** @type {{at: number, facets: Facets | null}} */
let told = { at: 0, facets: null };

/** @param {{filters: Filters}} props */
function FilterRow({ filters }) {
  const [open, setOpen] = useState(false);
  const [own, setOwn] = useState(false);
  const facets = useResource(async (signal) => {
    if (!told.facets || Date.now() - told.at > FACET_AGE) {
      told = { facets: await get("/log/facets", {}, { signal }), at: Date.now() };
    }
    return /** @type {Facets} */ (told.facets);
  }, []);
  /** @param {Record<string, string>} change */
  const set = (change) => go(changed(filters, change), { replace: true });
  const between = own || Boolean(filters.since || filters.until);
  const chosen = [...SELECTED, "range", "since", "until", "cache_verdict"].filter((name) => filters[name]).length;
  /** @param {string} name */
  const values = (name) => (facets.data?.data[name] ?? []).filter((one) => one.value).map((one) => one.value);
  /** @param {string} value */
  const ranged = (value) => {
    setOwn(value === "own");
    set({ range: value === "own" ? "" : value, since: "", until: "" });
  };
  return html`
    <div class="log-filters" role="search">
      <div class="log-search">
        <${Search} value=${filters.search ?? ""} onSearch=${(/** @type {string} */ search) => set({ search })} />
        <button type="button" class="button log-more" aria-expanded=${open} onClick=${() => setOpen(!open)}>
          ${chosen ? t("log.filters.some", { n: chosen }) : t("log.filters")}
        </button>
      </div>
      <div class=${open ? "log-choices open" : "log-choices"}>
        <${Choice}
          name="range"
          label=${t("log.range")}
          value=${between ? "own" : (filters.range ?? "")}
          onInput=${ranged}
          options=${[
            { value: "", text: t("log.range.any") },
            ...Object.keys(RANGES).map((value) => ({ value, text: maybe(`log.range.${value}`, value) })),
            { value: "own", text: t("log.range.own") },
          ]}
        />
        ${between &&
        html`
          <${Field} name="since" type="datetime-local" label=${t("log.since")} value=${localField(filters.since)} onInput=${(/** @type {string} */ text) => set({ since: momentOf(text), range: "" })} />
          <${Field} name="until" type="datetime-local" label=${t("log.until")} value=${localField(filters.until)} onInput=${(/** @type {string} */ text) => set({ until: momentOf(text), range: "" })} />
        `}
        ${SELECTED.map(
          (name) => html`
            <${Pick}
              key=${name}
              name=${name}
              value=${filters[name] ?? ""}
              values=${values(name)}
              textOf=${name === "outcome" ? (/** @type {string} */ value) => maybe(`outcome.${value}`, value) : undefined}
              onPick=${(/** @type {string} */ value) => set({ [name]: value })}
            />
          `,
        )}
        <${Pick}
          name="cache_verdict"
          value=${filters.cache_verdict ?? ""}
          values=${facets.data?.verdicts ?? []}
          textOf=${verdictName}
          onPick=${(/** @type {string} */ value) => set({ cache_verdict: value })}
        />
      </div>
    </div>
  `;
}

/**
 * One of the values that there are; what the address says is among them whether it occurs or not.
 * @param {{name: string, value: string, values: string[], textOf?: (value: string) => string, onPick: (value: string) => void}} props
 */
function Pick({ name, value, values, textOf = (text) => text, onPick }) {
  const all = value && !values.includes(value) ? [value, ...values] : values;
  return html`
    <${Choice}
      name=${name}
      label=${maybe(`log.${name}`, name)}
      value=${value}
      onInput=${onPick}
      options=${[{ value: "", text: t("log.any") }, ...all.map((one) => ({ value: one, text: textOf(one) }))]}
    />
  `;
}

/** @param {{value: string, onSearch: (text: string) => void}} props */
function Search({ value, onSearch }) {
  const [text, setText] = useState(value);
  const timer = useRef(0);
  const sent = useRef(value);
  useEffect(() => {
    // The address was changed from elsewhere.
    if (value !== sent.current) setText(value);
    sent.current = value;
  }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  /** @param {string} next */
  const say = (next) => {
    clearTimeout(timer.current);
    sent.current = next.trim();
    if (next.trim() !== value) onSearch(next.trim());
  };
  return html`
    <input
      type="search"
      name="search"
      data-search
      aria-label=${t("log.search")}
      placeholder=${t("log.search.hint")}
      value=${text}
      maxlength="256"
      spellcheck=${false}
      autocomplete="off"
      onInput=${(/** @type {InputEvent} */ event) => {
        const next = /** @type {HTMLInputElement} */ (event.target).value;
        setText(next);
        clearTimeout(timer.current);
        timer.current = setTimeout(() => say(next), TYPED);
      }}
      onKeyDown=${(/** @type {KeyboardEvent} */ event) => event.key === "Enter" && say(text)}
    />
  `;
}

/** @param {{filters: Filters}} props */
function Chips({ filters }) {
  const chips = CHIPS.filter((name) => filters[name]);
  if (!Object.keys(filters).length) return null;
  return html`
    <div class="chips">
      ${chips.map((name) => {
        const label = maybe(`log.chip.${name}`, name);
        const value = filters[name] ?? "";
        return html`
          <a key=${name} class="chip" href=${changed(filters, { [name]: "" })} title=${t("log.chip.remove", { name: label })}>
            ${label} <b title=${value}>${name.endsWith("_hash") ? value.slice(0, 8) : value}</b> <span aria-hidden="true">✕</span>
          </a>
        `;
      })}
      <a class="chips-clear" href=${to("log")}>${t("log.clear")}</a>
    </div>
  `;
}

/** @param {{log: Log, filtered: boolean}} props */
function Rows({ log, filtered }) {
  const { rows } = log;
  const chosen = rows.find((row) => identity(row) === left.opened) ? left.opened : null;
  if (!rows.length) {
    if (log.error) return html`<${Failure} error=${log.error} retry=${log.reload} />`;
    if (log.loading) return html`<${Loading} />`;
  }
  /** @param {LogRow} row */
  const open = (row) => {
    left.opened = identity(row);
    left.y = scrollY;
    go(to("log", [row.request_id], place.peek().query));
  };
  return html`
    ${log.error && html`<${Failure} error=${log.error} retry=${log.reload} />`}
    ${rows.length
      ? html`<div class="panel log-rows">
          <${Table} label=${t("log.label")} columns=${columns(Date.now())} rows=${rows} keyOf=${identity} onOpen=${open} chosen=${chosen} tone=${tone} />
        </div>`
      : !log.more && html`<${Nothing} filtered=${filtered} />`}
    ${log.problem && html`<${Failure} error=${log.problem} retry=${log.more ?? undefined} />`}
    <div class="log-foot">
      ${!rows.length && log.more && html`<p>${t("log.further.why")}</p>`}
      ${log.more && html`<button type="button" class="button" disabled=${log.busy} onClick=${log.more}>${t(rows.length ? "log.older" : "log.further")}</button>`}
      ${rows.length > 0 && html`<span class="faint">${tn("table.rows", rows.length, { n: count(rows.length) })}${!log.more && ` · ${t("log.end")}`}</span>`}
    </div>
  `;
}

/** @param {{filtered: boolean}} props */
function Nothing({ filtered }) {
  return filtered
    ? html`<${Empty} title=${t("log.unfit")}><p><a href=${to("log")}>${t("log.clear")}</a></p><//>`
    : html`<${Empty} title=${t("log.none")}><p>${t("log.none.do", { address: location.origin })}</p><//>`;
}

/** @param {LogRow} row */
function tone(row) {
  if (row.outcome === "upstream_error" || row.outcome === "aborted") return "bad";
  return row.outcome === "ok" ? undefined : "warn";
}

/**
 * @param {number} now
 * @returns {import("../parts/table.js").Column<LogRow>[]}
 */
function columns(now) {
  /** @param {(row: LogRow) => import("../html.js").Children} tell */
  const used = (tell) => (/** @type {LogRow} */ row) => (row.usage_source === "none" ? NONE : tell(row));
  return [
    {
      id: "time",
      head: t("log.col.time"),
      title: (row) => utc(row.time),
      // The row is pressed; a link besides lets one open it elsewhere.
      cell: (row) => html`<a class="quiet" tabindex="-1" href=${to("log", [row.request_id], place.peek().query)}><time dateTime=${row.time}>${clock(row.time, now)}</time></a>`,
    },
    { id: "key", head: t("log.col.key"), aside: true, cell: (row) => html`<span class="clip key">${row.key || NONE}</span>`, title: (row) => row.key },
    { id: "model", head: t("log.col.model"), cell: (row) => html`<${Model} row=${row} />` },
    {
      id: "in",
      head: t("log.col.in"),
      numeric: true,
      aside: true,
      cell: used((row) => tokens(row.input_tokens, row.usage_source === "estimated")),
      title: (row) => (row.usage_source === "none" ? undefined : count(row.input_tokens)),
    },
    {
      id: "cached",
      head: t("log.col.cached"),
      numeric: true,
      aside: true,
      cell: used((row) => (row.usage_source === "measured" ? share(ratio(row.cached_tokens, row.input_tokens)) : NONE)),
      title: (row) => (row.usage_source === "measured" ? count(row.cached_tokens) : undefined),
    },
    {
      id: "out",
      head: t("log.col.out"),
      numeric: true,
      aside: true,
      cell: used((row) => tokens(row.output_tokens, row.usage_source === "estimated")),
      title: (row) => (row.usage_source === "none" ? undefined : count(row.output_tokens)),
    },
    {
      id: "cost",
      head: t("log.col.cost"),
      numeric: true,
      cell: used((row) => (row.cost_usd === null ? html`<span class="faint">${UNKNOWN}</span>` : money(row.cost_usd, row.usage_source === "estimated"))),
    },
    {
      id: "first",
      head: t("log.col.first"),
      headTitle: t("log.col.first.why"),
      numeric: true,
      aside: true,
      cell: (row) => (row.first_token_ms === null ? NONE : millis(row.first_token_ms)),
    },
    { id: "took", head: t("log.col.took"), numeric: true, aside: true, cell: (row) => (row.duration_ms === null ? NONE : millis(row.duration_ms)) },
    { id: "result", head: t("log.col.result"), aside: true, cell: (row) => html`<${Result} row=${row} />` },
  ];
}

/** @param {{row: LogRow}} props */
function Model({ row }) {
  const effort = row.effort ? `@${row.effort}` : "";
  const served = row.upstream_model ? row.upstream_model + effort : "";
  return html`
    <span class="clip model" title=${`${row.requested_model || NONE} → ${served || NONE}`}>
      ${row.requested_model || NONE}${served && html` <span class="faint">→ ${served}</span>`}
    </span>
    <div class="narrow-only"><${Result} row=${row} />${row.duration_ms !== null && html` <span class="faint">${millis(row.duration_ms)}</span>`}</div>
  `;
}

/** @param {{row: LogRow}} props */
function Result({ row }) {
  const failed = row.attempts.length;
  return html`
    <span class="results">
      ${row.outcome !== "ok" && html`<${OutcomeBadge} row=${row} />`}
      ${row.outcome === "ok" && row.cache_verdict && html`<${VerdictBadge} verdict=${row.cache_verdict} title=${row.cache_story} />`}
      ${failed > 0 && html`<${Badge} tone="warn" title=${tn("log.failover", failed)}>↷ ${failed}<//>`}
    </span>
  `;
}
