// How a turn ended and what the cache did, as badges. Which of them are good or bad is decided here alone.

import { html } from "../html.js";
import { maybe } from "../text.js";
import { Badge } from "./badge.js";

/** @import {Tone} from "./badge.js" */

/** @type {Record<string, Tone>} others are bad: something changed, and the prompt was paid anew */
const TONES = {
  hit: "good",
  first_turn: "calm",
  below_minimum: "calm",
  unreported: "faint",
  compacted: "calm",
  partial: "warn",
  expired: "warn",
  likely_server_side: "warn",
  account_switch: "warn",
};
/** @type {Record<string, Tone>} */
const ENDS = { ok: "good", refused: "warn", client_gone: "warn" };

/** @param {string} verdict */
export function verdictTone(verdict) {
  return TONES[verdict.split("(")[0] ?? ""] ?? "bad";
}

/** @param {string} outcome */
export function outcomeTone(outcome) {
  return ENDS[outcome] ?? "bad";
}

/**
 * A verdict in two or three words: `messages_changed(3)` is "message 3 changed".
 * @param {string} verdict
 */
export function verdictName(verdict) {
  const [name = "", detail = ""] = verdict.replace(")", "").split("(");
  const words = maybe(`verdict.${name}`, name.replaceAll("_", " "), { detail });
  return detail ? maybe(`verdict.${name}.detail`, `${words} (${detail})`, { detail }) : words;
}

/** @param {{verdict: string, title?: string | null}} props */
export function VerdictBadge({ verdict, title }) {
  return html`<${Badge} tone=${verdictTone(verdict)} title=${title ?? verdict}>${verdictName(verdict)}<//>`;
}

/** @param {{row: {outcome: string, status: number, error_type: string | null}}} props */
export function OutcomeBadge({ row }) {
  const name = maybe(`outcome.${row.outcome}`, row.outcome);
  return html`<${Badge} tone=${outcomeTone(row.outcome)} title=${`${row.status} ${row.error_type ?? row.outcome}`}>${name}<//>`;
}
