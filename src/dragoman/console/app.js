// The frame: navigation, banner, notices, and the screen of the address. Whoever is not logged in sees the login
// in its place; the address stays, so that one comes back to where one was.

import { forgive, lookWho } from "./api.js";
import { Fragment, html, useEffect, useRef, useState } from "./html.js";
import { helpShown } from "./keyboard.js";
import { Dialog } from "./parts/dialog.js";
import { Empty, Failure, Loading } from "./parts/states.js";
import { place, to } from "./router.js";
import { OTHERS, SCREENS } from "./screens.js";
import { Login } from "./screens/login.js";
import { drop, notices, outage, round, who } from "./state.js";
import { t } from "./text.js";
import { theme, turnTheme } from "./theme.js";

/** @import {Screen} from "./screens.js" */

const HOME = "overview";
// Addresses of coming in: whoever is in is led on.
const GATES = ["login", "setup"];
const SIGNS = { system: "◐", light: "○", dark: "●" };

export function App() {
  const me = who.value;
  return html`
    <${Fragment}>
      ${me && html`<${Head} />`}
      <${Banner} />
      ${me === undefined && !outage.value && html`<${Loading} />`}
      ${me === null && html`<${Login} />`}
      ${me && html`<main id="content" tabindex="-1"><${Current} /></main>`}
      <${Notices} />
      ${helpShown.value && html`<${Help} />`}
    <//>
  `;
}

function Head() {
  const here = GATES.includes(place.value.screen) ? HOME : place.value.screen || HOME;
  const me = who.value;
  const link = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    // On a narrow page the navigation scrolls: where one is must be seen.
    link.current?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [here]);
  return html`
    <header class="head">
      <a
        class="skip"
        href="#content"
        onClick=${(/** @type {Event} */ event) => {
          event.preventDefault(); // the hash is the address of a screen
          document.getElementById("content")?.focus();
        }}
        >${t("app.skip")}</a
      >
      <a class="brand" href=${to(HOME)}><img src="/console/icon.svg" alt="" width="20" height="20" />${t("app.name")}</a>
      <nav aria-label=${t("nav.label")}>
        ${SCREENS.map(
          (one) => html`
            <a
              key=${one.id}
              href=${to(one.id)}
              ref=${one.id === here ? link : undefined}
              aria-current=${one.id === here ? "page" : undefined}
              title=${`g ${one.key}`}
              >${t(one.name)}</a
            >
          `,
        )}
      </nav>
      <div class="head-end">
        <button type="button" class="button plain" onClick=${turnTheme} title=${t(`theme.${theme.value}`)} aria-label=${t(`theme.${theme.value}`)}>
          ${SIGNS[theme.value]}
        </button>
        <button type="button" class="button plain wide-only" onClick=${() => (helpShown.value = true)} title=${t("keys.open")} aria-label=${t("keys.open")}>
          ?
        </button>
        <a
          class="you"
          href=${to("me")}
          aria-current=${here === "me" ? "page" : undefined}
          title=${me && t("nav.you", { name: me.name, role: t(`role.${me.role}`) })}
          >${me?.name}</a
        >
      </div>
    </header>
  `;
}

function Banner() {
  const now = outage.value;
  if (!now) return null;
  const again = () => {
    forgive();
    if (who.peek() === undefined) void lookWho();
    round.value += 1;
  };
  return html`
    <div class="banner" role="alert">
      <p><strong>${t("outage.title")}</strong> ${now.message} <span>${t("outage.stays")}</span></p>
      <button type="button" class="button" onClick=${again}>${t("outage.retry")}</button>
    </div>
  `;
}

function Notices() {
  return html`
    <div class="notices" role="status" aria-live="polite">
      ${notices.value.map(
        (one) => html`
          <div key=${one.id} class=${`notice ${one.kind}`}>
            <span>${one.text}</span>
            <button type="button" class="button plain" aria-label=${t("notice.close")} onClick=${() => drop(one.id)}>✕</button>
          </div>
        `,
      )}
    </div>
  `;
}

function Current() {
  const id = GATES.includes(place.value.screen) ? HOME : place.value.screen || HOME;
  const screen = [...SCREENS, ...OTHERS].find((one) => one.id === id);
  // What another screen could not read is no matter of this one.
  useEffect(() => forgive, [screen]);
  useEffect(() => {
    document.title = screen ? `${t(screen.name)} · ${t("app.name")}` : t("app.name");
  }, [screen]);
  if (!screen) {
    return html`<${Empty} title=${t("place.title")}><p>${t("place.do")}</p><p><a href=${to(HOME)}>${t("place.link")}</a></p><//>`;
  }
  return html`<${Opened} key=${screen.id} screen=${screen} />`;
}

/** @param {{screen: Screen}} props */
function Opened({ screen }) {
  const [found, setFound] = useState(/** @type {{default: () => import("./html.js").View | null} | null} */ (null));
  const [error, setError] = useState(/** @type {Error | null} */ (null));
  const load = () => {
    setError(null);
    screen.load().then(setFound, (/** @type {unknown} */ reason) => {
      setError(reason instanceof Error ? reason : new Error(String(reason)));
    });
  };
  useEffect(load, [screen]);
  // A failed import is remembered by the browser: only the page as a whole can be asked for again.
  if (error) return html`<${Failure} error=${error} retry=${() => location.reload()} />`;
  return found ? html`<${found.default} />` : html`<${Loading} />`;
}

function Help() {
  /** @type {[string[], string][]} */
  const rows = [
    [["/"], t("keys.search")],
    [["j", "k"], t("keys.rows")],
    [["Enter"], t("keys.enter")],
    [["Esc"], t("keys.escape")],
    [["p"], t("keys.pause")],
    [["[", "]"], t("keys.turns")],
    [["c"], t("keys.session")],
    ...SCREENS.map((one) => /** @type {[string[], string]} */ ([["g", one.key], t("keys.go", { screen: t(one.name) })])),
    [["?"], t("keys.help")],
  ];
  return html`
    <${Dialog} title=${t("keys.title")} onClose=${() => (helpShown.value = false)}>
      <dl class="keys">
        ${rows.map(
          ([keys, text]) => html`<div key=${text}><dt>${keys.map((key) => html`<kbd>${key}</kbd> `)}</dt><dd>${text}</dd></div>`,
        )}
      </dl>
    <//>
  `;
}
