// In the message pane: puts the opened message in the place of the notice that came with it.

import DOMPurify from "dompurify";
import { ask } from "./asking.js";
import { size } from "./words.js";

// Words, and how they stand, alone: nothing that loads, runs, is sent, or can lie over our own bar.
const HTML = {
  ALLOWED_TAGS: [
    "a", "b", "blockquote", "br", "code", "dd", "del", "div", "dl", "dt", "em", "h1", "h2", "h3", "h4",
    "h5", "h6", "hr", "i", "ins", "li", "ol", "p", "pre", "s", "small", "span", "strong", "sub", "sup",
    "table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul",
  ],
  ALLOWED_ATTR: ["href", "colspan", "rowspan", "dir", "lang"],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};

function make(tag, name, ...inside) {
  const made = document.createElement(tag);
  made.className = `recrypt-${name}`;
  made.append(...inside);
  return made;
}

function button(words, act) {
  const made = make("button", "button", words);
  made.type = "button";
  made.addEventListener("click", async () => {
    made.disabled = true;
    const said = await ask(act);
    made.disabled = false;
    if (said?.words) made.after(make("span", "said", ` ${said.words}`));
  });
  return made;
}

function bar(view) {
  const made = make("div", "bar", make("span", "author", view.author.words));
  made.classList.add(`recrypt-bar-${view.author.state}`);
  made.append(make("span", "small", view.sealed));
  for (const warning of view.warnings) made.append(make("span", "author", warning));
  return made;
}

function content(view) {
  const text = make("div", "text", view.text ?? "");
  if (!view.html) return [text];
  const html = make("div", "html", DOMPurify.sanitize(view.html, HTML));
  if (view.text === null || view.text === undefined) return [html];
  html.hidden = true;
  const other = make("button", "button", "Show with formatting");
  other.addEventListener("click", () => {
    [text.hidden, html.hidden] = [!text.hidden, !html.hidden];
    other.textContent = text.hidden ? "Show as plain text" : "Show with formatting";
  });
  return [text, html, other];
}

function files(view) {
  const made = make("div", "files");
  view.attachments.forEach((each, index) => {
    made.append(button(`Save ${each.name} (${size(each.size)})`, { do: "save", index }));
  });
  return made;
}

// What a mail brings that isn't Thunderbird's own could change how we look.
function undress() {
  for (const each of document.querySelectorAll("style, link")) {
    if (!each.href?.startsWith("chrome:")) each.remove();
  }
}

function show(view) {
  undress();
  const all = document.createElement("div");
  all.className = "recrypt";
  all.append(bar(view));
  if (view.kind === "opened") {
    all.append(make("p", "subject", view.subject || "(no subject)"));
    for (const line of view.fields) all.append(make("p", "field", line));
  }
  for (const each of view.buttons) all.append(button(each.words, each.act));
  if (view.kind === "opened") {
    all.append(...content(view));
    if (view.attachments.length) all.append(files(view));
  }
  if (view.kind === "opened") document.body.replaceChildren(all);
  else document.body.prepend(all);
}

// It is put here more than once; what is global may outlive a page.
if (globalThis.recryptIn !== document) {
  globalThis.recryptIn = document;
  ask({ do: "open" }).then(view => view && show(view), () => (globalThis.recryptIn = null));
}
