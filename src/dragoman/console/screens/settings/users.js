// Who may log in, and what each may. One's own password and second factor are on one's own page.

import { get, segment, send } from "../../api.js";
import { useForm } from "../../form.js";
import { html, useState } from "../../html.js";
import { Badge } from "../../parts/badge.js";
import { CopyButton } from "../../parts/copy.js";
import { Confirm, Dialog } from "../../parts/dialog.js";
import { Choice, Field, Problem, problemElse, problemOf } from "../../parts/field.js";
import { Moment } from "../../parts/figure.js";
import { Panel } from "../../parts/panel.js";
import { Loaded } from "../../parts/states.js";
import { Table } from "../../parts/table.js";
import { useResource } from "../../resource.js";
import { to } from "../../router.js";
import { notify, who } from "../../state.js";
import { t } from "../../text.js";

/** @import {UserRecord, Users as UserList} from "../../api-types.js" */
/** @typedef {{act: "role" | "reset" | "remove", user: UserRecord}} Asked */

// No letters that look alike.
const LETTERS = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const LENGTH = 20;

export const ROLES = /** @type {const} */ (["viewer", "admin"]);

export function Users() {
  const users = useResource((signal) => /** @type {Promise<UserList>} */ (get("/users", {}, { signal })), []);
  const [adding, setAdding] = useState(false);
  const [asked, setAsked] = useState(/** @type {Asked | null} */ (null));
  /** @param {string} told */
  const done = (told) => {
    setAdding(false);
    setAsked(null);
    notify(told);
    users.reload();
  };
  const close = () => {
    setAdding(false);
    setAsked(null);
  };
  return html`
    <${Panel} title=${t("settings.users")} actions=${html`<button type="button" class="button primary" onClick=${() => setAdding(true)}>${t("settings.user.add")}</button>`}>
      <${Loaded} of=${users}>${(/** @type {UserList} */ found) => html`<${Rows} rows=${found.data} onAsk=${setAsked} />`}<//>
      <p class="below">${t("settings.roles")}</p>
    <//>
    ${adding && html`<${Add} onClose=${close} onDone=${done} />`}
    ${asked?.act === "role" && html`<${Role} of=${asked.user} onClose=${close} onDone=${done} />`}
    ${asked?.act === "reset" && html`<${Reset} of=${asked.user} onClose=${close} onDone=${done} />`}
    ${asked?.act === "remove" && html`<${Remove} of=${asked.user} onClose=${close} onDone=${done} />`}
  `;
}

/** @param {{rows: UserRecord[], onAsk: (asked: Asked) => void}} props */
function Rows({ rows, onAsk }) {
  /** @type {import("../../parts/table.js").Column<UserRecord>[]} */
  const columns = [
    { id: "name", head: t("settings.name"), cell: (user) => html`<strong>${user.name}</strong>` },
    { id: "role", head: t("settings.role"), cell: (user) => html`<${Badge} tone=${user.role === "admin" ? "good" : undefined}>${t(`role.${user.role}`)}<//>` },
    { id: "factor", head: t("settings.factor"), cell: (user) => t(user.second_factor ? "settings.factor.on" : "settings.factor.off") },
    { id: "created", head: t("settings.made"), aside: true, cell: (user) => html`<${Moment} at=${user.created_at} />` },
    {
      id: "acts",
      head: "",
      numeric: true,
      cell: (user) =>
        user.id === who.value?.id
          ? html`<a href=${to("me")}>${t("settings.user.self")}</a>`
          : html`
              <span class="rowacts">
                <button type="button" class="button small" onClick=${() => onAsk({ act: "role", user })}>${t(`settings.role.to.${other(user.role)}`)}</button>
                <button type="button" class="button small" onClick=${() => onAsk({ act: "reset", user })}>${t("settings.user.reset")}</button>
                <button type="button" class="button small danger" onClick=${() => onAsk({ act: "remove", user })}>${t("settings.user.remove")}</button>
              </span>
            `,
    },
  ];
  return html`<${Table} stacked label=${t("settings.users")} columns=${columns} rows=${rows} keyOf=${(/** @type {UserRecord} */ user) => user.id} />`;
}

