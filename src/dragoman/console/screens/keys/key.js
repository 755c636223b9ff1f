// One key: what it has used, what is left, what it may. Changed, given a new text and revoked from here.

import { segment, send } from "../../api.js";
import { count, tokens } from "../../format.js";
import { useForm } from "../../form.js";
import { html, useState } from "../../html.js";
import { Badge } from "../../parts/badge.js";
import { Confirm, Dialog } from "../../parts/dialog.js";
import { Choice, Problem, problemElse, problemOf } from "../../parts/field.js";
import { Figure, Figures, Moment } from "../../parts/figure.js";
import { Panel } from "../../parts/panel.js";
import { prose } from "../../parts/prose.js";
import { to } from "../../router.js";
import { mayChange, notify } from "../../state.js";
import { t, tn } from "../../text.js";
import { KeyForm } from "./form.js";
import { amountOf, LimitMeter, titleOf } from "./limit.js";
import { notesOf, Secret, SpendFigure, Week } from "./pieces.js";

/** @import {KeyRecord, MadeKey} from "../../api-types.js" */
/** @import {Spent} from "./spend.js" */

const HOUR = 3_600;
const OVERLAPS = [0, HOUR, 24 * HOUR, 7 * 24 * HOUR, 30 * 24 * HOUR];
const TONES = /** @type {const} */ ({ active: "good", off: "warn", expired: "warn", revoked: "faint" });

