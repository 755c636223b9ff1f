// A ChatGPT log-in: begun, then completed with a pasted address, or asked for until the code was entered. One that
// is left is given up, so that nothing that comes late is taken.

import { ApiError, segment, send } from "../../api.js";
import { useForm } from "../../form.js";
import { html, useEffect, useRef, useState } from "../../html.js";
import { Area } from "../../parts/area.js";
import { CopyButton, CopyText } from "../../parts/copy.js";
import { Field, Problem, problemElse, problemOf } from "../../parts/field.js";
import { Moment } from "../../parts/figure.js";
import { prose } from "../../parts/prose.js";
import { Failure } from "../../parts/states.js";
import { t } from "../../text.js";

/** @import {AccountRecord, SignInRecord, SignInState} from "../../api-types.js" */
/** @import {View} from "../../html.js" */

// How long to wait where nobody says, and after a silence.
const PATIENCE = 5;
const GONE = 404;

/**
 * @param {{way: "browser" | "device", name?: string, onDone: (account: AccountRecord) => void}} props `name` is the
 *   account that is to be logged in again
 */
export function SignIn({ way, name: fixed, onDone }) {
  const [name, setName] = useState(fixed ?? "");
  const [begun, setBegun] = useState(/** @type {SignInRecord | null} */ (null));
  const [failed, setFailed] = useState(/** @type {string | null} */ (null));
  const form = useForm();
  const open = useRef(/** @type {string | null} */ (null));
  const left = useRef(false);
  const giveUp = (/** @type {string | null} */ id) => {
    open.current = null;
    if (id) send("DELETE", `/account-logins/${segment(id)}`).catch(() => undefined); // it expires by itself
  };
  useEffect(
    () => () => {
      left.current = true;
      giveUp(open.current);
    },
    [],
  );
  const begin = form.submits(async () => {
    setFailed(null);
    const made = /** @type {SignInRecord} */ (await send("POST", "/account-logins", { name: name.trim(), way }));
    if (left.current) return giveUp(made.id);
    open.current = made.id;
    setBegun(made);
  });
  /** @param {SignInState} told */
  const heard = (told) => {
    if (told.state === "pending") return;
    open.current = null;
    if (told.state === "done" && told.account) onDone(told.account);
    else over(told.message ?? t("accounts.signin.failed"));
  };
  const over = (/** @type {string} */ message) => {
    open.current = null;
    setBegun(null);
    setFailed(message);
  };
  if (begun) {
    const Step = begun.way === "device" ? Device : Browser;
    return html`<${Step} key=${begun.id} of=${begun} onHeard=${heard} onOver=${over} />`;
  }
  return html`
    <form onSubmit=${begin} novalidate>
      ${failed && html`<p class="tried fails" role="alert"><strong>${t("accounts.signin.failed")}</strong> ${failed}</p>`}
      <${Field}
        name="name"
        label=${t("accounts.field.name")}
        hint=${fixed ? undefined : t("accounts.field.name.hint")}
        value=${name}
        onInput=${setName}
        disabled=${Boolean(fixed)}
        problem=${problemOf(form.error, "name")}
        autofocus
      />
      <${Problem}>${problemElse(form.error, ["name"])}<//>
      <div class="actions">
        <button class="button primary" disabled=${form.busy || !name.trim()}>${t(failed ? "accounts.signin.again" : "accounts.add.next")}</button>
      </div>
    </form>
  `;
}

/**
 * The page to log in at. What is no address of the web is shown and leads nowhere.
 * @param {{url: string}} props
 */
function Page({ url }) {
  if (!/^https?:\/\//i.test(url)) return html`<${Problem}>${t("accounts.signin.strange", { url })}<//>`;
  return html`
    <p class="page-link">
      <a class="button primary" href=${url} target="_blank" rel="noopener noreferrer">${t("accounts.signin.open")}</a>
      <${CopyButton} text=${url} label=${t("accounts.signin.page")} />
    </p>
  `;
}

/** @typedef {{of: SignInRecord, onHeard: (told: SignInState) => void, onOver: (message: string) => void}} Step */

/**
 * @param {Step} props
 * @returns {View}
 */
function Browser({ of, onHeard, onOver }) {
  const [address, setAddress] = useState("");
  const form = useForm();
  const complete = form.submits(async () => {
    try {
      onHeard(await send("POST", `/account-logins/${segment(of.id)}/complete`, { address: address.trim() }));
    } catch (error) {
      if (error instanceof ApiError && error.status === GONE) onOver(t("accounts.signin.expired"));
      else throw error;
    }
  });
  return html`
    <form onSubmit=${complete} novalidate>
      <ol class="steps">
        <li><p>${t("accounts.signin.step.open")}</p><${Page} url=${of.url} /></li>
        <li>
          <p>${prose(t("accounts.signin.step.paste"))}</p>
          <${Area} name="address" label=${t("accounts.signin.address")} rows=${3} mono value=${address} onInput=${setAddress} problem=${problemOf(form.error, "address")} />
        </li>
      </ol>
      <${Problem}>${problemElse(form.error, ["address"])}<//>
      <div class="actions">
        <span class="hint valid">${t("accounts.signin.valid")} <${Moment} at=${of.expires_at} /></span>
        <button class="button primary" disabled=${form.busy || !address.trim()}>${t("accounts.signin.complete")}</button>
      </div>
    </form>
  `;
}

/**
 * @param {Step} props
 * @returns {View}
 */
function Device({ of, onHeard, onOver }) {
  const [error, setError] = useState(/** @type {Error | null} */ (null));
  useEffect(() => {
    let gone = false;
    let timer = 0;
    const again = (/** @type {number} */ seconds) => {
      timer = setTimeout(ask, seconds * 1_000);
    };
    const ask = async () => {
      try {
        const told = /** @type {SignInState} */ (await send("POST", `/account-logins/${segment(of.id)}/poll`));
        if (gone) return;
        setError(null);
        onHeard(told);
        if (told.state === "pending") again(told.retry_after ?? of.interval ?? PATIENCE);
      } catch (reason) {
        if (gone) return;
        if (reason instanceof ApiError && reason.status === GONE) return onOver(t("accounts.signin.expired"));
        setError(reason instanceof Error ? reason : new Error(String(reason)));
        // A silence is no end of it; nor is a store that does not answer.
        if (reason instanceof ApiError && (reason.status === 0 || reason.status >= 500)) again(PATIENCE);
      }
    };
    again(of.interval ?? PATIENCE);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [of.id]);
  return html`
    <ol class="steps">
      <li><p>${t("accounts.signin.step.code")}</p><${Page} url=${of.url} /></li>
      <li><div class="usercode"><${CopyText} text=${of.user_code ?? ""} label=${t("accounts.signin.code")} /></div></li>
    </ol>
    <p class="waiting" role="status">${t("accounts.signin.waiting")} <span class="hint">${t("accounts.signin.valid")} <${Moment} at=${of.expires_at} /></span></p>
    ${error && html`<${Failure} error=${error} />`}
  `;
}
