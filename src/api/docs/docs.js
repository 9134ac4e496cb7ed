// Shows /openapi.json and lets one try it. Everything is put in as text, never as markup.
"use strict";

/** An element with attributes and children; strings become text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** What a `$ref` points at. */
function follow(whole, value) {
  if (!value?.$ref) return value;
  const steps = value.$ref.slice(2).split("/").map((step) => step.replaceAll("~1", "/"));
  return follow(whole, steps.reduce((at, step) => at[step], whole));
}

/** A schema as one reads it: `{ roomName: string (3 to 50), rules?: … }`, nested by indentation. */
function shape(whole, schema, depth = 0, seen = []) {
  if (schema?.$ref && seen.includes(schema.$ref)) return schema.$ref.split("/").at(-1);
  const inside = schema?.$ref ? [...seen, schema.$ref] : seen;
  const plain = follow(whole, schema);
  if (plain === true || plain === undefined) return "any JSON";
  if ("const" in plain) return JSON.stringify(plain.const);
  if (plain.enum) return plain.enum.map((one) => JSON.stringify(one)).join(" | ");
  const options = plain.oneOf ?? plain.anyOf;
  if (options) return options.map((one) => shape(whole, one, depth, inside)).join(" | ");
  const kinds = [plain.type ?? "any JSON"].flat();
  const indent = "  ".repeat(depth + 1);
  if (kinds.includes("object") && (plain.properties || plain.additionalProperties)) {
    const lines = Object.entries(plain.properties ?? {}).map(([name, field]) => {
      const mark = plain.required?.includes(name) ? "" : "?";
      const about = field.description ? `  // ${field.description.replaceAll("\n", " ")}` : "";
      return `${indent}${name}${mark}: ${shape(whole, field, depth + 1, inside)}${about}`;
    });
    if (typeof plain.additionalProperties === "object") {
      lines.push(`${indent}[name]: ${shape(whole, plain.additionalProperties, depth + 1, inside)}`);
    }
    return `{\n${lines.join("\n")}\n${"  ".repeat(depth)}}`;
  }
  if (kinds.includes("array")) return `[${shape(whole, plain.items, depth, inside)}]`;
  const low = plain.minLength ?? plain.minimum;
  const high = plain.maxLength ?? plain.maximum;
  const bounds = high === undefined ? "" : ` (${low ?? 0} to ${high})`;
  return kinds.join(" | ") + (plain.format ? ` ${plain.format}` : "") + bounds;
}

function whoMay(operation) {
  const schemes = (operation.security ?? []).flatMap((one) => Object.keys(one));
  if (schemes.includes("livekit")) return "LiveKit’s signature";
  if (!schemes.length) return "anyone";
  return operation.responses["403"] ? "a token with the role" : "a token";
}

function table(head, rows) {
  if (!rows.length) return null;
  const cells = (tag, texts) => texts.map((text) => make(tag, {}, text));
  return make("table", {}, make("thead", {}, make("tr", {}, ...cells("th", head))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...cells("td", row)))));
}

/** The form that calls the operation, and what came back. */
function form(whole, method, path, operation) {
  const fields = (operation.parameters ?? []).map((one) => {
    const input = make("input", { autocomplete: "off", spellcheck: "false" });
    return { ...one, input, label: make("label", {}, `${one.name} (${one.in})`, input) };
  });
  const json = operation.requestBody?.content["application/json"];
  const body = json && make("textarea", { spellcheck: "false", "aria-label": "Body" });
  if (body) body.value = JSON.stringify(json.example ?? {}, null, 2);
  const send = make("button", { type: "submit" }, "Send");
  const answer = make("pre", { hidden: "", "aria-live": "polite" });
  const whole_form = make("form", {}, ...fields.map((one) => one.label), body, send, answer);
  whole_form.addEventListener("submit", async (event) => {
    event.preventDefault();
    answer.hidden = false;
    answer.textContent = "…";
    answer.textContent = await call(method, path, fields, body?.value);
  });
  return whole_form;
}

/** Most of an answer that is shown, in characters; event streams have no end. */
const SHOWN = 20000;

