// The state of an account in a word.

import { maybe } from "../../text.js";

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
