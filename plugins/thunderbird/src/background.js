// Wires Thunderbird's events to what is done about them.

import * as drafts from "./drafts.js";
import { confirm } from "./joining.js";
import { quote } from "./quoting.js";
import * as reading from "./reading.js";
import * as sending from "./sending.js";
import { tell } from "./told.js";

/** Open the settings, with what is to be filled in there: in memory, as an invitation is a secret. */
async function settings(filled) {
  if (filled) await messenger.storage.session.set({ filled });
  await messenger.runtime.openOptionsPage();
}

const ANSWERS = {
  open: async tab => {
    const view = await reading.view(tab.id);
    await tell(tab, view && {
      label: view.author.label,
      words: [view.author.words, view.sealed].filter(Boolean),
      isWarning: view.author.state === "bad",
    });
    return view;
  },
  save: (tab, { index }) => reading.save(tab.id, index),
  confirm: tab => confirm(tab.id),
  join: (_, { token }) => settings({ invitation: token }),
  meet: (_, { list, service }) => settings({ list, service }),
  options: () => settings(),
  begin: async tab => ((await drafts.isAgain(tab.id)) ? undefined : quote(tab)),
  touched: drafts.touched,
  reopen: drafts.reopen,
};

const AFTER = [0, 250, 1000, 3000]; // milliseconds

/**
 * Put our script into a message that is displayed; it stays out of where it is already.
 *
 * Of the first message after its start Thunderbird 153 doesn't always say that it is displayed, and then
 * doesn't run what a manifest names for that: that the message was chosen is heard, too.
 */
async function inject({ id: tabId }) {
  const target = { tabId };
  for (const pause of AFTER) {
    await new Promise(then => setTimeout(then, pause));
    try {
      await messenger.scripting.executeScript({ target, files: ["display.js"] });
      await messenger.scripting.insertCSS({ target, files: ["display.css"] });
    } catch {
      // no message is there any more, or not yet
    }
  }
}

/** Put it into those that were displayed before we were there. */
const injectAll = async () => (await messenger.tabs.query({ type: ["mail", "messageDisplay"] })).forEach(inject);

messenger.messageDisplay.onMessagesDisplayed.addListener(inject);
messenger.mailTabs.onSelectedMessagesChanged.addListener(inject);
messenger.runtime.onMessage.addListener((asked, { tab }) => ANSWERS[asked.do]?.(tab, asked));
messenger.compose.onBeforeSend.addListener(sending.beforeSend);
messenger.compose.onAfterSend.addListener(sending.afterSend);
messenger.compose.onAfterSave.addListener(drafts.saved);
messenger.tabs.onRemoved.addListener(drafts.closed);
messenger.runtime.onStartup.addListener(injectAll);
messenger.runtime.onInstalled.addListener(({ reason }) => {
  injectAll();
  if (reason === "install") messenger.runtime.openOptionsPage();
});
