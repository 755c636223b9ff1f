// Something that is read from the API and shown: loading, there, failed, asked for again. What was there stays
// while it is asked for again, so that nothing flickers.

import { round, who } from "./state.js";
import { useCallback, useEffect, useRef, useState } from "./html.js";

/**
 * @template T
 * @typedef {{
 *   data: T | null,
 *   error: Error | null,
 *   loading: boolean,
 *   at: number | null,
 *   reload: () => void,
 * }} Resource
 */

/**
 * Calls `load` now, whenever one of `inputs` changes, every `every` milliseconds while the page is visible, and
 * when the banner's button asks for it.
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} load
 * @param {unknown[]} inputs
 * @param {{every?: number}} [options]
 * @returns {Resource<T>}
 */
export function useResource(load, inputs, options = {}) {
  const [state, setState] = useState(
    /** @type {{data: T | null, error: Error | null, loading: boolean, at: number | null}} */ ({
      data: null,
      error: null,
      loading: true,
      at: null,
    }),
  );
  const loader = useRef(load);
  loader.current = load;
  const asked = useRef(/** @type {AbortController | null} */ (null));
  const again = round.value;
  const session = who.value?.id;

  const ask = useCallback(async () => {
    asked.current?.abort();
    const control = new AbortController();
    asked.current = control;
    setState((before) => ({ ...before, loading: true }));
    try {
      const data = await loader.current(control.signal);
      if (!control.signal.aborted) setState({ data, error: null, loading: false, at: Date.now() });
    } catch (error) {
      if (control.signal.aborted) return;
      const told = error instanceof Error ? error : new Error(String(error));
      setState((before) => ({ ...before, error: told, loading: false }));
    }
  }, []);

  useEffect(() => {
    void ask();
    return () => asked.current?.abort();
  }, [...inputs, again, session]);

  useEffect(() => {
    if (!options.every) return undefined;
    const look = () => {
      if (!document.hidden) void ask();
    };
    const timer = setInterval(look, options.every);
    document.addEventListener("visibilitychange", look);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, [options.every]);

  return { ...state, reload: () => void ask() };
}
