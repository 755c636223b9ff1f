// Requests as they end, the newest first, from the log at first and then by the live feed.

import { get } from "../../api.js";
import { millis, money, NONE, ratio, share, tokens } from "../../format.js";
import { html, signal, useEffect } from "../../html.js";
import { feed, useLive } from "../../live.js";
import { Badge } from "../../parts/badge.js";
import { Moment } from "../../parts/figure.js";
import { Panel } from "../../parts/panel.js";
import { Failure, Loading } from "../../parts/states.js";
import { Table } from "../../parts/table.js";
import { useResource } from "../../resource.js";
import { go, to } from "../../router.js";
import { maybe, t } from "../../text.js";

/** @import {LogPage, LogRow} from "../../api-types.js" */
/** @import {Tone} from "../../parts/badge.js" */

const SHOWN = 10;
const SOON = 1_500;
/** @type {import("../../html.js").Signal<LogRow[]>} */
const rows = signal([]);

/**
 * The newest first, each once.
 * @param {LogRow[]} fresh
 * @param {LogRow[]} before
 */
export function joined(fresh, before) {
  const all = new Map([...fresh, ...before].map((row) => [row.request_id, row]));
  return [...all.values()].sort((a, b) => Date.parse(b.time) - Date.parse(a.time)).slice(0, SHOWN);
}

/** @param {{onRow: () => void}} props `onRow` is told of every request that ends */
export function Feed({ onRow }) {
  const log = useResource((signal) => /** @type {Promise<LogPage>} */ (get("/log", { limit: SHOWN }, { signal })), []);
  useEffect(() => {
    if (log.data) rows.value = joined(log.data.data, rows.peek());
  }, [log.data]);
  useLive(
    (row) => {
      rows.value = joined([row], rows.peek());
      onRow();
    },
    () => log.reload(),
  );
  const state = feed.value;
  useEffect(() => {
    // What ended while the feed was opened was told to nobody, and is in the log a moment later.
    if (state !== "live") return undefined;
    const timer = setTimeout(log.reload, SOON);
    return () => clearTimeout(timer);
  }, [state]);
  return html`
    <${Panel}
      title=${t("overview.feed")}
      actions=${html`
        <${Badge} tone=${state === "live" ? "good" : "faint"} title=${t("overview.feed.why")}>${t(`overview.feed.${state}`)}<//>
        <a class="button" href=${to("log")}>${t("overview.feed.log")}</a>
      `}
    >
      ${log.error && html`<${Failure} error=${log.error} retry=${log.reload} />`}
      ${log.data === null && !log.error && !rows.value.length && html`<${Loading} />`}
      ${log.data !== null && !rows.value.length && html`<p class="faint">${t("overview.feed.none")}</p>`}
      ${rows.value.length > 0 && html`<${Ended} of=${rows.value} />`}
    <//>
  `;
}

/** @param {{of: LogRow[]}} props */
function Ended({ of }) {
  /** @param {LogRow} row */
  const guessed = (row) => row.usage_source === "estimated";
  /** @param {LogRow} row */
  const used = (row) => row.usage_source !== "none";
  return html`
    <${Table}
      label=${t("overview.feed")}
      rows=${of}
      keyOf=${(/** @type {LogRow} */ row) => row.request_id}
      onOpen=${(/** @type {LogRow} */ row) => go(to("log", [row.request_id]))}
      tone=${(/** @type {LogRow} */ row) => tones[row.outcome]}
      columns=${[
        { id: "time", head: t("overview.time"), cell: (/** @type {LogRow} */ row) => html`<${Moment} at=${row.time} />` },
        { id: "key", head: t("overview.key"), cell: (/** @type {LogRow} */ row) => row.key || t("overview.nobody") },
        {
          id: "model",
          head: t("overview.model"),
          aside: true,
          cell: (/** @type {LogRow} */ row) => row.upstream_model || row.requested_model,
          title: (/** @type {LogRow} */ row) => t("overview.feed.asked", { model: row.requested_model }),
        },
        { id: "input", head: t("overview.input"), numeric: true, aside: true, cell: (/** @type {LogRow} */ row) => (used(row) ? tokens(row.input_tokens, guessed(row)) : NONE) },
        { id: "cached", head: t("overview.cached.short"), numeric: true, cell: (/** @type {LogRow} */ row) => (used(row) ? share(ratio(row.cached_tokens, row.input_tokens)) : NONE) },
        { id: "output", head: t("overview.output"), numeric: true, aside: true, cell: (/** @type {LogRow} */ row) => (used(row) ? tokens(row.output_tokens, guessed(row)) : NONE) },
        { id: "cost", head: t("overview.cost"), numeric: true, cell: (/** @type {LogRow} */ row) => (used(row) ? money(row.cost_usd, guessed(row)) : NONE) },
        { id: "took", head: t("overview.took"), numeric: true, aside: true, cell: (/** @type {LogRow} */ row) => millis(row.duration_ms) },
        {
          id: "outcome",
          head: t("overview.outcome"),
          cell: (/** @type {LogRow} */ row) => html`<${Badge} tone=${tones[row.outcome] ?? "faint"} title=${row.error_type ?? undefined}>${maybe(`outcome.${row.outcome}`, row.outcome.replaceAll("_", " "))}<//>`,
        },
      ]}
    />
  `;
}

/** @type {Record<string, Tone>} */
const tones = { upstream_error: "bad", refused: "warn", aborted: "warn", client_gone: "warn" };
