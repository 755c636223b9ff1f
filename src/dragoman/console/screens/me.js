// One's own page: the session, the password, the second factor. Viewers have it, too: it is theirs.

import { lookWho, send } from "../api.js";
import { useForm } from "../form.js";
import { html, useState } from "../html.js";
import { CopyText } from "../parts/copy.js";
import { Dialog } from "../parts/dialog.js";
import { Field, Owner, Problem, problemElse, problemOf } from "../parts/field.js";
import { Figure, Figures, Moment } from "../parts/figure.js";
import { Panel } from "../parts/panel.js";
import { notify, who } from "../state.js";
import { t, tn } from "../text.js";

/** @import {Enrolled, Recovery} from "../api-types.js" */

const FEW = 3;

export default function Self() {
  const me = who.value;
  const [open, setOpen] = useState(/** @type {"enrol" | "remove" | null} */ (null));
  if (!me) return null;
  const logout = async () => {
    try {
      await send("POST", "/logout");
      who.value = null;
    } catch (error) {
      notify(error instanceof Error ? error.message : String(error), "bad");
    }
  };
  return html`
    <div class="page narrow">
      <h1>${me.name}</h1>
      <${Panel}
        title=${t("me.title")}
        actions=${html`<button type="button" class="button" onClick=${logout}>${t("me.logout")}</button>`}
      >
        <${Figures}>
          <${Figure} name=${t("me.role")} value=${t(`role.${me.role}`)} />
          <${Figure} name=${t("me.session")} value=${html`<${Moment} at=${me.session_expires_at} />`} />
        <//>
      <//>
      <${Panel} title=${t("me.password")}><${Password} name=${me.name} /><//>
      <${Panel}
        title=${t("me.factor")}
        actions=${me.second_factor
          ? html`<button type="button" class="button" onClick=${() => setOpen("remove")}>${t("me.factor.remove")}</button>`
          : html`<button type="button" class="button" onClick=${() => setOpen("enrol")}>${t("me.factor.enrol")}</button>`}
      >
        <p>${t(me.second_factor ? "me.factor.on" : "me.factor.off")}</p>
        ${me.second_factor && html`<p>${tn("me.factor.left", me.recovery_codes_left)} ${me.recovery_codes_left <= FEW && t("me.factor.few")}</p>`}
      <//>
      ${open === "enrol" && html`<${Enrol} onClose=${() => setOpen(null)} />`}
      ${open === "remove" && html`<${Remove} onClose=${() => setOpen(null)} />`}
    </div>
  `;
}

/** @param {{name: string}} props */
function Password({ name }) {
  const [current, setCurrent] = useState("");
  const [fresh, setFresh] = useState("");
  const [repeated, setRepeated] = useState("");
  const form = useForm();
  const differs = repeated !== "" && fresh !== repeated;
  const change = form.submits(async () => {
    await send("POST", "/password", { current, new: fresh });
    setCurrent("");
    setFresh("");
    setRepeated("");
    notify(t("me.password.done"));
  });
  return html`
    <form onSubmit=${change} novalidate>
      <${Owner} name=${name} />
      <${Field}
        name="current"
        type="password"
        label=${t("me.password.current")}
        value=${current}
        onInput=${setCurrent}
        autocomplete="current-password"
        problem=${problemOf(form.error, "current")}
      />
      <${Field}
        name="new"
        type="password"
        label=${t("me.password.new")}
        hint=${t("setup.password.hint")}
        value=${fresh}
        onInput=${setFresh}
        autocomplete="new-password"
        problem=${problemOf(form.error, "new")}
      />
      <${Field}
        name="repeated"
        type="password"
        label=${t("setup.repeat")}
        value=${repeated}
        onInput=${setRepeated}
        autocomplete="new-password"
        problem=${differs ? t("setup.differs") : null}
      />
      <${Problem}>${problemElse(form.error, ["current", "new"])}<//>
      <button class="button" disabled=${form.busy || !current || !fresh || fresh !== repeated}>${t("me.password.do")}</button>
    </form>
  `;
}

