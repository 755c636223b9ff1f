// Where one is: `/console#/log/req_1?key=dev` is the screen `log`, its rest `["req_1"]` and its query. The
// address is the only memory of it, so that it can be shared and comes back after a login.

import { computed, signal } from "./html.js";

/** @typedef {{screen: string, rest: string[], query: Record<string, string>}} Place */

const hash = signal(location.hash);
addEventListener("hashchange", () => {
  hash.value = location.hash;
});

/** @type {import("./html.js").Signal<Place>} */
export const place = computed(() => parse(hash.value));

/**
 * @param {string} text a hash, with or without `#`
 * @returns {Place}
 */
export function parse(text) {
  const [path = "", query = ""] = text.replace(/^#?\/?/, "").split(/\?(.*)/s);
  const [screen = "", ...rest] = path.split("/").filter(Boolean).map(decoded);
  return { screen, rest, query: Object.fromEntries(new URLSearchParams(query)) };
}

/** @param {string} part */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/**
 * The address of a place, for `href`.
 * @param {string} screen
 * @param {string[]} [rest]
 * @param {Record<string, string | number | null | undefined>} [query] what is null, undefined or "" is left out
 */
export function to(screen, rest = [], query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return "#/" + [screen, ...rest].map(encodeURIComponent).join("/") + (text ? `?${text}` : "");
}

/**
 * Goes there, at once: the next key that is pressed meets the new screen, though the browser tells of the change
 * later. `replace` leaves no step back: for filters that change with every key.
 * @param {string} address as `to` makes it
 * @param {{replace?: boolean}} [options]
 */
export function go(address, options = {}) {
  if (options.replace) {
    history.replaceState(null, "", address);
  } else {
    location.hash = address;
  }
  hash.value = location.hash;
}
