// A message that is sent: what goes to a list is sealed, and what can't be sealed stays here.

import { sealMessage } from "./core/index.js";
import * as drafts from "./drafts.js";
import * as home from "./home.js";
import { forget, quoted } from "./quoting.js";
import { judge } from "./recipients.js";
import { insist } from "./told.js";
import { notSent, outside, writing } from "./words.js";

// What stood in a window whose message was sealed, until it has gone; in memory alone.
const written = new Map();

/** Seal what goes to a list; keep from going what can't be sealed. */
export async function beforeSend(tab, details) {
  const target = await judge(details);
  const quotes = await quoted(tab.id);
  if (target.kind === "people" && !quotes) return {};
  if (target.kind !== "list" || (quotes && quotes !== target.list)) {
    await insist(tab, writing(target.kind === "mixed" ? target : { kind: "quoted", list: quotes }));
    return { cancel: true };
  }
  try {
    return { details: await sealed(tab, details, target.list) };
  } catch (problem) {
    await restore(tab);
    await insist(tab, notSent(problem));
    return { cancel: true };
  }
}

async function sealed(tab, details, list) {
  const files = await filesOf(tab.id);
  const message = await messageOf(details, files);
  const { envelope } = await home.change(async known => {
    const result = await sealMessage(message, list, known);
    return { home: result.home, result };
  });
  written.set(tab.id, { details, files });
  drafts.leave(tab.id);
  for (const { id } of files) await messenger.compose.removeAttachment(tab.id, id);
  const file = new File([envelope], "message.mmx", { type: "application/vnd.recrypt" });
  await messenger.compose.addAttachment(tab.id, { file, name: "message.mmx" });
  return outside(list, message.from.address, details.isPlainText);
}

async function filesOf(tabId) {
  const listed = await messenger.compose.listAttachments(tabId);
  return Promise.all(listed.map(async each => ({ ...each, file: await messenger.compose.getAttachmentFile(each.id) })));
}

async function messageOf(details, files) {
  const isAnswer = details.type === "reply" && details.relatedMessageId;
  const answered = isAnswer ? await messenger.messages.get(details.relatedMessageId) : null;
  const [from] = await messenger.messengerUtilities.parseMailboxString(details.from);
  return {
    from: { name: from.name ?? "", address: from.email },
    subject: details.subject,
    text: details.plainTextBody,
    html: details.isPlainText || details.deliveryFormat === "plaintext" ? null : details.body,
    attachments: await Promise.all(files.map(async ({ name, file }) => ({
      name,
      type: file.type || "application/octet-stream",
      content: new Uint8Array(await file.arrayBuffer()),
    }))),
    inReplyTo: answered && `<${answered.headerMessageId}>`,
  };
}

/** After a message has gone, or has failed to. */
export async function afterSend(tab, { error, mode, headerMessageId }) {
  // Where a server isn't there Thunderbird names no error, but no id of what went out either.
  if (error || (mode === "sendNow" && !headerMessageId)) return restore(tab);
  written.delete(tab.id);
  return forget(tab.id);
}

// What was sealed goes out of the window again, and what was written comes back.
async function restore(tab) {
  const before = written.get(tab.id);
  if (!written.delete(tab.id)) return;
  const { from, to, subject, body, plainTextBody, isPlainText } = before.details;
  for (const { id } of await messenger.compose.listAttachments(tab.id)) {
    await messenger.compose.removeAttachment(tab.id, id);
  }
  for (const { file, name } of before.files) await messenger.compose.addAttachment(tab.id, { file, name });
  const text = isPlainText ? { plainTextBody } : { body };
  await messenger.compose.setComposeDetails(tab.id, { from, to, subject, ...text, isModified: false });
  drafts.back(tab.id);
}
