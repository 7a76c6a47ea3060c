// A message that is sent: what goes to a list is sealed, and what can't be sealed stays here.

import { askKey, sealMessage, threadOf } from "./core/index.js";
import * as drafts from "./drafts.js";
import * as home from "./home.js";
import { talksTo } from "./lists.js";
import { forget } from "./marks.js";
import { raw } from "./reading.js";
import { judge } from "./recipients.js";
import { insist } from "./told.js";
import { notAllowed, notSent, outside, writing } from "./words.js";

// What else Thunderbird may put beside what is sealed, which a list refuses, or sign it once more.
const NOTHING_MORE = { attachVCard: false, attachPublicPGPKey: false, returnReceipt: false, deliveryStatusNotification: false };

// What stood in a window whose message was sealed, until it has gone; in memory alone.
const written = new Map();

/** Seal what goes to a list; keep from going what can't be sealed. */
export async function beforeSend(tab, details) {
  const target = await judge(tab.id, details);
  if (target.kind === "people") return {};
  if (target.kind !== "list") {
    await insist(tab, writing(target));
    return { cancel: true };
  }
  try {
    return { details: await sealed(tab, details, target) };
  } catch (problem) {
    await restore(tab);
    await insist(tab, notSent(problem));
    return { cancel: true };
  }
}

async function sealed(tab, details, { list, service }) {
  if (!(await talksTo(service))) throw new Error(notAllowed(list, service));
  const files = await filesOf(tab.id);
  const message = await messageOf(details, files);
  const told = await askKey(list, await home.opened());
  const { envelope } = await home.change(async known => {
    const result = await sealMessage(message, list, known, told);
    return { home: result.home, result };
  });
  written.set(tab.id, { details, files });
  drafts.leave(tab.id);
  for (const { id } of files) await messenger.compose.removeAttachment(tab.id, id);
  const file = new File([envelope], "message.mmx", { type: "application/vnd.recrypt" });
  await messenger.compose.addAttachment(tab.id, { file, name: "message.mmx" });
  return { ...outside(list, message.from.address, details.isPlainText), ...NOTHING_MORE, ...unsigned(details.selectedEncryptionTechnology) };
}

function unsigned(chosen) {
  if (!chosen) return {};
  const off = Object.entries(chosen).map(([name, value]) => [name, value === true ? false : value]);
  return { selectedEncryptionTechnology: Object.fromEntries(off) };
}

async function filesOf(tabId) {
  const listed = await messenger.compose.listAttachments(tabId);
  return Promise.all(listed.map(async each => ({ ...each, file: await messenger.compose.getAttachmentFile(each.id) })));
}

async function messageOf(details, files) {
  const isAnswer = details.type === "reply" && details.relatedMessageId;
  const thread = isAnswer ? await threadOf(await raw(details.relatedMessageId)) : {};
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
    ...thread,
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
  const { from, to, subject, body, plainTextBody, isPlainText, selectedEncryptionTechnology: chosen } = before.details;
  const more = Object.fromEntries(Object.keys(NOTHING_MORE).map(name => [name, before.details[name]]).filter(([, value]) => value));
  for (const { id } of await messenger.compose.listAttachments(tab.id)) {
    await messenger.compose.removeAttachment(tab.id, id);
  }
  for (const { file, name } of before.files) await messenger.compose.addAttachment(tab.id, { file, name });
  const text = isPlainText ? { plainTextBody } : { body };
  await messenger.compose.setComposeDetails(tab.id, {
    from, to, subject, ...text, ...more, ...(chosen ? { selectedEncryptionTechnology: chosen } : {}), isModified: false,
  });
  drafts.back(tab.id);
}
