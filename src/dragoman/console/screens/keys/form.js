// The form of a key, new or changed. What is wrong stands beside its field, as the API says it.

import { ApiError, segment, send } from "../../api.js";
import { useForm } from "../../form.js";
import { html, useState } from "../../html.js";
import { Area } from "../../parts/area.js";
import { Dialog } from "../../parts/dialog.js";
import { Choice, Field, Problem, problemOf } from "../../parts/field.js";
import { Tick } from "../../parts/tick.js";
import { t } from "../../text.js";
import { bodyOf, changeOf, draftOf, EFFORTS, local, MEASURES, newLimit, PERIODS } from "./draft.js";

/** @import {KeyRecord, MadeKey} from "../../api-types.js" */
/** @import {TextName} from "../../text.js" */
/** @import {Draft, LimitDraft} from "./draft.js" */

const DAY = 86_400_000;
const SPANS = [30, 90, 365];
const PLAIN = ["name", "concurrency", "expires_at", "default_effort", "max_effort", "enforced_effort"];
const LISTS = ["tags", "models", "account_groups"];

/**
 * `of` is the key that is changed; without it one is made.
 * @param {{of?: KeyRecord, onClose: () => void, onDone: (key: MadeKey | KeyRecord) => void}} props
 */
export function KeyForm({ of, onClose, onDone }) {
  const [draft, setDraft] = useState(() => draftOf(of));
  const form = useForm();
  const { error } = form;
  /** @param {Partial<Draft>} change */
  const set = (change) => setDraft((before) => ({ ...before, ...change }));
  const save = form.submits(async () => {
    if (!of) return onDone(await send("POST", "/keys", bodyOf(draft)));
    const change = changeOf(draft, of);
    return onDone(Object.keys(change).length ? await send("PATCH", `/keys/${segment(of.id ?? of.name)}`, change) : of);
  });
  const unmatched = error instanceof ApiError && /^(models\.|limits\.\d+\.models)/.test(error.path ?? "");
  return html`
    <${Dialog} title=${of ? t("key.edit.title", { name: of.name }) : t("key.make.title")} onClose=${onClose} wide>
      <form onSubmit=${save} novalidate class="keyform">
        <div class="pair">
          ${!of &&
          html`<${Field} name="name" label=${t("key.name")} hint=${t("key.name.hint")} value=${draft.name} onInput=${(/** @type {string} */ name) => set({ name })} problem=${problemOf(error, "name")} autofocus />`}
          <${Field} name="tags" label=${t("key.tags")} hint=${t("key.tags.hint")} value=${draft.tags} onInput=${(/** @type {string} */ tags) => set({ tags })} problem=${within(error, "tags")} />
        </div>
        <${Area}
          name="models"
          label=${t("key.models")}
          hint=${t("key.models.hint")}
          value=${draft.models}
          onInput=${(/** @type {string} */ models) => set({ models })}
          problem=${within(error, "models")}
          rows=${Math.max(2, draft.models.split("\n").length)}
          mono
        />
        <${Limits} limits=${draft.limits} error=${error} onChange=${(/** @type {LimitDraft[]} */ limits) => set({ limits })} />
        ${(unmatched || draft.anyway) &&
        html`<${Tick} name="anyway" label=${t("key.anyway")} value=${draft.anyway} onInput=${(/** @type {boolean} */ anyway) => set({ anyway })} />`}
        <fieldset>
          <legend>${t("key.effort")}</legend>
          <div class="triple">
            ${(/** @type {const} */ (["default_effort", "max_effort", "enforced_effort"])).map(
              (name) => html`
                <${Choice}
                  key=${name}
                  name=${name}
                  label=${t(`key.${name}`)}
                  value=${draft[name]}
                  onInput=${(/** @type {string} */ value) => set({ [name]: value })}
                  options=${[{ value: "", text: t("key.effort.unset") }, ...EFFORTS.map((one) => ({ value: one, text: one }))]}
                  problem=${problemOf(error, name)}
                />
              `,
            )}
          </div>
          <p class="hint">${t("key.effort.hint")}</p>
        </fieldset>
        <div class="triple">
          <${Expiry} value=${draft.expires} onInput=${(/** @type {string} */ expires) => set({ expires })} problem=${problemOf(error, "expires_at")} />
          <${Field} name="concurrency" label=${t("key.concurrency")} hint=${t("key.concurrency.hint")} inputmode="numeric" value=${draft.concurrency} onInput=${(/** @type {string} */ concurrency) => set({ concurrency })} problem=${problemOf(error, "concurrency")} />
          <${Field} name="account_groups" label=${t("key.groups")} hint=${t("key.groups.hint")} value=${draft.groups} onInput=${(/** @type {string} */ groups) => set({ groups })} problem=${within(error, "account_groups")} />
        </div>
        <${Problem}>${elsewhere(error, draft.limits.length)}<//>
        <div class="actions">
          <button type="button" class="button" onClick=${onClose}>${t("dialog.cancel")}</button>
          <button class="button primary" disabled=${form.busy || !draft.name.trim()}>${t(of ? "key.edit.do" : "key.make.do")}</button>
        </div>
      </form>
    <//>
  `;
}

