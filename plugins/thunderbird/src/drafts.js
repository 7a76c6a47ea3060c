// What is being written to a list: says what will become of it, and keeps it from being saved.
//
// Thunderbird saves what was changed, every few minutes and to the mail server: so we say of each
// change, as it is made, that it is none. What was saved all the same is taken away again.

import { mark, quoted } from "./marks.js";
import { judge } from "./recipients.js";
import { announce, insist, tell } from "./told.js";
import { writing } from "./words.js";

// What was typed and is asked after by nobody but us; the window's own script keeps us awake.
const typed = new Map();
// Windows whose message is sealed already, and on its way.
const going = new Set();

// Windows that were opened again, with all that stood in them; and whether one is being.
const again = new Set();
let reopening = Promise.resolve();

/** See to a window that may have been typed in. */
export async function touched(tab) {
  const details = await messenger.compose.getComposeDetails(tab.id);
  if (going.has(tab.id)) return;
  const target = await judge(tab.id, details);
  if (target.kind !== "people") {
    if (details.isModified) {
      await messenger.compose.setComposeDetails(tab.id, { isModified: false });
      typed.set(tab.id, details);
    }
  } else {
    typed.delete(tab.id);
  }
  await tell(tab, writing(target));
}

/** Leave a window alone: what it shows is what was sealed. */
export function leave(tabId) {
  going.add(tabId);
  typed.delete(tabId);
}

/** See to it again: its message didn't go. */
export const back = tabId => going.delete(tabId);

/** Ask whether what was typed is to be opened again, as Thunderbird had no question. */
export async function closed(tabId) {
  going.delete(tabId);
  again.delete(tabId);
  const details = typed.get(tabId);
  if (!typed.delete(tabId)) return;
  const { to, cc, bcc, subject, isPlainText, body, plainTextBody, identityId } = details;
  const fields = { to, cc, bcc, subject, identityId, isPlainText, ...(isPlainText ? { plainTextBody } : { body }) };
  const answered = details.type === "reply" ? details.relatedMessageId : null;
  await messenger.storage.session.set({ closed: { fields, answered, list: await quoted(tabId) } });
  await announce(tabId, writing({ kind: "closed" }));
}

/** Open once more what was closed last. */
export function reopen() {
  reopening = openAgain();
  return reopening;
}

async function openAgain() {
  const { closed: kept } = await messenger.storage.session.get("closed");
  await messenger.storage.session.remove("closed");
  if (!kept) return;
  const { compose } = messenger;
  // As an answer, so that it stays in its thread.
  const tab = await (kept.answered ? compose.beginReply(kept.answered, "replyToSender", kept.fields) : compose.beginNew(kept.fields));
  again.add(tab.id);
  if (kept.list) await mark(tab.id, kept.list);
}

/** Tell whether what stands in a window that has opened is there again, and isn't to be quoted. */
export async function isAgain(tabId) {
  await reopening.catch(() => {});
  return again.has(tabId);
}

/** Take away a draft that came to lie at a mail server in clear. */
export async function saved(tab, { messages }) {
  const details = typed.get(tab.id) ?? (await messenger.compose.getComposeDetails(tab.id));
  if ((await judge(tab.id, details)).kind === "people") return;
  const types = await Promise.all(messages.map(async each => (await messenger.accounts.get(each.folder.accountId)).type));
  const abroad = messages.filter((_, index) => !["none", "local"].includes(types[index]));
  if (!abroad.length) return;
  await messenger.messages.delete(abroad.map(each => each.id), { deletePermanently: true });
  await insist(tab, writing({ kind: "saved" }));
}
