// The screens of the navigation, in its order; at most six. Each is loaded when it is opened first, and is one
// component without props that reads `place` (router.js) for the rest of its address.

/** @import {View} from "./html.js" */
/** @import {TextName} from "./text.js" */
/** @typedef {{id: string, key: string, name: TextName, load: () => Promise<{default: () => View | null}>}} Screen */

/** @type {Screen[]} `key` follows `g` on the keyboard */
export const SCREENS = [
  { id: "overview", key: "o", name: "nav.overview", load: () => import("./screens/overview.js") },
  { id: "log", key: "l", name: "nav.log", load: () => import("./screens/log.js") },
  { id: "accounts", key: "a", name: "nav.accounts", load: () => import("./screens/accounts.js") },
  { id: "keys", key: "k", name: "nav.keys", load: () => import("./screens/keys.js") },
  { id: "models", key: "m", name: "nav.models", load: () => import("./screens/models.js") },
  { id: "settings", key: "s", name: "nav.settings", load: () => import("./screens/settings.js") },
];

/** @type {Screen[]} those that are reached from elsewhere */
export const OTHERS = [{ id: "me", key: "", name: "me.title", load: () => import("./screens/me.js") }];
