// What a component is written with: htm bound to preact, hooks and signals. Everything else imports from here,
// so that the libraries' versions are known to vendor/view.js alone.

import { h, htm } from "./vendor/view.js";

/** @typedef {ReturnType<typeof h>} View */
/** @typedef {View | string | number | boolean | null | undefined | Children[]} Children */

/**
 * A template as a view. What is put in is a text, an attribute or a view, never HTML.
 * @type {(strings: TemplateStringsArray, ...values: any[]) => View}
 */
export const html = /** @type {any} */ (htm.bind(h));

export {
  Fragment,
  batch,
  computed,
  effect,
  render,
  signal,
  untracked,
  useCallback,
  useComputed,
  useEffect,
  useId,
  useLayoutEffect,
  useMemo,
  useRef,
  useSignal,
  useSignalEffect,
  useState,
} from "./vendor/view.js";

/**
 * A signal, for annotations.
 * @template T
 * @typedef {{value: T, peek(): T, subscribe(fn: (value: T) => void): () => void}} Signal
 */
