// What is not well, in words, and what to do about it: parts of the gateway, its log, its accounts. Pure.

import { away, clock, count, share } from "../../format.js";
import { maybe, t, tn } from "../../text.js";

/** @import {AccountRecord, Overview, Window} from "../../api-types.js" */
/** @typedef {{id: string, tone: "bad" | "warn", what: string, why?: string, act: string, screen?: string}} Trouble */

// A window with less than this is told before it is empty.
const LOW = 0.1;

/**
 * The worst first.
 * @param {Overview | null} overview
 * @param {AccountRecord[]} accounts
 * @param {number} now
 * @returns {Trouble[]}
 */
export function troubles(overview, accounts, now) {
  const found = [...(overview ? gateway(overview) : []), ...accounts.flatMap((one) => account(one, now))];
  if (overview && overview.upstream !== "simulated" && accounts.length && accounts.every(lame)) {
    found.unshift({ id: "nobody", tone: "bad", what: t("trouble.nobody"), act: t("trouble.nobody.do"), screen: "accounts" });
  }
  return [...found.filter((one) => one.tone === "bad"), ...found.filter((one) => one.tone !== "bad")];
}

/**
 * Whether an account gets nothing new now.
 * @param {AccountRecord} one
 */
function lame(one) {
  return one.status !== "active" || (one.live !== null && !["ok", "probing"].includes(one.live.state));
}

/**
 * @param {Overview} overview
 * @returns {Trouble[]}
 */
function gateway(overview) {
  /** @type {Trouble[]} */
  const found = Object.entries(overview.ill).map(([part, why]) => ({
    id: `part ${part}`,
    tone: "bad",
    what: maybe(`ill.${part}`, t("ill.other", { part })),
    why,
    act: maybe(`ill.${part}.do`, t("ill.other.do")),
  }));
  const { refused_rows: refused, dropped_texts: dropped } = overview.ledger;
  if (refused) found.push({ id: "refused", tone: "warn", what: tn("trouble.refused", refused, { n: count(refused) }), act: t("trouble.refused.do") });
  if (dropped) found.push({ id: "dropped", tone: "warn", what: tn("trouble.dropped", dropped, { n: count(dropped) }), act: t("trouble.dropped.do") });
  return found;
}

/**
 * @param {AccountRecord} one
 * @param {number} now
 * @returns {Trouble[]}
 */
function account(one, now) {
  const { name, live } = one;
  const why = one.note ?? undefined;
  if (one.status === "paused") return [];
  const state = one.status === "active" ? live?.state : one.status;
  /** @type {Record<string, Trouble>} */
  const down = {
    needs_login: { id: `login ${name}`, tone: "bad", what: t("trouble.login", { name }), why, act: t("trouble.login.do"), screen: "accounts" },
    dead: { id: `dead ${name}`, tone: "bad", what: t("trouble.dead", { name }), why, act: t("trouble.dead.do"), screen: "accounts" },
    cooling: {
      id: `rest ${name}`,
      tone: "warn",
      what: live?.until
        ? t("trouble.rest", { name, until: clock(live.until, now), away: away(live.until, now) })
        : t("trouble.rest.open", { name }),
      why: live?.why ? reason(live.why) : undefined,
      act: t("trouble.rest.do"),
      screen: "accounts",
    },
  };
  const told = state ? down[state] : undefined;
  if (told) return [told];
  const low = (live?.windows ?? []).filter((window) => window.seconds >= 3600 && window.remaining < LOW);
  return low.map((window) => ({
    id: `low ${name} ${window.meter} ${window.window}`,
    tone: "warn",
    what: t("trouble.low", { name, left: share(window.remaining), window: window.window }),
    why: resets(window, now),
    act: t("trouble.low.do"),
    screen: "accounts",
  }));
}

/**
 * Why an account rests, as a sentence where there is one.
 * @param {string} word of the API
 */
export function reason(word) {
  return maybe(`rest.${word}`, word);
}

/**
 * When a window is full again.
 * @param {Window} window
 * @param {number} now
 */
export function resets(window, now) {
  return window.resets_at ? t("overview.resets", { away: away(window.resets_at, now) }) : t("overview.resets.unknown");
}
