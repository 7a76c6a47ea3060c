// In the editor: tells of each change, so that nothing is saved, and the button says what will be.

import { ask } from "./asking.js";

// The window may be closed while the answer is on its way.
const touched = () => ask({ do: "touched" }).catch(() => {});

// With a quote or without one, what is typed isn't to be saved.
ask({ do: "begin" }).catch(() => {}).then(() => {
  document.addEventListener("input", touched, { capture: true });
  touched();
  setInterval(touched, 1000); // the recipients and the subject stand elsewhere
});
