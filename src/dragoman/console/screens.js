// The screens of the navigation, in its order; at most six. Each is loaded when it is opened first, and is one
// component without props that reads `place` (router.js) for the rest of its address.

/** @import {View} from "./html.js" */
/** @import {TextName} from "./text.js" */
/** @typedef {{id: string, key: string, name: TextName, load: () => Promise<{default: () => View | null}>}} Screen */

/** @type {Screen[]} `key` follows `g` on the keyboard */
export const SCREENS = [
  { id: "overview", key: "o", name: "nav.overview", load: () => import("./screens/overview.js") },
  { id: "accounts", key: "a", name: "nav.accounts", load: () => import("./screens/accounts.js") },
  { id: "models", key: "m", name: "nav.models", load: () => import("./screens/models.js") },
];

/** @type {Screen[]} those that are reached from elsewhere */
export const OTHERS = [{ id: "me", key: "", name: "me.title", load: () => import("./screens/me.js") }];