/** @param {{value: string, onInput: (value: string) => void, problem: string | null}} props */
function Expiry({ value, onInput, problem }) {
  return html`
    <div>
      <${Field} name="expires_at" type="datetime-local" label=${t("key.expires")} value=${value} onInput=${onInput} problem=${problem} />
      <p class="spans">
        ${SPANS.map(
          (days) => html`<button key=${days} type="button" class="button small" onClick=${() => onInput(local(new Date(Date.now() + days * DAY)))}>${t("key.expires.days", { days })}</button> `,
        )}
        <button type="button" class="button small" onClick=${() => onInput("")}>${t("key.expires.never")}</button>
      </p>
    </div>
  `;
}

/** @param {{limits: LimitDraft[], error: Error | null, onChange: (limits: LimitDraft[]) => void}} props */
function Limits({ limits, error, onChange }) {
  /**
   * @param {number} at
   * @param {Partial<LimitDraft>} change
   */
  const set = (at, change) => onChange(limits.map((one, place) => (place === at ? { ...one, ...change } : one)));
  return html`
    <fieldset>
      <legend>${t("key.limits")}</legend>
      ${limits.map((limit, at) => {
        const path = `limits.${at}`;
        return html`
          <div key=${at} class="limitrow" role="group" aria-label=${t("key.limit.number", { n: at + 1 })}>
            <${Field} name=${`${path}.max`} label=${t("key.limit.max")} inputmode="decimal" placeholder=${t(limit.measure === "cost_usd" ? "key.limit.max.money" : "key.limit.max.count")} value=${limit.max} onInput=${(/** @type {string} */ max) => set(at, { max })} problem=${problemOf(error, `${path}.max`)} />
            <${Choice}
              name=${`${path}.measure`}
              label=${t("key.limit.measure")}
              value=${limit.measure}
              onInput=${(/** @type {string} */ measure) => set(at, { measure })}
              options=${MEASURES.map((one) => ({ value: one, text: t(/** @type {TextName} */ (`key.measure.${one}`)) }))}
              problem=${problemOf(error, `${path}.measure`)}
            />
            <${Choice}
              name=${`${path}.per`}
              label=${t("key.limit.per")}
              value=${limit.per}
              onInput=${(/** @type {string} */ per) => set(at, { per })}
              options=${PERIODS.map((one) => ({ value: one, text: t(/** @type {TextName} */ (`key.per.${one}`)) }))}
              problem=${problemOf(error, `${path}.per`)}
            />
            <${Field} name=${`${path}.models`} label=${t("key.limit.models")} placeholder=${t("key.limit.models.all")} value=${limit.models} onInput=${(/** @type {string} */ models) => set(at, { models })} problem=${problemOf(error, `${path}.models`)} mono />
            <button type="button" class="button plain" aria-label=${t("key.limit.remove", { n: at + 1 })} title=${t("key.limit.remove", { n: at + 1 })} onClick=${() => onChange(limits.filter((_, place) => place !== at))}>✕</button>
            ${problemOf(error, path) && html`<p class="problem">${problemOf(error, path)}</p>`}
          </div>
        `;
      })}
      <button type="button" class="button small" onClick=${() => onChange([...limits, newLimit()])}>${t("key.limit.add")}</button>
    </fieldset>
  `;
}

/**
 * What is wrong with a list or with one entry of it, which is a line of the same field.
 * @param {Error | null} error
 * @param {string} path
 */
function within(error, path) {
  if (!(error instanceof ApiError) || !error.path) return null;
  return error.path === path || error.path.startsWith(`${path}.`) ? error.said : null;
}

/**
 * @param {Error | null} error
 * @param {number} limits how many rows there are
 */
function elsewhere(error, limits) {
  if (!error) return null;
  const path = error instanceof ApiError ? error.path : null;
  if (!path || PLAIN.includes(path)) return path ? null : error.message;
  if (LISTS.some((one) => path === one || path.startsWith(`${one}.`))) return null;
  const row = /^limits\.(\d+)(?:\.(?:max|measure|per|models))?$/.exec(path);
  return row && Number(row[1]) < limits ? null : error.message;
}