/** @param {{of: KeyRecord, spent: Spent | null, reload: () => void}} props */
export function KeyPage({ of, spent, reload }) {
  const [open, setOpen] = useState(/** @type {"edit" | "rotate" | "revoke" | null} */ (null));
  const [shown, setShown] = useState(/** @type {MadeKey | null} */ (null));
  const [busy, setBusy] = useState(false);
  const close = () => setOpen(null);
  const turn = async () => {
    setBusy(true);
    try {
      await send("PATCH", `/keys/${segment(of.id ?? of.name)}`, { active: !of.active });
      notify(t(of.active ? "key.off.done" : "key.on.done", { name: of.name }));
      reload();
    } catch (error) {
      notify(error instanceof Error ? error.message : String(error), "bad");
    } finally {
      setBusy(false);
    }
  };
  const changeable = mayChange.value && of.origin === "store" && of.state !== "revoked";
  return html`
    <p class="back"><a href=${to("keys")} data-escape>← ${t("key.all")}</a></p>
    <header class="key-head">
      <h1>${of.name}</h1>
      <${Badge} tone=${TONES[of.state]}>${t(`key.state.${of.state}`)}<//>
      ${of.origin === "config" && html`<${Badge} tone="faint">${t("key.config")}<//>`}
      <div class="panel-actions">
        <a class="button" href=${to("log", [], { key: of.name })}>${t("key.log")}</a>
        ${changeable &&
        html`
          <button type="button" class="button" onClick=${() => setOpen("edit")}>${t("key.edit")}</button>
          <button type="button" class="button" onClick=${() => setOpen("rotate")}>${t("key.rotate")}</button>
          <button type="button" class="button" disabled=${busy} onClick=${() => void turn()}>${t(of.active ? "key.off" : "key.on")}</button>
          <button type="button" class="button danger" onClick=${() => setOpen("revoke")}>${t("key.revoke")}</button>
        `}
      </div>
    </header>
    ${of.origin === "config" && html`<p class="faint">${prose(t("key.config.why"))}</p>`}
    ${of.previous_until && html`<p class="notebox">${t("key.previous")} <${Moment} at=${of.previous_until} /> (<${Moment} at=${of.previous_until} far />).</p>`}
    <${Panel} title=${t("key.use")} note=${t("key.days")}><${Use} of=${of} spent=${spent} /><//>
    <${Panel} title=${t("key.limits")}>
      ${of.limits.length && of.state === "revoked"
        ? html`<p class="faint">${of.limits.map((limit) => `${titleOf(limit)}: ${amountOf(limit, limit.max)}`).join("; ")}</p>`
        : of.limits.length
        ? html`<div class="limits">${of.limits.map((limit, at) => html`<${LimitMeter} key=${at} of=${limit} />`)}</div>`
        : html`<p class="faint">${t("key.limits.none.long")}</p>`}
    <//>
    <${Panel} title=${t("key.rules")}><${RulesOf} of=${of} /><//>
    ${open === "edit" &&
    html`<${KeyForm}
      of=${of}
      onClose=${close}
      onDone=${() => {
        close();
        notify(t("key.edit.done", { name: of.name }));
        reload();
      }}
    />`}
    ${open === "rotate" &&
    html`<${Rotate}
      of=${of}
      onClose=${close}
      onDone=${(/** @type {MadeKey} */ key) => {
        close();
        setShown(key);
        reload();
      }}
    />`}
    ${open === "revoke" && html`<${Revoke} of=${of} onClose=${close} onDone=${reload} />`}
    ${shown && html`<${Secret} of=${shown} onClose=${() => setShown(null)} />`}
  `;
}

/** @param {{of: KeyRecord, spent: Spent | null}} props */
function Use({ of, spent }) {
  const { today, month } = spent ?? {};
  return html`
    <${Figures}>
      <${Figure} name=${t("key.today")} value=${html`<${SpendFigure} of=${today} />`} note=${today && notesOf(today).join("; ")} />
      <${Figure} name=${t("key.month")} value=${html`<${SpendFigure} of=${month} />`} note=${month && notesOf(month).join("; ")} />
      <${Figure} name=${t("key.month.requests")} value=${month ? count(month.requests) : ""} />
      <${Figure} name=${t("key.month.tokens")} value=${month ? tokens(month.tokens, month.estimated > 0) : ""} title=${month && count(month.tokens)} />
      <${Figure} name=${t("key.week")} value=${html`<${Week} of=${spent} name=${of.name} tall=${28} />`} />
      <${Figure}
        name=${t("key.used")}
        value=${of.last_used_at ? html`<${Moment} at=${of.last_used_at} far />` : t(of.origin === "config" ? "key.used.unknown" : "key.used.never")}
      />
    <//>
  `;
}

/** @param {{of: KeyRecord}} props */
function RulesOf({ of }) {
  /** @type {[string, any][]} */
  const rows = [
    [t("key.models.short"), of.models ? of.models.map((one) => html`<code key=${one}>${one}</code> `) : t("key.models.all")],
    [t("key.default_effort"), of.default_effort ?? t("key.effort.unset")],
    [t("key.max_effort"), of.max_effort ?? t("key.effort.unset")],
    [t("key.enforced_effort"), of.enforced_effort ?? t("key.effort.unset")],
    [t("key.concurrency"), of.concurrency === null ? t("key.concurrency.none") : count(of.concurrency)],
    [t("key.groups"), of.account_groups ? of.account_groups.join(", ") : t("key.groups.all")],
    [t("key.expires"), of.expires_at ? html`<${Moment} at=${of.expires_at} /> (<${Moment} at=${of.expires_at} far />)` : t("key.expires.never")],
    [t("key.tags"), of.tags.join(", ") || t("key.tags.none")],
    [t("key.hint"), of.hint && html`<code>${of.hint}</code>`],
    [t("key.created"), of.created_at && html`<${Moment} at=${of.created_at} />`],
    [t("key.revoked"), of.revoked_at && html`<${Moment} at=${of.revoked_at} />`],
  ];
  return html`<dl class="key-facts">${rows.filter(([, value]) => value).map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/** @param {{of: KeyRecord, onClose: () => void, onDone: (key: MadeKey) => void}} props */
function Rotate({ of, onClose, onDone }) {
  const [overlap, setOverlap] = useState(String(24 * HOUR));
  const form = useForm();
  const rotate = form.submits(async () => {
    onDone(await send("POST", `/keys/${segment(of.id ?? of.name)}/rotate`, { overlap_seconds: Number(overlap) }));
  });
  return html`
    <${Dialog} title=${t("key.rotate.title", { name: of.name })} onClose=${onClose}>
      <form onSubmit=${rotate} novalidate>
        <p>${t("key.rotate.why")}</p>
        <${Choice}
          name="overlap"
          label=${t("key.overlap")}
          value=${overlap}
          onInput=${setOverlap}
          options=${OVERLAPS.map((seconds) => ({
            value: String(seconds),
            text: seconds === 0 ? t("key.overlap.none") : seconds < 24 * HOUR ? tn("key.overlap.hours", seconds / HOUR) : tn("key.overlap.days", seconds / (24 * HOUR)),
          }))}
          problem=${problemOf(form.error, "overlap_seconds")}
        />
        ${of.previous_until && html`<p class="hint">${t("key.rotate.before")}</p>`}
        <${Problem}>${problemElse(form.error, ["overlap_seconds"])}<//>
        <div class="actions">
          <button type="button" class="button" onClick=${onClose}>${t("dialog.cancel")}</button>
          <button class="button primary" disabled=${form.busy}>${t("key.rotate.do")}</button>
        </div>
      </form>
    <//>
  `;
}

/** @param {{of: KeyRecord, onClose: () => void, onDone: () => void}} props */
function Revoke({ of, onClose, onDone }) {
  const form = useForm();
  const revoke = () =>
    form.run(async () => {
      await send("DELETE", `/keys/${segment(of.id ?? of.name)}`);
      notify(t("key.revoke.done", { name: of.name }));
      onClose();
      onDone();
    });
  return html`
    <${Confirm} title=${t("key.revoke.title", { name: of.name })} act=${t("key.revoke.do")} busy=${form.busy} onDo=${revoke} onClose=${onClose}>
      <p>${t("key.revoke.why")}</p>
      ${of.last_used_at && html`<p>${t("key.revoke.used")} <${Moment} at=${of.last_used_at} far />.</p>`}
      <${Problem}>${problemElse(form.error, [])}<//>
    <//>
  `;
}
