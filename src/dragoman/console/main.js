// The beginning: listens to the keyboard, asks who is logged in, draws.

import { App } from "./app.js";
import { lookWho } from "./api.js";
import { html, render } from "./html.js";
import { listen } from "./keyboard.js";

const root = document.getElementById("console");
if (root) {
  listen();
  void lookWho();
  render(html`<${App} />`, root);
}
