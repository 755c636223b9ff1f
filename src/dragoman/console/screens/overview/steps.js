// The time that is looked at, cut into steps, and what is shown of each. Pure.

import { clock, count, money, ratio, share, tokens } from "../../format.js";

/** @import {Sums} from "../../api-types.js" */
/** @import {TextName} from "../../text.js" */
/** @import {Line} from "../../parts/plot.js" */
/** @typedef {"24h" | "7d" | "30d"} Range */
/** @typedef {"requests" | "tokens" | "cost" | "cached"} Measure */
/** @typedef {{at: number, sums: Sums | null}} Step `at` in milliseconds since 1970, where the step begins */

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** @type {Record<Range, {bucket: "hour" | "day", width: number, steps: number}>} */
export const RANGES = {
  "24h": { bucket: "hour", width: HOUR, steps: 24 },
  "7d": { bucket: "hour", width: HOUR, steps: 7 * 24 },
  "30d": { bucket: "day", width: DAY, steps: 30 },
};
/** @type {Measure[]} */
export const MEASURES = ["requests", "tokens", "cost", "cached"];

/**
 * Where a range begins: the last of its steps is the one that is not over. Days are those of UTC.
 * @param {Range} range
 * @param {number} now
 */
export function beginning(range, now) {
  const { width, steps } = RANGES[range];
  return Math.floor(now / width) * width - (steps - 1) * width;
}

/**
 * Every step of a range, also those without requests.
 * @param {Range} range
 * @param {number} start as `beginning` has it
 * @param {Sums[]} found
 * @returns {Step[]}
 */
export function steps(range, start, found) {
  const known = new Map(found.map((sums) => [Date.parse(sums.time ?? ""), sums]));
  const { width, steps: all } = RANGES[range];
  return Array.from({ length: all }, (_, step) => {
    const at = start + step * width;
    return { at, sums: known.get(at) ?? null };
  });
}

/**
 * What a measure draws.
 * @param {Measure} measure
 * @param {Step[]} all
 * @param {(name: TextName) => string} word
 * @returns {{lines: Line[], bars: boolean, top?: number, text: (value: number) => string}}
 */
export function drawn(measure, all, word) {
  /** @param {(sums: Sums) => number | null} of */
  const values = (of) => all.map(({ sums }) => (sums ? of(sums) : null));
  switch (measure) {
    case "requests":
      return {
        bars: true,
        text: whole,
        lines: [
          { name: word("overview.answered"), paint: "one", values: values((sums) => sums.requests - sums.errors) },
          { name: word("overview.failed"), paint: "bad", values: values((sums) => sums.errors) },
        ],
      };
    case "tokens":
      return {
        bars: true,
        text: (value) => tokens(value),
        lines: [
          { name: word("overview.tokens.cached"), paint: "four", values: values((sums) => sums.cached_tokens) },
          { name: word("overview.tokens.fresh"), paint: "two", values: values((sums) => sums.input_tokens - sums.cached_tokens) },
          { name: word("overview.tokens.output"), paint: "three", values: values((sums) => sums.output_tokens) },
        ],
      };
    case "cost":
      return {
        bars: true,
        text: (value) => money(value),
        lines: [{ name: word("overview.cost"), paint: "one", values: values((sums) => sums.cost_usd) }],
      };
    case "cached":
      return {
        bars: false,
        top: 1,
        text: share,
        lines: [{ name: word("overview.cached.share"), paint: "four", values: values((sums) => ratio(sums.cached_tokens, sums.input_tokens)) }],
      };
  }
}

/**
 * A step's name: hours by the local clock, days by their date in UTC.
 * @param {Range} range
 * @param {number} at
 * @param {number} now
 */
export function named(range, at, now) {
  if (RANGES[range].bucket === "day") {
    return new Date(at).toLocaleDateString("en", { month: "short", day: "numeric", timeZone: "UTC" });
  }
  return clock(new Date(at).toISOString(), now).replace(/(:\d\d):00$/, "$1");
}

/**
 * What stands at a tick of the time's axis: the hour, or the date where a day begins.
 * @param {Range} range
 * @param {number} seconds
 */
export function ticked(range, seconds) {
  const then = new Date(seconds * 1000);
  if (RANGES[range].bucket === "hour" && (then.getHours() || then.getMinutes())) {
    return `${String(then.getHours()).padStart(2, "0")}:${String(then.getMinutes()).padStart(2, "0")}`;
  }
  const zone = RANGES[range].bucket === "day" ? { timeZone: "UTC" } : {};
  return then.toLocaleDateString("en", { month: "short", day: "numeric", ...zone });
}

/** @param {number} value */
function whole(value) {
  return Number.isInteger(value) ? count(value) : "";
}