/** @param {{onClose: () => void, onDone: (told: string) => void}} props */
function Add({ onClose, onDone }) {
  const [name, setName] = useState("");
  const [role, setRole] = useState("viewer");
  const [password, setPassword] = useState("");
  const form = useForm();
  const add = form.submits(async () => {
    await send("POST", "/users", { name: name.trim(), role, password });
    onDone(t("settings.user.added", { name: name.trim() }));
  });
  return html`
    <${Dialog} title=${t("settings.user.add")} onClose=${onClose}>
      <form onSubmit=${add} novalidate>
        <${Field} name="name" label=${t("settings.name")} value=${name} onInput=${setName} problem=${problemOf(form.error, "name")} autofocus />
        <${RoleChoice} value=${role} onInput=${setRole} problem=${problemOf(form.error, "role")} />
        <${FirstPassword} value=${password} onInput=${setPassword} problem=${problemOf(form.error, "password")} />
        <${Problem}>${problemElse(form.error, ["name", "role", "password"])}<//>
        <div class="actions">
          <button type="button" class="button" onClick=${onClose}>${t("dialog.cancel")}</button>
          <button class="button primary" disabled=${form.busy || !name.trim() || !password}>${t("settings.user.add.do")}</button>
        </div>
      </form>
    <//>
  `;
}

/** @param {{of: UserRecord, onClose: () => void, onDone: (told: string) => void}} props */
function Role({ of, onClose, onDone }) {
  const role = other(of.role);
  const form = useForm();
  const change = () =>
    form.run(async () => {
      await send("PATCH", `/users/${segment(of.id)}`, { role });
      onDone(t("settings.role.done", { name: of.name, role: t(`role.${role}`) }));
    });
  return html`
    <${Confirm} title=${t(`settings.role.ask.${role}`, { name: of.name })} act=${t(`settings.role.to.${role}`)} danger=${false} busy=${form.busy} onDo=${change} onClose=${onClose}>
      <p>${t(`settings.role.why.${role}`)}</p>
      <${Problem}>${problemElse(form.error, [])}<//>
    <//>
  `;
}

/** @param {{of: UserRecord, onClose: () => void, onDone: (told: string) => void}} props */
function Reset({ of, onClose, onDone }) {
  const [password, setPassword] = useState("");
  const form = useForm();
  const reset = form.submits(async () => {
    await send("POST", `/users/${segment(of.id)}/reset`, { password });
    onDone(t("settings.user.reset.done", { name: of.name }));
  });
  return html`
    <${Dialog} title=${t("settings.user.reset.title", { name: of.name })} onClose=${onClose}>
      <form onSubmit=${reset} novalidate>
        <p>${t("settings.user.reset.why")}</p>
        <${FirstPassword} value=${password} onInput=${setPassword} problem=${problemOf(form.error, "password")} />
        <${Problem}>${problemElse(form.error, ["password"])}<//>
        <div class="actions">
          <button type="button" class="button" onClick=${onClose}>${t("dialog.cancel")}</button>
          <button class="button danger" disabled=${form.busy || !password}>${t("settings.user.reset.do")}</button>
        </div>
      </form>
    <//>
  `;
}

/** @param {{of: UserRecord, onClose: () => void, onDone: (told: string) => void}} props */
function Remove({ of, onClose, onDone }) {
  const form = useForm();
  const remove = () =>
    form.run(async () => {
      await send("DELETE", `/users/${segment(of.id)}`);
      onDone(t("settings.user.removed", { name: of.name }));
    });
  return html`
    <${Confirm} title=${t("settings.user.remove.ask", { name: of.name })} act=${t("settings.user.remove")} busy=${form.busy} onDo=${remove} onClose=${onClose}>
      <p>${t("settings.user.remove.why")}</p>
      <${Problem}>${problemElse(form.error, [])}<//>
    <//>
  `;
}

/**
 * A password that somebody is told, so it is seen while it is typed.
 * @param {{value: string, onInput: (value: string) => void, problem: string | null}} props
 */
function FirstPassword({ value, onInput, problem }) {
  return html`
    <div>
      <${Field} name="password" label=${t("settings.user.password")} hint=${t("settings.user.password.hint")} value=${value} onInput=${onInput} problem=${problem} mono />
      <p class="spans">
        <button type="button" class="button small" onClick=${() => onInput(invented())}>${t("settings.user.password.make")}</button>
        ${value && html`<${CopyButton} text=${value} label=${t("settings.user.password")} />`}
      </p>
    </div>
  `;
}

/** @param {{value: string, onInput: (value: string) => void, problem: string | null}} props */
export function RoleChoice({ value, onInput, problem }) {
  return html`<${Choice}
    name="role"
    label=${t("settings.role")}
    hint=${t("settings.roles")}
    value=${value}
    onInput=${onInput}
    options=${ROLES.map((role) => ({ value: role, text: t(`role.${role}`) }))}
    problem=${problem}
  />`;
}

/**
 * @param {"admin" | "viewer"} role
 * @returns {"admin" | "viewer"}
 */
function other(role) {
  return role === "admin" ? "viewer" : "admin";
}

function invented() {
  // 32-bit numbers: of 57 letters none is noticeably likelier than another.
  return Array.from(crypto.getRandomValues(new Uint32Array(LENGTH)), (one) => LETTERS[one % LETTERS.length]).join("");
}
