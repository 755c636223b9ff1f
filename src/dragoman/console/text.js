// Every sentence of the console by its name. A screen's own are in text/<screen>.js, begin with the screen's name
// and are added here; another language would be another set of these tables.

import { ACCOUNTS } from "./text/accounts.js";
import { KEYS } from "./text/keys.js";
import { LOG } from "./text/log.js";
import { LOGIN } from "./text/login.js";
import { ME } from "./text/me.js";
import { MODELS } from "./text/models.js";
import { OVERVIEW } from "./text/overview.js";
import { SETTINGS } from "./text/settings.js";
import { SHELL } from "./text/shell.js";

const TABLE = { ...SHELL, ...LOGIN, ...ME, ...OVERVIEW, ...LOG, ...ACCOUNTS, ...KEYS, ...MODELS, ...SETTINGS };

/** @typedef {keyof typeof TABLE} TextName */

const plural = new Intl.PluralRules("en");

/**
 * A sentence; `{name}` in it is replaced.
 * @param {TextName} name
 * @param {Record<string, string | number>} [values]
 */
export function t(name, values = {}) {
  return filled(TABLE[name], values);
}

/**
 * A sentence in one of its two forms, `1 row|{n} rows`; `{n}` is the number itself.
 * @param {TextName} name
 * @param {number} n
 * @param {Record<string, string | number>} [values]
 */
export function tn(name, n, values = {}) {
  const [one = "", other = one] = TABLE[name].split("|");
  return filled(plural.select(n) === "one" ? one : other, { n, ...values });
}

/**
 * A sentence whose name is put together from what the API says; `otherwise` where there is none.
 * @param {string} name
 * @param {string} otherwise
 * @param {Record<string, string | number>} [values]
 */
export function maybe(name, otherwise, values = {}) {
  return name in TABLE ? filled(TABLE[/** @type {TextName} */ (name)], values) : otherwise;
}

/**
 * @param {string} text
 * @param {Record<string, string | number>} values
 */
function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}
