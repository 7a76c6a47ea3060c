// Wires Thunderbird's events to what is done about them.

import * as drafts from "./drafts.js";
import { confirm } from "./joining.js";
import { quote } from "./quoting.js";
import * as reading from "./reading.js";
import * as sending from "./sending.js";
import { tell } from "./told.js";

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
  join: (_, { token }) => messenger.tabs.create({ url: `options/index.html#${token}` }),
  options: () => messenger.runtime.openOptionsPage(),
  begin: quote,
  touched: drafts.touched,
  reopen: drafts.reopen,
};

messenger.runtime.onMessage.addListener((asked, { tab }) => ANSWERS[asked.do]?.(tab, asked));
messenger.compose.onBeforeSend.addListener(sending.beforeSend);
messenger.compose.onAfterSend.addListener(sending.afterSend);
messenger.compose.onAfterSave.addListener(drafts.saved);
messenger.tabs.onRemoved.addListener(drafts.closed);
messenger.runtime.onInstalled.addListener(({ reason }) => {
  if (reason === "install") messenger.runtime.openOptionsPage();
});
