// A key that was just made, for the page of clients: in the memory of this page alone, until it is reloaded,
// somebody logs out, or it is put away by hand.

import { effect, signal } from "../../html.js";
import { who } from "../../state.js";

/** @typedef {{name: string, text: string}} Made */

/** @type {import("../../html.js").Signal<Made | null>} */
export const made = signal(null);

effect(() => {
  if (!who.value) made.value = null;
});
