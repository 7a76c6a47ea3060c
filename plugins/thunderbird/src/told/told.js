// The window behind Thunderbird's button: says what there is to say of its tab.

import { toldOf } from "../told.js";

const asked = new URLSearchParams(location.search).get("tab");
const tabs = asked ? [] : await messenger.tabs.query({ active: true, currentWindow: true });
const found = await toldOf(asked ? Number(asked) : tabs[0]?.id);
const lines = found?.words ?? ["This is nothing of an encrypted list."];
document.getElementById("words").replaceChildren(
  ...lines.map((line, index) => {
    const made = document.createElement(index ? "p" : "h1");
    made.textContent = line;
    return made;
  }),
);
if (found?.button) {
  const made = document.createElement("button");
  made.textContent = found.button.words;
  made.addEventListener("click", async () => {
    await messenger.runtime.sendMessage(found.button.act);
    window.close();
  });
  document.getElementById("words").append(made);
}
document.body.classList.toggle("warning", Boolean(found?.isWarning));
