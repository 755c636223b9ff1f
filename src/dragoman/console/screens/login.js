// Coming in: name and password, the second factor where there is one, and the first admin of a new gateway.
// The address stays as it is: whoever comes in is where they wanted to be.

import { ApiError, forgive, send } from "../api.js";
import { html, useEffect, useState } from "../html.js";
import { Field, Problem, problemElse, problemOf } from "../parts/field.js";
import { prose } from "../parts/prose.js";
import { go, place, to } from "../router.js";
import { ended, fresh, who } from "../state.js";
import { t } from "../text.js";

/** @import {Me} from "../api-types.js" */

/** Seen in place of every screen by whoever is not logged in. */
export function Login() {
  const { screen } = place.value;
  const setup = screen === "setup" || (fresh.value && screen !== "login");
  useEffect(() => {
    document.title = `${t(setup ? "setup.title" : "login.title")} · ${t("app.name")}`;
  }, [setup]);
  return html`
    <main class="gate">
      <p class="brand"><img src="/console/icon.svg" alt="" width="28" height="28" />${t("app.name")}</p>
      ${setup ? html`<${SetUp} />` : html`<${LogIn} />`}
    </main>
  `;
}

function LogIn() {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [asked, setAsked] = useState(false);
  const { error, busy, wait, attempt } = useAttempt();
  const submit = () =>
    attempt(
      async () => {
        const body = asked ? { name, password, code: code.trim() } : { name, password };
        enter(await send("POST", "/login", body, { quiet: true }));
      },
      (refusal) => {
        // The password was right, a code is wanted: that is no error the first time.
        if (refusal.path !== "code") return false;
        setCode("");
        if (asked) return false;
        setAsked(true);
        return true;
      },
    );
  const paths = asked ? ["code"] : [];
  return html`
    <form class="card" onSubmit=${prevented(submit)} novalidate>
      <h1>${t(asked ? "login.code.title" : "login.title")}</h1>
      ${ended.value && html`<p>${t("login.again")}</p>`}
      ${asked
        ? html`
            <${Field}
              key="code"
              name="code"
              label=${t("login.code")}
              hint=${t("login.code.hint")}
              value=${code}
              onInput=${setCode}
              autocomplete="one-time-code"
              problem=${problemOf(error, "code")}
              mono
              autofocus
            />
          `
        : html`
            <${Field} key="name" name="username" label=${t("login.name")} value=${name} onInput=${setName} autocomplete="username" autofocus />
            <${Field}
              key="password"
              name="password"
              type="password"
              label=${t("login.password")}
              value=${password}
              onInput=${setPassword}
              autocomplete="current-password"
            />
          `}
      <${Problem}>${wait ? t("login.wait", { seconds: wait }) : problemElse(error, paths)}<//>
      <button class="button primary" disabled=${busy || wait > 0 || !(asked ? code.trim() : name && password)}>
        ${t(busy ? "login.busy" : "login.do")}
      </button>
      ${asked
        ? html`<button type="button" class="button plain" onClick=${() => setAsked(false)}>${t("login.code.back")}</button>`
        : html`<p class="gate-more"><a href=${to("setup")}>${t("login.first")}</a></p>`}
      ${!asked && error instanceof ApiError && error.status === 401 && html`<p class="hint">${prose(t("login.lost"))}</p>`}
    </form>
  `;
}

function SetUp() {
  const [token, setToken] = useState("");
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [repeated, setRepeated] = useState("");
  const [tried, setTried] = useState(false);
  const { error, busy, wait, attempt } = useAttempt();
  const short = password.length < 8;
  const differs = password !== repeated;
  const submit = () => {
    setTried(true);
    if (!token.trim() || !name || short || differs) return;
    void attempt(async () => {
      const me = await send("POST", "/setup", { token: token.trim(), name, password }, { quiet: true });
      go(to("overview"), { replace: true });
      enter(/** @type {Me} */ (me));
    });
  };
  /** @param {string} value */
  const needed = (value) => (tried && !value.trim() ? t("field.empty") : null);
  return html`
    <form class="card" onSubmit=${prevented(submit)} novalidate>
      <h1>${t("setup.title")}</h1>
      <${Field}
        name="token"
        label=${t("setup.token")}
        hint=${t("setup.token.hint")}
        value=${token}
        onInput=${setToken}
        problem=${needed(token) ?? problemOf(error, "token")}
        placeholder="drg-setup-…"
        mono
        autofocus
      />
      <${Field}
        name="username"
        label=${t("login.name")}
        hint=${t("setup.name.hint")}
        value=${name}
        onInput=${setName}
        autocomplete="username"
        problem=${needed(name) ?? problemOf(error, "name")}
      />
      <${Field}
        name="password"
        type="password"
        label=${t("login.password")}
        hint=${t("setup.password.hint")}
        value=${password}
        onInput=${setPassword}
        autocomplete="new-password"
        problem=${tried && short ? t("setup.short") : problemOf(error, "password")}
      />
      <${Field}
        name="repeated"
        type="password"
        label=${t("setup.repeat")}
        value=${repeated}
        onInput=${setRepeated}
        autocomplete="new-password"
        problem=${tried && !short && differs ? t("setup.differs") : null}
      />
      <${Problem}>${wait ? t("login.wait", { seconds: wait }) : problemElse(error, ["token", "name", "password"])}<//>
      <button class="button primary" disabled=${busy || wait > 0}>${t(busy ? "login.busy" : "setup.do")}</button>
      <p class="gate-more"><a href=${to("login")}>${t("setup.back")}</a></p>
    </form>
  `;
}

/** @param {Me} me */
function enter(me) {
  forgive();
  ended.value = false;
  fresh.value = false;
  who.value = me;
}

/** @param {() => unknown} act */
function prevented(act) {
  return (/** @type {Event} */ event) => {
    event.preventDefault();
    void act();
  };
}

/**
 * One try at a time; its failure, and how many seconds the API wants to be left alone.
 */
function useAttempt() {
  const [error, setError] = useState(/** @type {Error | null} */ (null));
  const [busy, setBusy] = useState(false);
  const [wait, setWait] = useState(0);
  useEffect(() => {
    if (wait <= 0) return undefined;
    const timer = setTimeout(() => setWait(wait - 1), 1_000);
    return () => clearTimeout(timer);
  }, [wait]);
  /**
   * @param {() => Promise<void>} act
   * @param {(refusal: ApiError) => boolean} [known] takes a refusal that is none for the reader
   */
  const attempt = async (act, known = () => false) => {
    setBusy(true);
    setError(null);
    try {
      await act();
    } catch (reason) {
      const refusal = reason instanceof ApiError ? reason : null;
      if (refusal?.status === 429) setWait(Math.ceil(refusal.retryAfter ?? 1));
      if (!refusal || !known(refusal)) setError(reason instanceof Error ? reason : new Error(String(reason)));
    } finally {
      setBusy(false);
    }
  };
  return { error, busy, wait, attempt };
}
