// What an operator decides about an account: the fields, and the dialog that changes them.

import { ApiError, segment, send } from "../../api.js";
import { useForm } from "../../form.js";
import { html, useState } from "../../html.js";
import { Area } from "../../parts/area.js";
import { Dialog } from "../../parts/dialog.js";
import { Field, Problem, problemElse, problemOf } from "../../parts/field.js";
import { notify } from "../../state.js";
import { t } from "../../text.js";
import { changes, rulesFrom, written } from "./written.js";

/** @import {AccountRecord} from "../../api-types.js" */
/** @import {Written} from "./written.js" */

const PATHS = ["weight", "priority", "group", "concurrency", "models"];

/** @param {{texts: Written, onInput: (texts: Written) => void, error: Error | null, modelsHint?: string, models?: boolean}} props */
export function RuleFields({ texts, onInput, error, modelsHint, models = true }) {
  const put = (/** @type {string} */ name) => (/** @type {string} */ value) => onInput({ ...texts, [name]: value });
  return html`
    <div class="pairs">
      <${Field} name="weight" label=${t("accounts.field.weight")} hint=${t("accounts.field.weight.hint")} inputmode="decimal" value=${texts.weight} onInput=${put("weight")} problem=${problemOf(error, "weight")} />
      <${Field} name="priority" label=${t("accounts.field.priority")} hint=${t("accounts.field.priority.hint")} value=${texts.priority} onInput=${put("priority")} problem=${problemOf(error, "priority")} />
      <${Field} name="concurrency" label=${t("accounts.field.concurrency")} hint=${t("accounts.field.concurrency.hint")} inputmode="numeric" value=${texts.concurrency} onInput=${put("concurrency")} problem=${problemOf(error, "concurrency")} />
      <${Field} name="group" label=${t("accounts.field.group")} hint=${t("accounts.field.group.hint")} value=${texts.group} onInput=${put("group")} problem=${problemOf(error, "group")} />
    </div>
    ${models && html`<${ModelsField} value=${texts.models} onInput=${put("models")} error=${error} hint=${modelsHint} />`}
  `;
}

/** @param {{value: string, onInput: (value: string) => void, error: Error | null, hint?: string}} props */
export function ModelsField({ value, onInput, error, hint }) {
  const problem = error instanceof ApiError && error.path?.startsWith("models") ? error.message : null;
  return html`<${Area} name="models" label=${t("accounts.field.models")} hint=${hint ?? t("accounts.field.models.hint")} rows=${3} mono value=${value} onInput=${onInput} problem=${problem} />`;
}

/**
 * What no field of the rules is to blame for.
 * @param {Error | null} error
 * @param {string[]} paths those of the form's other fields
 */
export function elsewhere(error, paths = []) {
  if (error instanceof ApiError && error.path?.startsWith("models")) return null;
  return problemElse(error, [...PATHS, ...paths]);
}

/** @param {{of: AccountRecord, onDone: () => void, onClose: () => void}} props */
export function RulesDialog({ of, onDone, onClose }) {
  const [texts, setTexts] = useState(() => written(of));
  // What it was when the dialog opened: the list behind is read anew meanwhile.
  const [before] = useState(of);
  const form = useForm();
  const save = form.submits(async () => {
    const changed = changes(rulesFrom(texts), before);
    if (Object.keys(changed).length) {
      await send("PATCH", `/accounts/${segment(before.name)}`, changed);
      notify(t("accounts.changed.done", { name: before.name }));
    }
    onDone();
  });
  return html`
    <${Dialog} title=${t("accounts.rules.title", { name: before.name })} onClose=${onClose}>
      <form onSubmit=${save} novalidate>
        <${RuleFields} texts=${texts} onInput=${setTexts} error=${form.error} />
        <${Problem}>${elsewhere(form.error)}<//>
        <div class="actions">
          <button type="button" class="button" onClick=${onClose}>${t("dialog.cancel")}</button>
          <button class="button primary" disabled=${form.busy}>${t("accounts.save")}</button>
        </div>
      </form>
    <//>
  `;
}
