// What keys have used, day by day, from one answer of the API. Pure. Days and months are those of UTC, as in limits.

/** @import {Sums} from "../../api-types.js" */
/** @typedef {{requests: number, cost: number | null, tokens: number, unpriced: number, estimated: number}} Spend */
/** @typedef {{today: Spend, month: Spend, days: {time: string, spend: Spend}[]}} Spent */

const DAY = 86_400_000;
export const DAYS = 7;

/**
 * From when on sums are needed: the month so far, and the last days.
 * @param {number} now milliseconds since 1970
 */
export function since(now) {
  return new Date(Math.min(monthOf(now), dayOf(now) - (DAYS - 1) * DAY)).toISOString();
}

/**
 * @param {Sums[]} rows of one key, by day
 * @param {number} now
 * @returns {Spent}
 */
export function spentOf(rows, now) {
  const days = Array.from({ length: DAYS }, (_, at) => dayOf(now) - (DAYS - 1 - at) * DAY);
  /** @param {(at: number) => boolean} within */
  const of = (within) => sum(rows.filter((row) => row.time && within(Date.parse(row.time))));
  return {
    today: of((at) => at >= dayOf(now)),
    month: of((at) => at >= monthOf(now)),
    days: days.map((day) => ({ time: new Date(day).toISOString(), spend: of((at) => at >= day && at < day + DAY) })),
  };
}

/**
 * Costs that are known, together; null where there were requests and none of them has a price.
 * @param {Sums[]} rows
 * @returns {Spend}
 */
export function sum(rows) {
  /** @param {(row: Sums) => number} value */
  const of = (value) => rows.reduce((all, row) => all + value(row), 0);
  const known = rows.filter((row) => row.cost_usd !== null);
  return {
    requests: of((row) => row.requests),
    cost: known.length || !rows.some((row) => row.unpriced) ? known.reduce((all, row) => all + (row.cost_usd ?? 0), 0) : null,
    tokens: of((row) => row.input_tokens + row.output_tokens),
    unpriced: of((row) => row.unpriced),
    estimated: of((row) => row.estimated),
  };
}

/** @param {number} now */
function dayOf(now) {
  return Math.floor(now / DAY) * DAY;
}

/** @param {number} now */
function monthOf(now) {
  const at = new Date(now);
  return Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), 1);
}
