// A key as its form has it, all of it text, and what of it is sent. Pure. Nothing is judged here: what is no number
// goes out as it was typed, and the API says what is wrong with it, by its path.

/** @import {KeyRecord, LimitState} from "../../api-types.js" */
/** @typedef {{measure: string, per: string, max: string, models: string}} LimitDraft */
/**
 * @typedef {{
 *   name: string, tags: string, models: string, groups: string, concurrency: string, expires: string,
 *   default_effort: string, max_effort: string, enforced_effort: string, limits: LimitDraft[], anyway: boolean,
 * }} Draft
 */

export const MEASURES = ["tokens", "input_tokens", "output_tokens", "requests", "cost_usd"];
export const PERIODS = ["minute", "hour", "5h", "day", "week", "month", "total"];
export const EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];
const SIZES = /** @type {Record<string, number>} */ ({ "": 1, k: 1e3, m: 1e6, g: 1e9 });

/** @returns {LimitDraft} */
export function newLimit() {
  return { measure: "tokens", per: "day", max: "", models: "" };
}

/**
 * The form of a key that is there, or of a new one.
 * @param {KeyRecord} [key]
 * @returns {Draft}
 */
export function draftOf(key) {
  return {
    name: key?.name ?? "",
    tags: (key?.tags ?? []).join(", "),
    models: (key?.models ?? []).join("\n"),
    groups: (key?.account_groups ?? []).join(", "),
    concurrency: key?.concurrency == null ? "" : String(key.concurrency),
    expires: key?.expires_at ? local(new Date(key.expires_at)) : "",
    default_effort: key?.default_effort ?? "",
    max_effort: key?.max_effort ?? "",
    enforced_effort: key?.enforced_effort ?? "",
    limits: (key?.limits ?? []).map((limit) => ({
      measure: limit.measure,
      per: limit.per,
      max: String(limit.max),
      models: limit.models ?? "",
    })),
    anyway: false,
  };
}

/**
 * All that a form says, as the API takes it.
 * @param {Draft} draft
 * @returns {Record<string, any>}
 */
export function bodyOf(draft) {
  const models = listed(draft.models);
  const groups = listed(draft.groups);
  return {
    name: draft.name.trim(),
    tags: listed(draft.tags),
    models: models.length ? models : null,
    account_groups: groups.length ? groups : null,
    concurrency: figure(draft.concurrency),
    expires_at: moment(draft.expires),
    default_effort: draft.default_effort || null,
    max_effort: draft.max_effort || null,
    enforced_effort: draft.enforced_effort || null,
    limits: draft.limits.map((limit) => ({
      measure: limit.measure,
      per: limit.per,
      max: figure(limit.max) ?? "",
      models: limit.models.trim() || null,
    })),
    anyway: draft.anyway,
  };
}

/**
 * What a changed form says otherwise than the key: fields that stay are not sent, for they are not judged again.
 * @param {Draft} draft
 * @param {KeyRecord} key
 * @returns {Record<string, any>}
 */
export function changeOf(draft, key) {
  const before = bodyOf(draftOf(key));
  const told = Object.entries(bodyOf(draft)).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name]));
  return Object.fromEntries(told.filter(([name]) => name !== "name"));
}

/**
 * Names between commas or line ends, each once.
 * @param {string} text
 */
export function listed(text) {
  return [...new Set(text.split(/[,\n]/).map((one) => one.trim()).filter(Boolean))];
}

/**
 * A number as people write it: 2,000,000, 2M, 50. What is none stays a text; nothing is null.
 * @param {string} text
 * @returns {number | string | null}
 */
export function figure(text) {
  const plain = text.trim();
  if (!plain) return null;
  const found = /^(\d+(?:\.\d+)?|\.\d+)\s*([kmg]?)$/i.exec(plain.replace(/[,_]/g, ""));
  if (!found) return plain;
  // 0.3M is 300000 and not 300000.00000000006.
  return Number((Number(found[1]) * (SIZES[(found[2] ?? "").toLowerCase()] ?? 1)).toPrecision(15));
}

/**
 * The text of a field for local time as a moment in UTC.
 * @param {string} text
 */
function moment(text) {
  if (!text) return null;
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? text : at.toISOString();
}

/**
 * A moment as a field for local time wants it, to the minute.
 * @param {Date} at
 */
export function local(at) {
  const shifted = new Date(at.getTime() - at.getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, 16);
}

/**
 * How much of a limit is used or held, from 0 to 1.
 * @param {LimitState} limit
 */
export function filled(limit) {
  if (limit.max <= 0) return 1;
  return Math.min(1, Math.max(0, (limit.used + limit.held) / limit.max));
}
