// Where a name goes and why: asked while it is typed, kept in the address (`?try=…`), shown in the order of rules.

import { ApiError, get } from "../../api.js";
import { count } from "../../format.js";
import { html, useEffect, useState } from "../../html.js";
import { Figure, Figures } from "../../parts/figure.js";
import { Panel } from "../../parts/panel.js";
import { prose } from "../../parts/prose.js";
import { Failure } from "../../parts/states.js";
import { useResource } from "../../resource.js";
import { go, place, to } from "../../router.js";
import { t } from "../../text.js";
import { stateOf, stateWord } from "../accounts/state.js";

/** @import {AccountRecord, AliasRecord, Resolved} from "../../api-types.js" */

const VIAS = /** @type {const} */ (["alias", "published", "glob", "listed", "pass-through"]);
const PAUSE = 250;
const LEADS_NOWHERE = [400, 404];

/**
 * @param {{aliases: AliasRecord[], accounts: AccountRecord[], at: number | null}} props `at` is when the aliases were
 *   read: asked anew then
 */
export function Trial({ aliases, accounts, at }) {
  const name = (place.value.query.try ?? "").trim();
  const [asked, setAsked] = useState(name);
  useEffect(() => {
    const timer = setTimeout(() => setAsked(name), PAUSE);
    return () => clearTimeout(timer);
  }, [name]);
  const found = useResource(
    async (signal) => {
      try {
        return { name: asked, to: asked ? /** @type {Resolved} */ (await get("/aliases/test", { name: asked }, { signal })) : null, refused: "" };
      } catch (error) {
        // That it leads nowhere is an answer.
        if (error instanceof ApiError && LEADS_NOWHERE.includes(error.status)) return { name: asked, to: null, refused: error.message };
        throw error;
      }
    },
    [asked, at],
  );
  const told = found.data?.name === name ? found.data : null;
  return html`
    <${Panel} title=${t("models.try")}>
      <div class="trial">
        <div class="field">
          <input
            type="search"
            class="mono"
            data-search
            aria-label=${t("models.try.label")}
            placeholder=${t("models.try.label")}
            value=${place.value.query.try ?? ""}
            spellcheck=${false}
            autocapitalize="none"
            autocomplete="off"
            list="models-try"
            onInput=${(/** @type {InputEvent} */ event) =>
              go(to("models", [], { try: /** @type {HTMLInputElement} */ (event.target).value }), { replace: true })}
          />
          <datalist id="models-try">
            ${aliases.filter((one) => !/[*?[]/.test(one.name)).map((one) => html`<option key=${one.name} value=${one.name}></option>`)}
          </datalist>
          <p class="hint">${prose(t("models.try.hint"))}</p>
          <div class="trial-answer" aria-live="polite">
            ${found.error
              ? html`<${Failure} error=${found.error} retry=${found.reload} />`
              : told && name && html`<${Answer} of=${told.to} accounts=${accounts} refused=${told.refused} />`}
          </div>
        </div>
        <${Order} of=${told?.to ?? null} nowhere=${Boolean(told?.refused)} />
      </div>
    <//>
  `;
}

/** @param {{of: Resolved | null, accounts: AccountRecord[], refused: string}} props */
function Answer({ of, accounts, refused }) {
  if (!of) return html`<p class="tried fails"><strong>${t("models.try.failed")}</strong> ${refused}</p>`;
  return html`
    <p class="trial-goal">
      <code>${of.name}</code> <span class="faint">${t("models.try.model")}</span> <code class="trial-model">${of.model}</code>
    </p>
    ${of.accounts.length
      ? html`
          <p>
            ${t("models.try.accounts")}:${" "}
            ${of.accounts.map((one, at) => html`${at > 0 && ", "}<${Taker} key=${one} name=${one} of=${accounts.find((row) => row.name === one)} />`)}
          </p>
        `
      : html`<p class="tried fails">${t("models.try.nobody")}</p>`}
    <${Figures}>
      <${Figure} name=${t("models.try.effort")} value=${of.default_effort ?? t("models.try.effort.none")} />
      <${Figure} name=${t("models.try.window")} value=${count(of.context_window)} />
      <${Figure} name=${t("models.try.output")} value=${count(of.max_output_tokens)} />
      <${Figure} name=${t("models.try.price")} value=${t(of.priced ? "models.try.priced" : "models.price.unknown")} tone=${of.priced ? undefined : "warn"} />
    <//>
  `;
}

/**
 * An account that takes the model, with its state where that is not the best.
 * @param {{name: string, of: AccountRecord | undefined}} props
 */
function Taker({ name, of }) {
  const state = of ? stateOf(of) : "ok";
  return html`<a href=${to("accounts", [name])}>${name}</a>${state !== "ok" && html` <span class="faint">(${stateWord(state)})</span>`}`;
}

/** @param {{of: Resolved | null, nowhere: boolean}} props */
function Order({ of, nowhere }) {
  const by = of?.alias && of.origin ? t("models.via.by", { alias: of.alias, origin: t(`models.origin.${of.origin}`) }) : "";
  return html`
    <div class="order">
      <p class="hint">${t("models.order")}</p>
      <ol>
        ${VIAS.map(
          (via) => html`
            <li key=${via} class=${of?.via === via ? "hit" : ""} aria-current=${of?.via === via ? "step" : undefined}>
              ${prose(t(`models.via.${via}`))}${of?.via === via && html` <strong>← ${by || t("models.via.here")}</strong>`}
            </li>
          `,
        )}
        <li class=${nowhere ? "hit bad" : ""}>${t("models.via.nothing")}${nowhere && html` <strong>← ${t("models.via.here")}</strong>`}</li>
      </ol>
    </div>
  `;
}
