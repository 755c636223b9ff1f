// Requests as they end: one feed for the page, open while a screen listens and the page is seen. What was missed
// in between is in the log; `onGap` tells that something may have been.

import { address, lookWho } from "./api.js";
import { signal, useEffect, useRef } from "./html.js";

/** @import {LogRow} from "./api-types.js" */
/** @typedef {{onRow: (row: LogRow) => void, onGap: () => void}} Listener */

/** `live` while the feed is open, `waiting` while it is opened (again), `off` while nobody listens. */
export const feed = signal(/** @type {"live" | "waiting" | "off"} */ ("off"));

// Between two attempts, in milliseconds: doubled up to the bound.
const FIRST = 1_000;
const LONGEST = 30_000;

/** @type {Set<Listener>} */
const listeners = new Set();
/** @type {EventSource | null} */
let source = null;
let wait = FIRST;
let timer = 0;
let before = false;

/**
 * Listens for as long as the component is drawn.
 * @param {(row: LogRow) => void} onRow
 * @param {() => void} [onGap] asks for what was missed
 */
export function useLive(onRow, onGap) {
  const now = useRef({ onRow, onGap });
  now.current = { onRow, onGap };
  useEffect(() => {
    /** @type {Listener} */
    const listener = {
      onRow: (row) => now.current.onRow(row),
      onGap: () => now.current.onGap?.(),
    };
    listeners.add(listener);
    look();
    return () => {
      listeners.delete(listener);
      look();
    };
  }, []);
}

document.addEventListener("visibilitychange", look);

/** Opens or closes, as is wanted now. */
function look() {
  const wanted = listeners.size > 0 && !document.hidden;
  if (wanted && !source && !timer) open();
  if (!wanted) {
    clearTimeout(timer);
    timer = 0;
    source?.close();
    source = null;
    feed.value = "off";
    before = before && listeners.size > 0;
  }
}

function open() {
  timer = 0;
  feed.value = "waiting";
  const made = new EventSource(address("/live"));
  source = made;
  made.addEventListener("open", () => {
    wait = FIRST;
    feed.value = "live";
    if (before) for (const one of [...listeners]) one.onGap();
    before = true;
  });
  made.addEventListener("row", (event) => {
    const row = /** @type {LogRow} */ (JSON.parse(/** @type {MessageEvent} */ (event).data));
    for (const one of [...listeners]) one.onRow(row);
  });
  made.addEventListener("dropped", again);
  made.addEventListener("error", again);
}

/** The feed has ended or was refused, for a reason that an EventSource does not tell. */
function again() {
  if (timer) return;
  source?.close();
  source = null;
  feed.value = "waiting";
  timer = setTimeout(() => {
    timer = 0;
    // Perhaps nobody is logged in any more: then the screen goes, and with it its listener.
    void lookWho().then(look);
  }, wait);
  wait = Math.min(LONGEST, wait * 2);
}
