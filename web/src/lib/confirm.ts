import { t } from "../texts";
import { h } from "./dom";

/** Asks before something that cannot be undone. */
export function confirmed(question: string, action: string): Promise<boolean> {
  return new Promise((resolve) => {
    const close = (yes: boolean) => {
      dialog.close();
      dialog.remove();
      resolve(yes);
    };
    const no = h("button", { class: "button", on: { click: () => close(false) } }, t.common.cancel);
    const yes = h(
      "button",
      { class: "button danger full", on: { click: () => close(true) } },
      action,
    );
    const title = h("h2", { id: "question" }, question);
    const dialog = h(
      "dialog",
      { attrs: { "aria-labelledby": "question" }, on: { cancel: () => close(false) } },
      title,
      h("div", { class: "row" }, no, yes),
    );
    document.body.append(dialog);
    dialog.showModal();
    no.focus();
  });
}
