// What the parts of the settings have in common: saying things, forms, and buttons that ask once more.

import * as home from "../home.js";
import { problemWords } from "../words.js";

export const at = id => document.getElementById(id);

export function say(words, isBad = false) {
  at("said").textContent = words;
  at("said").classList.toggle("bad", isBad);
}

/** Do something while a button waits, and say what came of it. */
export async function act(button, step) {
  button.disabled = true;
  say("One moment …");
  try {
    say(await step());
    return true;
  } catch (problem) {
    say(problemWords(problem), true);
    return false;
  } finally {
    button.disabled = false;
  }
}

// What parts of the page show now.
const shown = new Map();

/** Tell whether a part is to show something else than it does: a click must not meet another button. */
export function isOther(id, value) {
  const text = JSON.stringify(value);
  if (shown.get(id) === text) return false;
  shown.set(id, text);
  return true;
}

/** Let a form do something. */
export function on(form, step) {
  form.addEventListener("submit", async event => {
    event.preventDefault();
    if (await act(form.querySelector("button"), () => step(new FormData(form)))) form.reset();
  });
}

export function make(tag, text, ...inside) {
  const made = document.createElement(tag);
  made.append(...(text ? [text] : []), ...inside);
  return made;
}

/** Make a button; with words to be sure, the first click only asks for a second one. */
export function button(words, step, sure) {
  const made = make("button", words);
  made.type = "button";
  made.addEventListener("click", () => {
    if (sure && made.textContent !== sure) {
      made.textContent = sure;
    } else {
      made.textContent = words;
      act(made, step);
    }
  });
  return made;
}

/** Make a table; its cells are text or elements, and each row may have a name. */
export function table(names, rows) {
  const made = make("table");
  made.createTHead().insertRow().append(...names.map(each => make("th", each)));
  const body = made.createTBody();
  for (const { name = "", cells } of rows) {
    const row = body.insertRow();
    row.dataset.name = name;
    row.append(...cells.map(each => make("td", "", ...[each].flat())));
  }
  return made;
}

/** Have something saved as a file, where the person wants it. */
export async function saveAs(filename, octets, isAsked = true) {
  const url = URL.createObjectURL(new Blob([octets], { type: "application/json" }));
  await messenger.downloads.download({ url, filename, saveAs: isAsked });
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Give what a person pasted, or else the file that was chosen. */
export async function given(data) {
  const pasted = data.get("pasted").trim();
  if (pasted) return new TextEncoder().encode(pasted);
  const octets = new Uint8Array(await data.get("file").arrayBuffer());
  if (!octets.length) throw new Error("Paste it, or choose its file");
  return octets;
}

/** Let one at a time change the home. */
export const change = step => home.change(async known => ({ home: await step(known) }));
