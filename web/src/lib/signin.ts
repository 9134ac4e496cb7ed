import { fill, t } from "../texts";
import { call, Problem, token, why } from "./api";
import { h, put } from "./dom";

/**
 * Returns once this tab may run streams: at once in development mode and for a token that holds;
 * else it shows the form in `place` and waits for one that does.
 */
export async function signedIn(place: Element): Promise<void> {
  for (;;) {
    try {
      await call("GET", "/streams?limit=1");
      return;
    } catch (error) {
      const known = error instanceof Problem && (error.status === 401 || error.status === 403);
      const said = known && !token.get() ? null : why(error);
      if (known) token.clear();
      await (known ? form(place, said) : retry(place, error));
    }
  }
}

function form(place: Element, said: string | null): Promise<void> {
  return new Promise((resolve) => {
    const input = h("input", {
      id: "token",
      attrs: {
        type: "password",
        autocomplete: "off",
        spellcheck: "false",
        required: "",
        "aria-describedby": "token-help",
      },
    });
    const submit = (event: Event) => {
      event.preventDefault();
      const value = input.value.trim().replace(/^Bearer\s+/i, "");
      if (!value) return input.focus();
      token.set(value);
      resolve();
    };
    put(
      place,
      h(
        "form",
        { class: "notice sign-in", on: { submit } },
        h("h1", {}, t.signIn.title),
        said &&
          h(
            "p",
            { class: "alert bad", attrs: { role: "alert" } },
            fill(t.signIn.refused, { why: said }),
          ),
        h(
          "div",
          { class: "field" },
          h("label", { attrs: { for: "token" } }, t.signIn.label),
          input,
          h("p", { class: "help", id: "token-help" }, t.signIn.help),
        ),
        h("button", { class: "button primary", attrs: { type: "submit" } }, t.signIn.action),
      ),
    );
    input.focus();
  });
}

function retry(place: Element, error: unknown): Promise<void> {
  return new Promise((resolve) => {
    const again = h(
      "button",
      { class: "button primary", on: { click: () => resolve() } },
      t.common.retry,
    );
    put(
      place,
      h("div", { class: "notice" }, h("p", { attrs: { role: "alert" } }, why(error)), again),
    );
  });
}

/** The way out, where somebody signed in. */
export function signOut(): HTMLElement | null {
  if (!token.get()) return null;
  const out = () => {
    token.clear();
    location.reload();
  };
  return h("button", { class: "button plain", on: { click: out } }, t.signIn.out);
}
