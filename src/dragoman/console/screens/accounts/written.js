// An operator's rules as texts of fields, and back. Pure.

/** @import {AccountRecord, AccountsRules} from "../../api-types.js" */
/** @typedef {{weight: string, priority: string, group: string, concurrency: string, models: string}} Written */

/**
 * Rules as texts of fields; without an account those that a new one has.
 * @param {AccountRecord} [of]
 * @returns {Written}
 */
export function written(of) {
  return {
    weight: String(of?.weight ?? 1),
    priority: String(of?.priority ?? 0),
    group: of?.group ?? "",
    concurrency: of?.concurrency == null ? "" : String(of.concurrency),
    models: (of?.models ?? []).join("\n"),
  };
}

/**
 * The same for the API. What is no number goes as it is: the API says what is wrong with it.
 * @param {Written} texts
 * @returns {AccountsRules}
 */
export function rulesFrom(texts) {
  const models = lines(texts.models);
  return {
    weight: /** @type {number} */ (numeric(texts.weight)),
    priority: /** @type {number} */ (numeric(texts.priority)),
    group: texts.group.trim(),
    concurrency: texts.concurrency.trim() ? /** @type {number} */ (numeric(texts.concurrency)) : null,
    models: models.length ? models : null,
  };
}

/**
 * Those that differ, so that what another admin changed meanwhile stays.
 * @param {AccountsRules} rules
 * @param {AccountRecord} of
 */
export function changes(rules, of) {
  const before = /** @type {Record<string, unknown>} */ (/** @type {unknown} */ (of));
  // An account that is to serve no model at all has the same empty field as one that takes any.
  const kept = of.models?.length === 0 && rules.models === null ? { ...rules, models: [] } : rules;
  return Object.fromEntries(Object.entries(kept).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name])));
}

/** @param {string} text */
export function lines(text) {
  return [...new Set(text.split(/[\n,]/).map((one) => one.trim()).filter(Boolean))];
}

/** @param {string} text */
function numeric(text) {
  const value = Number(text.trim().replace(",", "."));
  return text.trim() && Number.isFinite(value) ? value : text.trim();
}
