// The aliases in the order that counts, set and removed. Those of the file are changed there; one of the store with
// the same name goes before them.

import { segment, send } from "../../api.js";
import { useForm } from "../../form.js";
import { html, useState } from "../../html.js";
import { Badge } from "../../parts/badge.js";
import { Confirm, Dialog } from "../../parts/dialog.js";
import { Choice, Field, Problem, problemElse, problemOf } from "../../parts/field.js";
import { Panel } from "../../parts/panel.js";
import { Empty } from "../../parts/states.js";
import { Table } from "../../parts/table.js";
import { to } from "../../router.js";
import { notify } from "../../state.js";
import { t } from "../../text.js";
import { EFFORTS, example, inOrder, isGlob, parts, target as joined } from "./alias.js";

/** @import {AliasRecord} from "../../api-types.js" */
/** @import {Column} from "../../parts/table.js" */

/** @param {{rows: AliasRecord[], names: string[], changed: () => void, may: boolean}} props */
export function Aliases({ rows, names, changed, may }) {
  const [open, setOpen] = useState(/** @type {{what: "set" | "remove", of: AliasRecord | null} | null} */ (null));
  const close = () => setOpen(null);
  const ordered = inOrder(rows);
  const place = new Map(ordered.map((one, at) => [one, at + 1]));
  /** @type {Column<AliasRecord>[]} */
  const columns = [
    { id: "place", head: t("models.alias.place"), numeric: true, aside: true, cell: (one) => String(place.get(one)) },
    {
      id: "name",
      head: t("models.alias.name"),
      cell: (one) => html`<a href=${to("models", [], { try: example(one.name) })}><code>${one.name}</code></a>`,
    },
    { id: "kind", head: "", aside: true, cell: (one) => html`<${Badge} tone="faint">${t(isGlob(one.name) ? "models.alias.glob" : "models.alias.exact")}<//>` },
    { id: "target", head: t("models.alias.target"), cell: (one) => html`<code>${parts(one.target)[0]}</code>` },
    { id: "effort", head: t("models.alias.effort"), cell: (one) => parts(one.target)[1] || html`<span class="faint">${t("models.alias.effort.none")}</span>` },
    {
      id: "from",
      head: t("models.alias.from"),
      aside: true,
      cell: (one) => t(`models.origin.${one.origin}`),
      title: (one) => (one.origin === "demo" ? t("models.origin.demo.why") : undefined),
    },
    {
      id: "counts",
      head: t("models.alias.counts"),
      cell: (one) =>
        one.shadowed_by === null
          ? t("models.alias.yes")
          : html`<${Badge} tone="warn">${t("models.alias.shadowed", { name: one.shadowed_by })}<//>`,
    },
  ];
  if (may) {
    columns.push({
      id: "do",
      head: "",
      cell: (one) => html`
        <span class="row-deeds">
          ${one.shadowed_by === null &&
          html`<button type="button" class="button small" onClick=${() => setOpen({ what: "set", of: one })}>${t(one.origin === "store" ? "models.alias.edit" : "models.alias.over")}</button>`}
          ${one.origin === "store" &&
          html`<button type="button" class="button small danger" onClick=${() => setOpen({ what: "remove", of: one })}>${t("models.alias.remove")}</button>`}
        </span>
      `,
    });
  }
  return html`
    <${Panel}
      title=${t("models.aliases")}
      actions=${may && html`<button type="button" class="button" onClick=${() => setOpen({ what: "set", of: null })}>${t("models.alias.add")}</button>`}
    >
      ${rows.length
        ? html`<${Table} label=${t("models.aliases")} columns=${columns} rows=${ordered} keyOf=${(/** @type {AliasRecord} */ one) => `${one.origin} ${one.name}`} />`
        : html`<${Empty} title=${t("models.aliases.none")}><p>${t("models.aliases.none.do")}</p><//>`}
    <//>
    ${open?.what === "set" && html`<${Setting} of=${open.of} names=${names} onDone=${() => (close(), changed())} onClose=${close} />`}
    ${open?.what === "remove" && open.of && html`<${Removal} of=${open.of} onDone=${() => (close(), changed())} onClose=${close} />`}
  `;
}

/** @param {{of: AliasRecord | null, names: string[], onDone: () => void, onClose: () => void}} props */
function Setting({ of, names, onDone, onClose }) {
  const [model, given] = of ? parts(of.target) : ["", ""];
  const [name, setName] = useState(of?.name ?? "");
  const [target, setTarget] = useState(model);
  const [effort, setEffort] = useState(given);
  const form = useForm();
  const save = form.submits(async () => {
    const wanted = { target: joined(target, effort) };
    const made = /** @type {AliasRecord} */ (await send("PUT", `/aliases/${segment(name.trim())}`, wanted));
    if (made.shadowed_by !== null) notify(t("models.alias.set.shadowed", { name: made.name, other: made.shadowed_by }), "bad");
    else notify(t("models.alias.set.done", { name: made.name, target: made.target }));
    onDone();
  });
  const efforts = [{ value: "", text: t("models.alias.effort.none") }, ...EFFORTS.map((one) => ({ value: one, text: one }))];
  return html`
    <${Dialog} title=${of ? t("models.alias.edit.title", { name: of.name }) : t("models.alias.add.title")} onClose=${onClose}>
      <form onSubmit=${save} novalidate>
        <${Field} name="name" label=${t("models.alias.field.name")} hint=${t("models.alias.field.name.hint")} value=${name} onInput=${setName} disabled=${Boolean(of)} problem=${problemOf(form.error, "name")} mono />
        <${Field} name="target" label=${t("models.alias.field.target")} value=${target} onInput=${setTarget} suggestions=${names} problem=${problemOf(form.error, "target")} mono autofocus=${Boolean(of)} />
        <${Choice} name="effort" label=${t("models.alias.field.effort")} hint=${t("models.alias.field.effort.hint")} value=${effort} onInput=${setEffort} options=${efforts} />
        <${Problem}>${problemElse(form.error, ["name", "target"])}<//>
        <div class="actions">
          <button type="button" class="button" onClick=${onClose}>${t("dialog.cancel")}</button>
          <button class="button primary" disabled=${form.busy || !name.trim() || !target.trim()}>${t("models.alias.save")}</button>
        </div>
      </form>
    <//>
  `;
}

/** @param {{of: AliasRecord, onDone: () => void, onClose: () => void}} props */
function Removal({ of, onDone, onClose }) {
  const form = useForm();
  const remove = () =>
    form.run(async () => {
      await send("DELETE", `/aliases/${segment(of.name)}`);
      notify(t("models.alias.removed.done", { name: of.name }));
      onDone();
    });
  return html`
    <${Confirm} title=${t("models.alias.remove.title", { name: of.name })} act=${t("models.alias.remove")} busy=${form.busy} onDo=${remove} onClose=${onClose}>
      <p>${t("models.alias.remove.text")}</p>
      <${Problem}>${form.error?.message}<//>
    <//>
  `;
}
