// A message that is displayed: what of it is shown in its place, by whom, and what can be done.

import { listNamed, NotForThisKey, openMessage, readInvitation } from "./core/index.js";
import * as home from "./home.js";
import { known, renewed, serverOf } from "./lists.js";
import { about, authorWords, invitedWords, letterWords, line, problemWords, when } from "./words.js";

const TRIES = 30;
const PAUSE = 100; // milliseconds

/** Give the octets of a message as it came. */
export async function raw(messageId) {
  const file = await messenger.messages.getRaw(messageId, { data_format: "File" });
  return new Uint8Array(await file.arrayBuffer());
}

/** Give the one message that a tab displays; where messages are chosen, the one that is. */
export async function displayed(tabId) {
  const { type } = await messenger.tabs.get(tabId);
  const ask = type === "mail" ? messenger.mailTabs.getSelectedMessages : messenger.messageDisplay.getDisplayedMessages;
  for (let tries = 1; ; tries++) {
    const { messages } = await ask(tabId);
    if (messages.length) return messages.length === 1 ? messages[0] : null;
    if (tries === TRIES) throw new Error("No message is displayed");
    await new Promise(again => setTimeout(again, PAUSE));
  }
}

// What a message says of itself, before anything of it is opened.
const beginning = octets => new TextDecoder("latin1").decode(octets.subarray(0, 2 ** 16));

const isSealed = text => /application\/(?:vnd\.recrypt|jose\+json)|name="?[^"\r\n]*\.mmx/i.test(text);

/** Show a letter that invites; its lines may have been folded on the way (RFC 2045 §6.7). */
function invited(text) {
  const token = /recrypt:join\/[A-Za-z0-9_-]{200,}/.exec(text.replace(/=\r?\n/g, ""))?.[0];
  if (!token) return null;
  try {
    return invitedWords(readInvitation(token), token);
  } catch {
    return null;
  }
}

/** Open a message, and keep what was learnt of its author. */
export function openOctets(octets) {
  return home.change(async known => {
    const opened = await openMessage(octets, known);
    return { home: opened.home, result: opened };
  });
}

/** Say of a displayed message what is to be shown; nothing, if it is none of ours. */
export async function view(tabId) {
  const message = await displayed(tabId);
  if (!message) return null;
  const octets = await raw(message.id);
  const text = beginning(octets);
  if (!isSealed(text)) return invited(text);
  try {
    return await viewOfMail(octets);
  } catch (problem) {
    return refused(problem);
  }
}

async function viewOfMail(octets) {
  const opened = await openOctets(octets);
  if (!opened.isCopy || opened.list) return viewOf(opened, []);
  const named = await listNamed(octets);
  // A list that is known may have another key since.
  if (named && (await renewed(named.list))) return viewOf(await openOctets(octets), []);
  if (!named || (await known(named.list))) return viewOf(opened, []);
  const act = { do: "meet", list: named.list, service: serverOf(named) };
  return viewOf(opened, [{ words: "Get to know this list…", act }]);
}

function viewOf({ isCopy, list, listFingerprint, message, authorship, joinToken }, more) {
  const { subject, from, to, date, text, html, attachments } = message;
  const buttons = joinToken ? [{ words: "Yes, I want to be on the list", act: { do: "confirm" } }] : more;
  return {
    kind: "opened",
    sealed: isCopy ? about(list, listFingerprint) : letterWords(joinToken !== null),
    author: authorWords(authorship),
    warnings: authorship.isReplay ? ["This message was seen before, in another envelope"] : [],
    subject: line(subject),
    fields: [`From: ${line(from)}`, `To: ${line(to)}`, `Date: ${when(date)}`],
    text,
    html,
    attachments: attachments.map(({ name, content }) => ({ name: fileName(name), size: content.length })),
    buttons,
  };
}

function refused(problem) {
  const isLocked = problem instanceof home.Locked;
  const isUsual = isLocked || problem instanceof NotForThisKey; // as in the folder of what was sent
  const words = isLocked ? problemWords(problem) : `Not opened: ${problemWords(problem)}`;
  return {
    kind: "refused",
    sealed: "",
    author: { state: isUsual ? "unproven" : "bad", label: isLocked ? "Locked" : "Not opened", words },
    warnings: [],
    buttons: isLocked ? [{ words: "Unlock…", act: { do: "options" } }] : [],
  };
}

/** Save an attachment where the person wants it. */
export async function save(tabId, index) {
  const message = await displayed(tabId);
  const opened = await openOctets(await raw(message.id));
  const { name, content } = opened.message.attachments[index];
  const url = URL.createObjectURL(new Blob([content], { type: "application/octet-stream" }));
  try {
    await messenger.downloads.download({ url, filename: fileName(name) });
    return { words: "Saved, in clear" };
  } finally {
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  }
}

// A name from outside becomes a file's name here alone.
function fileName(name) {
  const last = line(name).split(/[/\\]/).pop();
  const plain = last.replace(/[<>:"|?*]/g, "_").replace(/^\.+/, "_").trim();
  return plain.slice(-120) || "attachment";
}
