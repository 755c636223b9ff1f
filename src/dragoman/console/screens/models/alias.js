// What an alias is made of. Pure.

export const EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/** @param {string} name */
export function isGlob(name) {
  return /[*?[]/.test(name);
}

/**
 * Exact names go before every glob, whatever their place.
 * @template {{name: string}} T
 * @param {T[]} rows
 */
export function inOrder(rows) {
  return [...rows.filter((one) => !isGlob(one.name)), ...rows.filter((one) => isGlob(one.name))];
}

/**
 * A target in its two parts.
 * @param {string} text `model` or `model@effort`
 * @returns {[string, string]}
 */
export function parts(text) {
  const at = text.lastIndexOf("@");
  const effort = at < 0 ? "" : text.slice(at + 1).trim().toLowerCase();
  return EFFORTS.includes(effort) ? [text.slice(0, at).trim(), effort] : [text, ""];
}

/**
 * The same put together.
 * @param {string} model
 * @param {string} effort "" for none
 */
export function target(model, effort) {
  return effort ? `${model.trim()}@${effort}` : model.trim();
}

/** @param {string} name a glob as a name that it fits */
export function example(name) {
  return name.replace(/\[!?(.)[^\]]*\]/g, "$1").replace(/[*?]/g, "x");
}
