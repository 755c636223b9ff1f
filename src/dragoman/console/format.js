// Figures, money and times as texts. Pure: what is unknown is said to be, what is estimated is marked, and
// nothing here knows what time it is unless it is told.

const LOCALE = "en";
const whole = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 0 });
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export const UNKNOWN = "unknown";
export const NONE = "–";

/**
 * 1,234,567.
 * @param {number | null | undefined} value
 */
export function count(value) {
  return known(value) ? whole.format(value) : UNKNOWN;
}

/**
 * Tokens, short: 950, 12.3k, 1.25M.
 * @param {number | null | undefined} value
 * @param {boolean} [estimated]
 */
export function tokens(value, estimated = false) {
  if (!known(value)) return UNKNOWN;
  return mark(estimated) + short(value);
}

/** @param {number} value */
function short(value) {
  const size = Math.abs(value);
  if (size < 1_000) return whole.format(value);
  for (const [unit, letter] of /** @type {[number, string][]} */ ([
    [1e3, "k"],
    [1e6, "M"],
    [1e9, "G"],
  ])) {
    // 999,950 would be "1000k".
    if (size < unit * 999.5 || letter === "G") {
      const scaled = value / unit;
      const places = Math.abs(scaled) < 9.995 ? 2 : Math.abs(scaled) < 99.95 ? 1 : 0;
      return scaled.toFixed(places) + letter;
    }
  }
  return whole.format(value);
}

/**
 * Dollars with as many places as tell something: $1,234.56, $0.0312, $0.00004.
 * @param {number | null | undefined} value
 * @param {boolean} [estimated]
 */
export function money(value, estimated = false) {
  if (!known(value)) return UNKNOWN;
  const size = Math.abs(value);
  const places = size === 0 || size >= 0.995 ? 2 : size >= 0.01 ? 4 : Math.min(9, 1 - Math.floor(Math.log10(size)));
  const text = new Intl.NumberFormat(LOCALE, {
    minimumFractionDigits: size !== 0 && size < 0.01 ? 0 : Math.min(places, 2),
    maximumFractionDigits: places,
  }).format(size);
  return `${mark(estimated)}${value < 0 ? "−" : ""}$${text}`;
}

/**
 * A share from 0 to 1 as 0 %, 12.5 %, 100 %; a rest is never rounded away: < 0.1 %, > 99.9 %.
 * @param {number | null | undefined} value
 */
export function share(value) {
  if (!known(value)) return UNKNOWN;
  const percent = value * 100;
  if (percent > 0 && percent < 0.1) return "< 0.1 %";
  if (percent > 99.9 && percent < 100) return "> 99.9 %";
  return `${Number(percent.toFixed(1))} %`;
}

/**
 * A part of a whole, unknown where the whole is nothing.
 * @param {number | null | undefined} part
 * @param {number | null | undefined} all
 */
export function ratio(part, all) {
  return known(part) && known(all) && all > 0 ? part / all : null;
}

/**
 * Milliseconds: 0 ms, 12 ms, 1.23 s, 2 m 05 s, 1 h 02 m.
 * @param {number | null | undefined} value
 */
export function millis(value) {
  if (!known(value)) return UNKNOWN;
  if (value < 999.5) return `${Math.round(value)} ms`;
  if (value < 59_950) return `${(value / 1000).toFixed(value < 9_995 ? 2 : 1)} s`;
  return span(value / 1000);
}

/**
 * Seconds as the two largest units: 42 s, 5 m 03 s, 3 h 20 m, 2 d 04 h.
 * @param {number | null | undefined} value
 */
export function span(value) {
  if (!known(value)) return UNKNOWN;
  const seconds = Math.max(0, Math.round(value));
  if (seconds < MINUTE) return `${seconds} s`;
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} m ${two(seconds % MINUTE)} s`;
  if (seconds < DAY) return `${Math.floor(seconds / HOUR)} h ${two(Math.floor((seconds % HOUR) / MINUTE))} m`;
  return `${Math.floor(seconds / DAY)} d ${two(Math.floor((seconds % DAY) / HOUR))} h`;
}

/**
 * How far a moment is from `now`: "in 2 h 05 m", "3 m 10 s ago", "now".
 * @param {string | null | undefined} moment ISO 8601
 * @param {number} now milliseconds since 1970
 */
export function away(moment, now) {
  const at = parsed(moment);
  if (at === null) return UNKNOWN;
  const seconds = (at - now) / 1000;
  if (Math.abs(seconds) < 1) return "now";
  return seconds > 0 ? `in ${span(seconds)}` : `${span(-seconds)} ago`;
}

/**
 * A moment in local time: 14:03:22 of today, else Nov 27, 14:03, else with the year.
 * @param {string | null | undefined} moment ISO 8601
 * @param {number} now milliseconds since 1970
 */
export function clock(moment, now) {
  const at = parsed(moment);
  if (at === null) return UNKNOWN;
  const then = new Date(at);
  const today = new Date(now);
  if (then.toDateString() === today.toDateString()) {
    return `${two(then.getHours())}:${two(then.getMinutes())}:${two(then.getSeconds())}`;
  }
  const day = then.toLocaleDateString(LOCALE, { month: "short", day: "numeric" });
  const year = then.getFullYear() === today.getFullYear() ? "" : ` ${then.getFullYear()}`;
  return `${day}${year}, ${two(then.getHours())}:${two(then.getMinutes())}`;
}

/**
 * The same moment in UTC, for a title: 2027-01-31 14:03:22 UTC.
 * @param {string | null | undefined} moment
 */
export function utc(moment) {
  const at = parsed(moment);
  return at === null ? UNKNOWN : `${new Date(at).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/**
 * The local midnight that `now` is after, or that of some days before.
 * @param {number} now milliseconds since 1970
 * @param {number} [days]
 */
export function midnight(now, days = 0) {
  const then = new Date(now);
  then.setHours(0, 0, 0, 0);
  then.setDate(then.getDate() - days);
  return then.toISOString();
}

/** @param {boolean} estimated */
function mark(estimated) {
  return estimated ? "≈ " : "";
}

/** @param {number} value */
function two(value) {
  return String(value).padStart(2, "0");
}

/**
 * @param {number | null | undefined} value
 * @returns {value is number}
 */
function known(value) {
  return typeof value === "number" && Number.isFinite(value);
}

/** @param {string | null | undefined} moment */
function parsed(moment) {
  const at = moment ? Date.parse(moment) : Number.NaN;
  return Number.isNaN(at) ? null : at;
}
