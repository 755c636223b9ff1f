// Shows the OpenAPI document beside this page. Everything is set as text, nothing as markup.
const make = (name, attributes = {}, ...children) => {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
};

const named = (reference) => reference.split("/").pop();

// A schema in a few words.
const kind = (schema) => {
  if (!schema) return "";
  if (schema.$ref) return named(schema.$ref);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  const several = schema.anyOf || schema.oneOf;
  if (several) return several.map(kind).join(" | ");
  if (schema.type === "array") return `list of ${kind(schema.items) || "anything"}`;
  if (schema.type === "object" && schema.additionalProperties) {
    return `object of ${kind(schema.additionalProperties) || "anything"}`;
  }
  return schema.format ? `${schema.type} (${schema.format})` : schema.type || "anything";
};

const bounds = (schema) => {
  const told = [];
  for (const one of [schema, ...(schema.anyOf || [])]) {
    if (one.minimum !== undefined) told.push(`≥ ${one.minimum}`);
    if (one.maximum !== undefined) told.push(`≤ ${one.maximum}`);
    if (one.minLength !== undefined) told.push(`at least ${one.minLength} characters`);
    if (one.maxLength !== undefined) told.push(`at most ${one.maxLength} characters`);
  }
  if (schema.default !== undefined && schema.default !== null) told.push(`default ${JSON.stringify(schema.default)}`);
  return told.join(", ");
};

const table = (head, rows) => {
  const line = (cells, name) => make("tr", {}, ...cells.map((cell) => make(name, {}, cell)));
  return make("table", {}, make("thead", {}, line(head, "th")), make("tbody", {}, ...rows.map((row) => line(row, "td"))));
};

const fields = (schema, all) => {
  const model = schema.$ref ? all[named(schema.$ref)] : schema;
  if (!model || !model.properties) return make("p", { class: "kind" }, kind(schema));
  const needed = new Set(model.required || []);
  const rows = Object.entries(model.properties).map(([name, field]) => [
    make("code", {}, name),
    make("span", { class: "kind" }, kind(field)),
    [needed.has(name) ? "needed" : "", bounds(field), field.description || ""].filter(Boolean).join("; "),
  ]);
  const told = model.description ? [make("p", {}, model.description)] : [];
  return make("div", {}, ...told, table(["field", "kind", "meaning"], rows));
};

const folded = (title, content) => make("details", {}, make("summary", {}, title), content);

const operation = (path, method, told, all) => {
  const id = `${method}-${path}`;
  const heading = make("h3", { id }, `${method.toUpperCase()} ${path}`);
  heading.append(make("span", { class: "auth" }, told["x-auth"] || ""));
  const card = make("article", {}, heading, make("p", {}, told.summary || ""));
  if (told.description) card.append(make("p", {}, told.description));
  if (told.parameters) {
    const rows = told.parameters.map((one) => [
      make("code", {}, one.name),
      make("span", { class: "kind" }, kind(one.schema)),
      [one.in, one.required ? "needed" : "", bounds(one.schema), one.description || ""].filter(Boolean).join("; "),
    ]);
    card.append(folded("Parameters", table(["name", "kind", "meaning"], rows)));
  }
  const body = told.requestBody?.content?.["application/json"]?.schema;
  if (body) card.append(folded(`Body: ${kind(body)}`, fields(body, all)));
  for (const [status, answer] of Object.entries(told.responses)) {
    const [media, content] = Object.entries(answer.content || {})[0] || [];
    const title = `${status} ${content?.schema ? kind(content.schema) : media || ""}`;
    const shown = content?.schema ? fields(content.schema, all) : make("p", {}, answer.description || "");
    card.append(folded(title, shown));
  }
  return [id, card];
};

const show = (spec) => {
  document.getElementById("about").textContent = spec.info.description;
  const all = spec.components?.schemas || {};
  const rooms = new Map();
  for (const [path, methods] of Object.entries(spec.paths)) {
    for (const [method, told] of Object.entries(methods)) {
      const tag = told.tags?.[0] || "";
      if (!rooms.has(tag)) rooms.set(tag, []);
      rooms.get(tag).push(operation(path, method, told, all));
    }
  }
  const main = document.getElementById("operations");
  const list = make("ul");
  main.replaceChildren();
  for (const [tag, cards] of rooms) {
    main.append(make("h2", {}, tag));
    for (const [id, card] of cards) {
      main.append(card);
      list.append(make("li", {}, make("a", { href: `#${id}` }, id.replace("-", " "))));
    }
  }
  main.append(make("h2", {}, "Shapes"));
  for (const [name, schema] of Object.entries(all)) main.append(folded(name, fields({ $ref: name }, all) || kind(schema)));
  document.getElementById("index").replaceChildren(list);
};

try {
  const answer = await fetch("openapi.json");
  if (!answer.ok) throw new Error(`openapi.json: ${answer.status}`);
  show(await answer.json());
} catch (error) {
  document.getElementById("operations").replaceChildren(make("p", {}, String(error)));
}
