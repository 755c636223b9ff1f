// The state of an account in a word, and what the API says to do in the words of a page.

import { maybe, t } from "../../text.js";

/** @import {AccountRecord} from "../../api-types.js" */

/**
 * What an account is now: what is kept of it goes before what the pool has.
 * @param {AccountRecord} one
 */
export function stateOf(one) {
  if (one.status !== "active") return one.status;
  return one.live ? one.live.state : "unknown";
}

/** @param {string} state */
export function stateWord(state) {
  return maybe(`accounts.state.${state}`, state);
}

/**
 * The API names verbs of a shell; here there are buttons.
 * @param {string} fix
 */
export function remedy(fix) {
  return fix
    .replace(/`?dragoman account login \S+`?/, t("accounts.fix.login"))
    .replace(/`?dragoman account remove \S+`?/, t("accounts.fix.remove"));
}
