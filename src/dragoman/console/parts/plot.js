// Series over time as a picture: bars that stand on each other, or a line. It is drawn on a canvas, so what it
// shows stands in a table below it as well, for those who listen or use the keyboard.

import { html, useEffect, useLayoutEffect, useRef, useState } from "../html.js";
import { theme } from "../theme.js";
import UPlot, { STYLE } from "../vendor/plot.js";

/** @import {Paint} from "./bar.js" */
/** @typedef {ConstructorParameters<typeof UPlot>[0]} Options */
/** @typedef {NonNullable<ConstructorParameters<typeof UPlot>[1]>} AlignedData */
/** @typedef {{name: string, paint: Paint, values: (number | null)[]}} Line */
/**
 * @typedef {{
 *   times: number[],
 *   until: number,
 *   lines: Line[],
 *   bars: boolean,
 *   top?: number,
 *   text: (value: number) => string,
 *   tick: (seconds: number, step: number) => string,
 *   zone?: string,
 * }} Picture `times` are where the steps begin, in seconds; bars stand on each other, the first line lowest;
 *   `top` is the end of the scale where it is known
 */

const HEIGHT = 200;
const FONT = "12px system-ui, sans-serif";

/**
 * `onLook` tells which step is pointed at, null for none.
 * @param {{picture: Picture, label: string, onLook?: (step: number | null) => void}} props
 */
export function Plot({ picture, label, onLook }) {
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [width, setWidth] = useState(0);
  const chosen = theme.value;
  const system = useSystemTheme();
  const styled = useStyle();
  const look = useRef(onLook);
  look.current = onLook;
  // A mouse that rests says nothing to a plot that is drawn anew below it.
  const pointed = useRef({ left: -1, top: -1 });

  useLayoutEffect(() => {
    const at = box.current;
    if (!at) return undefined;
    const measure = () => setWidth(Math.floor(at.clientWidth));
    const watch = new ResizeObserver(measure);
    watch.observe(at);
    measure();
    return () => watch.disconnect();
  }, []);

  useEffect(() => {
    const at = box.current;
    if (!at || !width || !styled) return undefined;
    const drawn = new UPlot(options(picture, width, (step) => look.current?.(step)), columns(picture), at);
    if (pointed.current.left >= 0) drawn.setCursor(pointed.current);
    return () => {
      pointed.current = { left: drawn.cursor.left ?? -1, top: drawn.cursor.top ?? -1 };
      look.current?.(null);
      drawn.destroy();
    };
  }, [picture, width, chosen, system, styled]);

  return html`<div class="plot" ref=${box} role="img" aria-label=${label}></div>`;
}

/**
 * @param {Picture} picture
 * @returns {AlignedData}
 */
function columns(picture) {
  const lines = picture.bars ? stacked(picture.lines) : picture.lines.map((line) => line.values);
  return /** @type {any} */ ([picture.times, ...lines.reverse()]);
}

/**
 * Each line on top of those before it.
 * @param {Line[]} lines
 */
export function stacked(lines) {
  /** @type {number[]} */
  let below = [];
  return lines.map((line) => (below = line.values.map((value, at) => (value ?? 0) + (below[at] ?? 0))));
}

/**
 * @param {Picture} picture
 * @param {number} width
 * @param {(step: number | null) => void} onLook
 * @returns {Options}
 */
function options(picture, width, onLook) {
  const ink = colour("--ink-faint");
  const grid = { stroke: colour("--line"), width: 1 };
  const from = picture.times[0] ?? 0;
  const { zone } = picture;
  const bars = UPlot.paths.bars?.({ align: 1, size: [0.8, 60], radius: 0.1 });
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, y: false, points: { show: !picture.bars } },
    ...(zone ? { tzDate: (/** @type {number} */ seconds) => UPlot.tzDate(new Date(seconds * 1000), zone) } : {}),
    scales: {
      x: { time: true, range: [from, picture.until] },
      y: { range: (_, __, most) => [0, picture.top ?? (most > 0 ? most * 1.08 : 1)] },
    },
    axes: [
      {
        stroke: ink,
        font: FONT,
        grid: { show: false },
        ticks: grid,
        space: 70,
        size: 32,
        values: (_, splits, __, ___, step) => splits.map((at) => picture.tick(at, step)),
      },
      { stroke: ink, font: FONT, grid, ticks: { show: false }, size: 62, values: (_, splits) => splits.map(picture.text) },
    ],
    series: [
      {},
      ...picture.lines
        .map((line) => {
          const paint = colour(line.paint === "bad" ? "--bad" : `--paint-${line.paint}`);
          return picture.bars
            ? { label: line.name, fill: paint, stroke: paint, width: 0, paths: bars, points: { show: false } }
            : { label: line.name, stroke: paint, width: 2, spanGaps: false, points: { show: true, size: 5, fill: paint } };
        })
        .reverse(),
    ],
    hooks: { setCursor: [(plot) => onLook(plot.cursor.idx ?? null)] },
  };
}

/** @param {string} name of a colour in style/base.css */
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Goes up when the system turns from light to dark. */
function useSystemTheme() {
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const query = matchMedia("(prefers-color-scheme: dark)");
    const turned = () => setTurn((before) => before + 1);
    query.addEventListener("change", turned);
    return () => query.removeEventListener("change", turned);
  }, []);
  return turn;
}

/** Loads the style of the plots when the first of them is drawn; it measures itself by it. */
function useStyle() {
  const [there, setThere] = useState(false);
  useEffect(() => {
    /** @type {HTMLLinkElement | null} */
    let link = document.querySelector(`link[href="${STYLE}"]`);
    if (!link) {
      link = document.createElement("link");
      link.rel = "stylesheet";
      link.href = STYLE;
      document.head.append(link);
    }
    if (link.sheet) {
      setThere(true);
      return undefined;
    }
    const loaded = () => setThere(true);
    link.addEventListener("load", loaded);
    return () => link.removeEventListener("load", loaded);
  }, []);
  return there;
}
