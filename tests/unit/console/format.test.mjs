// Figures, money and times as people read them.

import assert from "node:assert/strict";
import { test } from "node:test";

import * as format from "../../../src/dragoman/console/format.js";

const NOW = new Date(2027, 0, 31, 14, 3, 22).getTime();
const iso = (/** @type {number} */ at) => new Date(at).toISOString();

test("what is not known is said to be, and is never nothing", () => {
  for (const as of [format.count, format.tokens, format.money, format.share, format.millis, format.span]) {
    assert.equal(as(null), "unknown");
    assert.equal(as(undefined), "unknown");
    assert.equal(as(Number.NaN), "unknown");
    assert.notEqual(as(0), "unknown");
  }
  assert.equal(format.clock(null, NOW), "unknown");
  assert.equal(format.away("never", NOW), "unknown");
  assert.equal(format.utc(undefined), "unknown");
  assert.equal(format.ratio(1, 0), null);
  assert.equal(format.ratio(null, 5), null);
});

test("tokens are short and keep three figures", () => {
  const cases = { 0: "0", 999: "999", 1000: "1.00k", 12_345: "12.3k", 123_456: "123k", 999_400: "999k" };
  for (const [value, text] of Object.entries(cases)) assert.equal(format.tokens(Number(value)), text);
  assert.equal(format.tokens(999_950), "1.00M");
  assert.equal(format.tokens(1_250_000), "1.25M");
  assert.equal(format.tokens(99_960), "100k");
  assert.equal(format.tokens(3_000_000_000_000), "3000G");
  assert.equal(format.tokens(5_000, true), "≈ 5.00k");
});

test("money has as many places as tell something", () => {
  const cases = [
    [0, "$0.00"],
    [1234.5, "$1,234.50"],
    [1, "$1.00"],
    [0.5, "$0.50"],
    [0.0312, "$0.0312"],
    [0.9999, "$1.00"],
    [0.0045, "$0.0045"],
    [0.0000421, "$0.000042"],
    [-0.25, "−$0.25"],
  ];
  for (const [value, text] of cases) assert.equal(format.money(/** @type {number} */ (value)), text);
  assert.equal(format.money(2, true), "≈ $2.00");
});

test("a share's rest is not rounded away", () => {
  assert.equal(format.share(0), "0 %");
  assert.equal(format.share(1), "100 %");
  assert.equal(format.share(0.125), "12.5 %");
  assert.equal(format.share(0.0001), "< 0.1 %");
  assert.equal(format.share(0.9999), "> 99.9 %");
});

test("times have their two largest units", () => {
  assert.equal(format.millis(0), "0 ms");
  assert.equal(format.millis(999.4), "999 ms");
  assert.equal(format.millis(999.6), "1.00 s");
  assert.equal(format.millis(12_345), "12.3 s");
  assert.equal(format.millis(59_960), "1 m 00 s");
  assert.equal(format.span(59), "59 s");
  assert.equal(format.span(3_661), "1 h 01 m");
  assert.equal(format.span(180_000), "2 d 02 h");
  assert.equal(format.span(-5), "0 s");
});

test("moments are local, with the day where it is another", () => {
  assert.equal(format.clock(iso(NOW), NOW), "14:03:22");
  assert.equal(format.clock(iso(NOW - 86_400_000), NOW), "Jan 30, 14:03");
  assert.equal(format.clock(iso(new Date(2026, 10, 27, 9, 5).getTime()), NOW), "Nov 27 2026, 09:05");
  assert.equal(format.utc("2027-01-31T14:03:22.500Z"), "2027-01-31 14:03:22 UTC");
  assert.equal(format.away(iso(NOW + 7_500_000), NOW), "in 2 h 05 m");
  assert.equal(format.away(iso(NOW - 190_000), NOW), "3 m 10 s ago");
  assert.equal(format.away(iso(NOW), NOW), "now");
  assert.equal(new Date(format.midnight(NOW)).getTime(), new Date(2027, 0, 31).getTime());
  assert.equal(new Date(format.midnight(NOW, 6)).getTime(), new Date(2027, 0, 25).getTime());
});
