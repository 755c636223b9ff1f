// What the whole console knows: who is logged in, where one is, what does not answer, what was just done.
// A screen's own state stays in the screen.

import { computed, signal } from "./html.js";

/** @import {Me} from "./api-types.js" */
/** @typedef {{message: string}} Outage */
/** @typedef {{id: number, text: string, kind: "done" | "bad"}} Notice */

/**
 * Who is logged in: undefined until the first answer, null for nobody.
 * @type {import("./html.js").Signal<Me | null | undefined>}
 */
export const who = signal(undefined);

/** Whether there is no user yet: the first one is made then. */
export const fresh = signal(false);

/** Whether a session ended by itself, not by its owner. */
export const ended = signal(false);

/** Whether changes are offered. A viewer's screens leave them out. */
export const mayChange = computed(() => who.value?.role === "admin");

/**
 * Why the gateway or its store does not answer now, null while it does.
 * @type {import("./html.js").Signal<Outage | null>}
 */
export const outage = signal(null);

/** Goes up when everything that is shown is to be asked for again. */
export const round = signal(0);

/** @type {import("./html.js").Signal<Notice[]>} */
export const notices = signal([]);

let given = 0;

/**
 * Says in a corner what was done, or could not be.
 * @param {string} text
 * @param {"done" | "bad"} [kind]
 */
export function notify(text, kind = "done") {
  const id = ++given;
  notices.value = [...notices.value, { id, text, kind }];
  setTimeout(() => drop(id), kind === "bad" ? 12_000 : 5_000);
}

/** @param {number} id */
export function drop(id) {
  notices.value = notices.value.filter((one) => one.id !== id);
}
