// The log's filters: from the address, for the API, and judged on a row that the feed brings. Pure.

/** @import {LogRow} from "./api-types.js" */
/** @typedef {Record<string, string>} Filters by the names of the API, and `range` */

// What the address may hold. Everything but `range` is the API's.
export const FILTERS = [
  ...["range", "since", "until", "search", "key", "requested_model", "upstream_model", "account", "outcome"],
  ...["status", "error_type", "cache_verdict", "lane", "client", "session_hash", "conversation_hash", "request_id"],
];

const HOUR = 3_600_000;
/** @type {Record<string, number>} milliseconds */
export const RANGES = { "1h": HOUR, "24h": 24 * HOUR, "7d": 168 * HOUR, "30d": 720 * HOUR };

const EQUAL = /** @type {(keyof LogRow)[]} */ ([
  ...["key", "requested_model", "upstream_model", "account", "outcome", "error_type", "lane"],
  ...["session_hash", "conversation_hash", "request_id"],
]);
const HASH = /^[0-9a-f]{6,32}$/;

/**
 * The filters of an address, those that are known and not empty.
 * @param {Record<string, string>} query
 * @returns {Filters}
 */
export function filtersOf(query) {
  /** @type {Filters} */
  const found = {};
  for (const name of FILTERS) if (query[name]) found[name] = query[name];
  if (found.range && !Object.hasOwn(RANGES, found.range)) delete found.range;
  return found;
}

/**
 * The same filters as the API takes them.
 * @param {Filters} filters
 * @param {number} now milliseconds since 1970
 * @returns {Record<string, string>}
 */
export function asked(filters, now) {
  const { range, ...rest } = filters;
  const width = range && RANGES[range];
  return width ? { ...rest, since: new Date(now - width).toISOString() } : rest;
}

/**
 * Whether a row that the feed brings is one of those that are listed; the API judges in the same way.
 * @param {Filters} filters
 * @param {LogRow} row
 * @param {number} now milliseconds since 1970
 */
export function fits(filters, row, now) {
  const { since, until, status, cache_verdict: verdict, client, search } = asked(filters, now);
  if (EQUAL.some((name) => filters[name] && row[name] !== filters[name])) return false;
  if (status && String(row.status) !== status) return false;
  if (client && !row.client.startsWith(client)) return false;
  if (verdict && row.cache_verdict !== verdict && row.cache_verdict?.split("(")[0] !== verdict) return false;
  const at = Date.parse(row.time);
  if ((since && at < Date.parse(since)) || (until && at >= Date.parse(until))) return false;
  return !search?.trim() || mentions(row, search.trim());
}

/**
 * @param {LogRow} row
 * @param {string} search
 */
function mentions(row, search) {
  if (row.request_id === search) return true;
  if (HASH.test(search) && [row.session_hash, row.conversation_hash].some((hash) => hash?.startsWith(search))) return true;
  const part = search.toLowerCase();
  return [row.requested_model, row.upstream_model, row.client, row.error_type].some((text) => text?.toLowerCase().includes(part));
}

/**
 * What tells one row from every other: clients may choose an id again.
 * @param {{request_id: string, time: string}} row
 */
export function identity(row) {
  return `${row.request_id} ${row.time}`;
}

/**
 * Two lists as one, newest first, each row once.
 * @template {{request_id: string, time: string}} T
 * @param {T[]} one
 * @param {T[]} other
 * @returns {T[]}
 */
export function joined(one, other) {
  const found = new Map([...other, ...one].map((row) => [identity(row), row]));
  return [...found.values()].sort((a, b) => (a.time < b.time ? 1 : a.time > b.time ? -1 : 0));
}

/**
 * A moment of the address as a field for local date and time wants it, "" for none.
 * @param {string | undefined} moment ISO 8601
 */
export function localField(moment) {
  const at = moment ? new Date(moment) : null;
  if (!at || Number.isNaN(at.getTime())) return "";
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/**
 * The same back again: local date and time as ISO 8601 in UTC.
 * @param {string} local
 */
export function momentOf(local) {
  const at = local ? new Date(local) : null;
  return at && !Number.isNaN(at.getTime()) ? at.toISOString() : "";
}
