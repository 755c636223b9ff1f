// Tokens for programs that use the admin API. Each is shown once, when it is made.

import { get, segment, send } from "../../api.js";
import { useForm } from "../../form.js";
import { html, useState } from "../../html.js";
import { Badge } from "../../parts/badge.js";
import { CopyText } from "../../parts/copy.js";
import { Confirm, Dialog } from "../../parts/dialog.js";
import { Choice, Field, Problem, problemElse, problemOf } from "../../parts/field.js";
import { Moment } from "../../parts/figure.js";
import { Once } from "../../parts/once.js";
import { Panel } from "../../parts/panel.js";
import { prose } from "../../parts/prose.js";
import { Empty, Loaded } from "../../parts/states.js";
import { Table } from "../../parts/table.js";
import { useResource } from "../../resource.js";
import { notify } from "../../state.js";
import { t, tn } from "../../text.js";
import { RoleChoice } from "./users.js";

/** @import {MadeToken, TokenRecord, Tokens as TokenList} from "../../api-types.js" */

const DAY = 86_400_000;
const SPANS = [7, 30, 90, 365];

export function Tokens() {
  const tokens = useResource((signal) => /** @type {Promise<TokenList>} */ (get("/tokens", {}, { signal })), []);
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState(/** @type {MadeToken | null} */ (null));
  const [gone, setGone] = useState(/** @type {TokenRecord | null} */ (null));
  const now = Date.now();
  /** @type {import("../../parts/table.js").Column<TokenRecord>[]} */
  const columns = [
    { id: "name", head: t("settings.name"), cell: (token) => html`<strong>${token.name}</strong>` },
    { id: "role", head: t("settings.role"), cell: (token) => html`<${Badge} tone=${token.role === "admin" ? "good" : undefined}>${t(`role.${token.role}`)}<//>` },
    {
      id: "expires",
      head: t("settings.token.expires"),
      cell: (token) =>
        token.expires_at === null
          ? t("settings.token.never")
          : Date.parse(token.expires_at) <= now
            ? html`<${Badge} tone="warn">${t("settings.token.expired")}<//>`
            : html`<${Moment} at=${token.expires_at} far />`,
    },
    { id: "used", head: t("settings.token.used"), cell: (token) => (token.last_used_at ? html`<${Moment} at=${token.last_used_at} far />` : html`<span class="faint">${t("settings.token.unused")}</span>`) },
    { id: "created", head: t("settings.made"), aside: true, cell: (token) => html`<${Moment} at=${token.created_at} />` },
    { id: "acts", head: "", numeric: true, cell: (token) => html`<button type="button" class="button small danger" onClick=${() => setGone(token)}>${t("settings.token.revoke")}</button>` },
  ];
  return html`
    <${Panel} title=${t("settings.tokens")} actions=${html`<button type="button" class="button primary" onClick=${() => setMaking(true)}>${t("settings.token.make")}</button>`}>
      <p class="faint">${prose(t("settings.tokens.why"))}</p>
      <${Loaded} of=${tokens}>
        ${(/** @type {TokenList} */ found) =>
          found.data.length
            ? html`<${Table} stacked label=${t("settings.tokens")} columns=${columns} rows=${found.data} keyOf=${(/** @type {TokenRecord} */ token) => token.id} />`
            : html`<${Empty} title=${t("settings.token.none")}><p>${t("settings.token.none.do")}</p><//>`}
      <//>
    <//>
    ${making &&
    html`<${Make}
      onClose=${() => setMaking(false)}
      onDone=${(/** @type {MadeToken} */ token) => {
        setMaking(false);
        setMade(token);
        tokens.reload();
      }}
    />`}
    ${made &&
    html`
      <${Once} title=${t("settings.token.title", { name: made.name })} text=${made.token} label=${t("settings.token.label")} onClose=${() => setMade(null)}>
        <p>${t("settings.token.try")}</p>
        <${CopyText} text=${`curl -sS -H 'authorization: Bearer ${made.token}' '${location.origin}/admin/api/overview'`} label=${t("settings.token.try")} />
      <//>
    `}
    ${gone &&
    html`<${Revoke}
      of=${gone}
      onClose=${() => setGone(null)}
      onDone=${() => {
        notify(t("settings.token.revoked", { name: gone.name }));
        setGone(null);
        tokens.reload();
      }}
    />`}
  `;
}

/** @param {{onClose: () => void, onDone: (token: MadeToken) => void}} props */
function Make({ onClose, onDone }) {
  const [name, setName] = useState("");
  const [role, setRole] = useState("viewer");
  const [days, setDays] = useState("90");
  const form = useForm();
  const make = form.submits(async () => {
    const expires = days ? new Date(Date.now() + Number(days) * DAY).toISOString() : null;
    onDone(await send("POST", "/tokens", { name: name.trim(), role, expires_at: expires }));
  });
  return html`
    <${Dialog} title=${t("settings.token.make")} onClose=${onClose}>
      <form onSubmit=${make} novalidate>
        <${Field} name="name" label=${t("settings.name")} value=${name} onInput=${setName} problem=${problemOf(form.error, "name")} autofocus />
        <${RoleChoice} value=${role} onInput=${setRole} problem=${problemOf(form.error, "role")} />
        <${Choice}
          name="expires"
          label=${t("settings.token.expires")}
          value=${days}
          onInput=${setDays}
          options=${[...SPANS.map((one) => ({ value: String(one), text: tn("settings.token.days", one) })), { value: "", text: t("settings.token.never") }]}
          problem=${problemOf(form.error, "expires_at")}
        />
        <${Problem}>${problemElse(form.error, ["name", "role", "expires_at"])}<//>
        <div class="actions">
          <button type="button" class="button" onClick=${onClose}>${t("dialog.cancel")}</button>
          <button class="button primary" disabled=${form.busy || !name.trim()}>${t("settings.token.make.do")}</button>
        </div>
      </form>
    <//>
  `;
}

/** @param {{of: TokenRecord, onClose: () => void, onDone: () => void}} props */
function Revoke({ of, onClose, onDone }) {
  const form = useForm();
  const revoke = () =>
    form.run(async () => {
      await send("DELETE", `/tokens/${segment(of.id)}`);
      onDone();
    });
  return html`
    <${Confirm} title=${t("settings.token.revoke.ask", { name: of.name })} act=${t("settings.token.revoke")} busy=${form.busy} onDo=${revoke} onClose=${onClose}>
      <p>${t("settings.token.revoke.why")}</p>
      <${Problem}>${problemElse(form.error, [])}<//>
    <//>
  `;
}