async function call(method, path, fields, body) {
  const value = (one) => one.input.value.trim();
  const query = new URLSearchParams();
  const headers = {};
  for (const one of fields.filter(value)) {
    if (one.in === "path") path = path.replace(`{${one.name}}`, encodeURIComponent(value(one)));
    if (one.in === "query") query.set(one.name, value(one));
    if (one.in === "header") headers[one.name] = value(one);
  }
  const token = document.getElementById("token").value.trim();
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), 10000);
  let text = "";
  try {
    const url = path + (query.size ? `?${query}` : "");
    const options = { method: method.toUpperCase(), headers, body, signal: stop.signal };
    const response = await fetch(url, { ...options, credentials: "omit" });
    const limits = ["retry-after", "ratelimit", "location", "x-request-id"];
    const shown = limits.filter((name) => response.headers.has(name));
    text = `${response.status} ${response.statusText}\n`;
    text += shown.map((name) => `${name}: ${response.headers.get(name)}\n`).join("") + "\n";
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    for (let part; reader && text.length < SHOWN && !(part = await reader.read()).done;) {
      text += part.value;
    }
  } catch (error) {
    text += error.name === "AbortError" ? "\n(stopped after 10 s)" : `\n${error.message}`;
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
  const [head, ...rest] = text.split("\n\n");
  try {
    return `${head}\n\n${JSON.stringify(JSON.parse(rest.join("\n\n")), null, 2)}`;
  } catch {
    return text.slice(0, SHOWN);
  }
}

function section(whole, method, path, operation) {
  const json = operation.requestBody?.content["application/json"];
  const parameters = (operation.parameters ?? []).map((one) => [
    one.name + (one.required ? "" : "?"), one.in, shape(whole, one.schema), one.description ?? "",
  ]);
  const answers = Object.entries(operation.responses).map(([status, one]) => {
    const answer = follow(whole, one);
    return [status, Object.keys(answer.content ?? {}).join(", "), answer.description];
  });
  const good = Object.values(operation.responses).map((one) => follow(whole, one))
    .find((one) => one.content?.["application/json"])?.content["application/json"];
  return make("details", { id: operation.operationId },
    make("summary", {},
      make("span", { class: `method ${method}` }, method.toUpperCase()), make("code", {}, path),
      " ", operation.summary, " ", make("span", { class: "who" }, `· ${whoMay(operation)}`)),
    make("div", {},
      make("p", {}, operation.description ?? ""),
      table(["Parameter", "In", "Kind", ""], parameters),
      json && make("h3", {}, "Body"), json && make("pre", {}, shape(whole, json.schema)),
      make("h3", {}, "Answers"), table(["Status", "Kind", ""], answers),
      good && make("pre", {}, shape(whole, good.schema)),
      make("h3", {}, "Try it"), form(whole, method, path, operation)));
}

async function show() {
  const main = document.getElementById("operations");
  const contents = document.getElementById("contents");
  const response = await fetch("/openapi.json");
  if (!response.ok) throw new Error(`/openapi.json answered ${response.status}`);
  const whole = await response.json();
  document.getElementById("version").textContent = whole.info.version;
  document.getElementById("summary").textContent = whole.info.summary;
  main.replaceChildren(...whole.info.description.split("\n\n").map((text) =>
    make("p", {}, ...text.split(/\*\*|`/).map((part, at) => at % 2 ? make("code", {}, part) : part))));
  for (const tag of whole.tags) {
    main.append(make("h2", {}, tag.name), make("p", {}, tag.description));
    contents.append(make("h2", {}, tag.name));
    for (const [path, item] of Object.entries(whole.paths)) {
      for (const [method, operation] of Object.entries(item)) {
        if (!operation.tags.includes(tag.name)) continue;
        main.append(section(whole, method, path, operation));
        contents.append(make("a", { href: `#${operation.operationId}` },
          make("span", { class: `method ${method}` }, method.toUpperCase()), path));
      }
    }
  }
  open_named();
}

/** Opens the operation that the address names. */
function open_named() {
  const named = document.getElementById(location.hash.slice(1));
  if (named instanceof HTMLDetailsElement) {
    named.open = true;
    named.scrollIntoView();
  }
}

addEventListener("hashchange", open_named);
show().catch((error) => {
  document.getElementById("operations").textContent = `The description cannot be shown: ${error.message}`;
});
