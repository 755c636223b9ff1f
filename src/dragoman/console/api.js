// The admin API: one function to read, one to change. It decides what an answer means for the whole console:
// 401 leads to the login, 503 and silence to the banner; every other failure is the caller's to show.

import { ended, fresh, outage, who } from "./state.js";
import { t } from "./text.js";

/** @import {Failed, Me, Visit} from "./api-types.js" */
/** @typedef {Record<string, string | number | boolean | null | undefined>} Query */
/** @typedef {{signal?: AbortSignal, quiet?: boolean}} Options */

const API = "/admin/api";

/** A refusal, in the words of the API. `path` names the field that is to blame, status 0 is silence. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   * @param {{type?: string, path?: string | null, requestId?: string, retryAfter?: number | null}} [more]
   */
  constructor(status, message, more = {}) {
    super(message);
    this.status = status;
    this.type = more.type ?? "";
    this.path = more.path ?? null;
    this.requestId = more.requestId ?? "";
    this.retryAfter = more.retryAfter ?? null;
  }

  /** The message without the field's name in front, for where it stands beside the field. */
  get said() {
    const front = `${this.path}: `;
    return this.path && this.message.startsWith(front) ? this.message.slice(front.length) : this.message;
  }
}

/**
 * The address of an operation; null, undefined and "" are left out of the query.
 * @param {string} path below /admin/api, its parts encoded by `segment`
 * @param {Query} [query]
 */
export function address(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return API + path + (text ? `?${text}` : "");
}

/**
 * A name as one part of a path.
 * @param {string} name
 */
export function segment(name) {
  return encodeURIComponent(name);
}

/**
 * Reads.
 * @template T
 * @param {string} path
 * @param {Query} [query]
 * @param {Options} [options]
 * @returns {Promise<T>}
 */
export async function get(path, query = {}, options = {}) {
  return await ask("GET", address(path, query), undefined, options);
}

/**
 * Changes something. Raises ApiError; nothing is tried twice but after a token of the session that was stale.
 * @template T
 * @param {"POST" | "PUT" | "PATCH" | "DELETE"} method
 * @param {string} path
 * @param {unknown} [body]
 * @param {Options} [options]
 * @returns {Promise<T>}
 */
export async function send(method, path, body, options = {}) {
  try {
    return await ask(method, address(path), body, options);
  } catch (error) {
    // Another tab may have logged in anew: the session's token is another then.
    if (!(error instanceof ApiError) || error.status !== 403 || !(await renewed())) throw error;
    return await ask(method, address(path), body, options);
  }
}

/** Asks who is logged in: at the start, and when something about oneself has changed. */
export async function lookWho() {
  try {
    const visit = /** @type {Visit} */ (await get("/session"));
    fresh.value = visit.setup;
    if (visit.me === null && who.peek()) ended.value = true;
    who.value = visit.me;
  } catch {
    // The banner says so, and its button asks again.
  }
}

// What did not answer, by method and path, with what was said; null for silence. The banner stands until each
// was answered again, so that the answers of others do not make it come and go.
/** @type {Map<string, string | null>} */
const down = new Map();

/** Takes the banner away: everything is asked again now, or nobody asks for it any more. */
export function forgive() {
  down.clear();
  outage.value = null;
}

/**
 * @param {string} name
 * @param {string | null} message
 */
function fell(name, message) {
  down.set(name, message);
  outage.value = { message: message ?? t("outage.silent") };
}

/** @param {string} name */
function answered(name) {
  if (!down.size) return;
  down.delete(name);
  for (const [other, message] of down) if (message === null) down.delete(other);
  if (!down.size) outage.value = null;
}

async function renewed() {
  const before = who.peek()?.csrf_token;
  const now = /** @type {Me} */ (await get("/me"));
  who.value = now;
  return now.csrf_token !== before;
}

/**
 * @param {string} method
 * @param {string} url
 * @param {unknown} body
 * @param {Options} options
 * @returns {Promise<any>}
 */
async function ask(method, url, body, options) {
  const name = `${method} ${url.split("?")[0]}`;
  /** @type {Record<string, string>} */
  const headers = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  const csrf = who.peek()?.csrf_token;
  if (method !== "GET" && csrf) headers["x-csrf-token"] = csrf;
  let answer;
  try {
    answer = await fetch(url, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: options.signal,
      credentials: "same-origin",
      cache: "no-store",
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    fell(name, null);
    throw new ApiError(0, t("outage.silent"));
  }
  if (answer.ok) {
    answered(name);
    return answer.status === 204 ? undefined : await answer.json();
  }
  const failure = await failed(answer);
  if (failure.status === 503) fell(name, failure.message);
  else answered(name);
  // The login's own 401 is an answer to show, not the end of a session.
  if (failure.status === 401 && !options.quiet) {
    if (who.peek()) ended.value = true;
    who.value = null;
  }
  throw failure;
}

/** @param {Response} answer */
async function failed(answer) {
  const wait = Number(answer.headers.get("retry-after"));
  const more = {
    requestId: answer.headers.get("request-id") ?? "",
    retryAfter: Number.isFinite(wait) && wait > 0 ? wait : null,
  };
  try {
    const told = /** @type {Failed} */ (await answer.json());
    return new ApiError(answer.status, told.error.message, { ...more, ...told.error });
  } catch {
    return new ApiError(answer.status, t("error.unreadable", { status: answer.status }), more);
  }
}
