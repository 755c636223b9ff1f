// Who is logged in now: everybody for an admin, oneself for a viewer. A session is ended, never looked into.

import { get, segment, send } from "../../api.js";
import { html } from "../../html.js";
import { Badge } from "../../parts/badge.js";
import { Moment } from "../../parts/figure.js";
import { Panel } from "../../parts/panel.js";
import { Empty, Loaded } from "../../parts/states.js";
import { Table } from "../../parts/table.js";
import { useResource } from "../../resource.js";
import { to } from "../../router.js";
import { mayChange, notify } from "../../state.js";
import { t } from "../../text.js";

/** @import {LoginRecord, Logins} from "../../api-types.js" */

export function Sessions() {
  const sessions = useResource((signal) => /** @type {Promise<Logins>} */ (get("/sessions", {}, { signal })), []);
  /** @param {LoginRecord} of */
  const end = async (of) => {
    try {
      await send("DELETE", `/sessions/${segment(of.id)}`);
      notify(t("settings.session.done", { name: of.user }));
    } catch (error) {
      notify(error instanceof Error ? error.message : String(error), "bad");
    }
    sessions.reload();
  };
  /** @type {import("../../parts/table.js").Column<LoginRecord>[]} */
  const columns = [
    { id: "user", head: t("settings.name"), cell: (one) => html`<strong>${one.user}</strong> ${one.current && html`<${Badge} tone="good">${t("settings.session.this")}<//>`}` },
    { id: "begun", head: t("settings.session.begun"), cell: (one) => html`<${Moment} at=${one.created_at} />` },
    { id: "ends", head: t("settings.session.ends"), cell: (one) => html`<${Moment} at=${one.expires_at} />` },
    {
      id: "acts",
      head: "",
      numeric: true,
      cell: (one) =>
        one.current
          ? html`<a href=${to("me")}>${t("me.logout")}</a>`
          : html`<button type="button" class="button small danger" onClick=${() => end(one)}>${t("settings.session.end")}</button>`,
    },
  ];
  return html`
    <${Panel} title=${t("settings.sessions")}>
      <p class="faint">${t(mayChange.value ? "settings.session.all" : "settings.session.own")}</p>
      <${Loaded} of=${sessions}>
        ${(/** @type {Logins} */ found) =>
          found.data.length
            ? html`<${Table} stacked label=${t("settings.sessions")} columns=${columns} rows=${found.data} keyOf=${(/** @type {LoginRecord} */ one) => one.id} />`
            : html`<${Empty} title=${t("settings.session.none")} />`}
      <//>
    <//>
  `;
}
