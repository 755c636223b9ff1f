// One submission at a time, and what was wrong with the last one.

import { useState } from "./html.js";

/**
 * `submits(act)` is an onSubmit; `error` is the last failure, for `problemOf` and `problemElse` of parts/field.js.
 */
export function useForm() {
  const [error, setError] = useState(/** @type {Error | null} */ (null));
  const [busy, setBusy] = useState(false);
  /** @param {() => Promise<unknown>} act */
  const run = async (act) => {
    setBusy(true);
    setError(null);
    try {
      await act();
    } catch (reason) {
      setError(reason instanceof Error ? reason : new Error(String(reason)));
    } finally {
      setBusy(false);
    }
  };
  /** @param {() => Promise<unknown>} act */
  const submits = (act) => (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!busy) void run(act);
  };
  return { error, busy, run, submits };
}
