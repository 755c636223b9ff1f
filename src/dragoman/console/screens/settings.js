// Settings: how clients connect, what is in force and where from, who may come in, and who changed what. Each part
// is an address of its own, `#/settings/users`; parts for admins alone are not there for viewers.

import { html } from "../html.js";
import { Empty } from "../parts/states.js";
import { Tabs } from "../parts/tabs.js";
import { place, to } from "../router.js";
import { mayChange } from "../state.js";
import { t } from "../text.js";
import { Audit } from "./settings/audit.js";
import { Connect } from "./settings/connect.js";
import { Effective } from "./settings/effective.js";
import { Sessions } from "./settings/sessions.js";
import { Tokens } from "./settings/tokens.js";
import { Users } from "./settings/users.js";

/** @import {View} from "../html.js" */
/** @import {TextName} from "../text.js" */
/** @typedef {{id: string, name: TextName, admin?: boolean, part: () => View | null}} Part */

/** @type {Part[]} */
const PARTS = [
  { id: "effective", name: "settings.effective", part: Effective },
  { id: "connect", name: "settings.connect", part: Connect },
  { id: "users", name: "settings.users", admin: true, part: Users },
  { id: "sessions", name: "settings.sessions", part: Sessions },
  { id: "tokens", name: "settings.tokens", admin: true, part: Tokens },
  { id: "audit", name: "settings.audit", admin: true, part: Audit },
];

export default function SettingsScreen() {
  const mine = PARTS.filter((one) => !one.admin || mayChange.value);
  const id = place.value.rest[0] ?? "effective";
  const open = mine.find((one) => one.id === id);
  return html`
    <div class="page">
      <h1>${t("settings.title")}</h1>
      <${Tabs} label=${t("settings.parts")} open=${open?.id} tabs=${mine.map((one) => ({ id: one.id, name: t(one.name), href: to("settings", [one.id]) }))}>
        <a href=${to("me")}>${t("settings.me")}</a>
      <//>
      ${open ? html`<${open.part} key=${open.id} />` : html`<${Empty} title=${t("settings.nothing")}><p>${t("settings.nothing.do")}</p><//>`}
    </div>
  `;
}
