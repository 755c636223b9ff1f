// Names, prices, the catalogue: what a requested name means and why, what models cost, what there is.

import { get } from "../api.js";
import { html } from "../html.js";
import { Loaded } from "../parts/states.js";
import { Panel } from "../parts/panel.js";
import { useResource } from "../resource.js";
import { mayChange } from "../state.js";
import { t } from "../text.js";
import { Aliases } from "./models/aliases.js";
import { Catalogue } from "./models/catalogue.js";
import { Prices } from "./models/prices.js";
import { Trial } from "./models/trial.js";

/** @import {Accounts, AliasList, Models, PriceList} from "../api-types.js" */

const EVERY = 20_000;

export default function ModelsScreen() {
  const aliases = useResource((signal) => /** @type {Promise<AliasList>} */ (get("/aliases", {}, { signal })), [], { every: EVERY });
  const prices = useResource((signal) => /** @type {Promise<PriceList>} */ (get("/prices", {}, { signal })), [], { every: EVERY });
  const models = useResource((signal) => /** @type {Promise<Models>} */ (get("/models", {}, { signal })), [], { every: EVERY });
  const accounts = useResource((signal) => /** @type {Promise<Accounts>} */ (get("/accounts", {}, { signal })), [], { every: EVERY });
  const changed = () => {
    aliases.reload();
    prices.reload();
    models.reload();
  };
  const names = (models.data?.data ?? []).map((one) => one.model);
  return html`
    <div class="page">
      <h1>${t("models.title")}</h1>
      <${Trial} aliases=${aliases.data?.data ?? []} accounts=${accounts.data?.data ?? []} at=${aliases.at} />
      ${aliases.data
        ? html`<${Aliases} rows=${aliases.data.data} names=${names} changed=${changed} may=${mayChange.value} />`
        : html`<${Panel} title=${t("models.aliases")}><${Loaded} of=${aliases}>${() => null}<//><//>`}
      ${prices.data
        ? html`<${Prices} rows=${prices.data.data} names=${names} changed=${changed} may=${mayChange.value} />`
        : html`<${Panel} title=${t("models.prices")}><${Loaded} of=${prices}>${() => null}<//><//>`}
      <${Panel} title=${t("models.catalogue")} note=${t("models.catalogue.known")}>
        <${Loaded} of=${models}>${(/** @type {Models} */ data) => html`<${Catalogue} of=${data} />`}<//>
      <//>
    </div>
  `;
}