/**
 * Password, then secret and first code, then the recovery codes.
 * @param {{onClose: () => void}} props
 */
function Enrol({ onClose }) {
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [enrolled, setEnrolled] = useState(/** @type {Enrolled | null} */ (null));
  const [codes, setCodes] = useState(/** @type {string[] | null} */ (null));
  const form = useForm();
  const begin = form.submits(async () => setEnrolled(await send("POST", "/totp", { password })));
  const confirm = form.submits(async () => {
    const made = /** @type {Recovery} */ (await send("POST", "/totp/confirm", { code: code.trim() }));
    setCodes(made.recovery_codes);
    notify(t("me.factor.done"));
    void lookWho();
  });
  if (codes) {
    // Closed by its button alone: what is here cannot be shown again.
    return html`
      <${Dialog} title=${t("me.factor.codes")}>
        <p>${t("me.factor.codes.hint")}</p>
        <${CopyText} text=${codes.join("\n")} label=${t("me.factor.codes")} />
        <div class="actions"><button type="button" class="button primary" onClick=${onClose} autofocus>${t("me.factor.kept")}</button></div>
      <//>
    `;
  }
  if (enrolled) {
    return html`
      <${Dialog} title=${t("me.factor.enrol.title")} onClose=${onClose}>
        <form onSubmit=${confirm} novalidate>
          <p>${t("me.factor.secret.hint")}</p>
          <${CopyText} text=${enrolled.secret} label=${t("me.factor.secret")} />
          <p><a href=${enrolled.uri}>${t("me.factor.uri")}</a></p>
          <${Field}
            name="code"
            label=${t("me.factor.code")}
            value=${code}
            onInput=${setCode}
            autocomplete="one-time-code"
            inputmode="numeric"
            problem=${problemOf(form.error, "code")}
            mono
          />
          <${Problem}>${problemElse(form.error, ["code"])}<//>
          <div class="actions"><button class="button primary" disabled=${form.busy || !code.trim()}>${t("me.factor.confirm")}</button></div>
        </form>
      <//>
    `;
  }
  return html`
    <${Dialog} title=${t("me.factor.enrol.title")} onClose=${onClose}>
      <${Proof} form=${form} onSubmit=${begin} password=${password} onInput=${setPassword} act=${t("me.factor.next")} />
    <//>
  `;
}

/** @param {{onClose: () => void}} props */
function Remove({ onClose }) {
  const [password, setPassword] = useState("");
  const form = useForm();
  const remove = form.submits(async () => {
    await send("POST", "/totp/disable", { password });
    notify(t("me.factor.remove.done"));
    onClose();
    void lookWho();
  });
  return html`
    <${Dialog} title=${t("me.factor.remove.title")} onClose=${onClose}>
      <${Proof} form=${form} onSubmit=${remove} password=${password} onInput=${setPassword} act=${t("me.factor.remove")} danger />
    <//>
  `;
}

/**
 * @param {{
 *   form: {error: Error | null, busy: boolean}, onSubmit: (event: Event) => void,
 *   password: string, onInput: (value: string) => void, act: string, danger?: boolean,
 * }} props
 */
function Proof({ form, onSubmit, password, onInput, act, danger = false }) {
  return html`
    <form onSubmit=${onSubmit} novalidate>
      <${Owner} name=${who.value?.name} />
      <${Field}
        name="password"
        type="password"
        label=${t("me.password.current")}
        value=${password}
        onInput=${onInput}
        autocomplete="current-password"
        problem=${problemOf(form.error, "password")}
      />
      <${Problem}>${problemElse(form.error, ["password"])}<//>
      <div class="actions">
        <button class=${danger ? "button danger" : "button primary"} disabled=${form.busy || !password}>${act}</button>
      </div>
    </form>
  `;
}
