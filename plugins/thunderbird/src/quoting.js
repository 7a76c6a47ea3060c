// The quote in an answer: of what was opened, if the answer goes to the same list alone.
//
// Else who puts somebody's old envelope into a mail of his own is answered with what was in it.

import { openMessage } from "./core/index.js";
import * as home from "./home.js";
import { raw } from "./reading.js";
import { judge } from "./recipients.js";
import { quoteWords } from "./words.js";

const key = tabId => `quotes:${tabId}`;

/** Give the list that is quoted in a window, if one is. */
export async function quoted(tabId) {
  return (await messenger.storage.session.get(key(tabId)))[key(tabId)] ?? null;
}

/** Remember that a window quotes what was opened of a list. */
export const mark = (tabId, list) => messenger.storage.session.set({ [key(tabId)]: list });

/** Forget that a window quoted. */
export const forget = tabId => messenger.storage.session.remove(key(tabId));

/** Quote in a window that has opened, if it is such an answer. */
export async function quote(tab) {
  const details = await messenger.compose.getComposeDetails(tab.id);
  if (details.type !== "reply" || !details.relatedMessageId) return;
  const target = await judge(details);
  if (target.kind !== "list") return;
  const octets = await raw(details.relatedMessageId);
  const opened = await openMessage(octets, await home.read()).catch(() => null);
  if (opened?.list !== target.list) return;
  await mark(tab.id, target.list);
  await messenger.compose.setComposeDetails(tab.id, answer(opened.message, details));
}

function answer({ subject, from, date, text, html }, { isPlainText, plainTextBody, body }) {
  const head = quoteWords(from, date);
  const lines = withoutSignature(text ?? textOf(html ?? "")).split("\n");
  return {
    subject: /^re:/i.test(subject) ? subject : `Re: ${subject}`,
    ...(isPlainText
      ? { plainTextBody: asText(head, lines, plainTextBody) }
      : { body: asHtml(head, lines, body) }),
    isModified: false,
  };
}

const withoutSignature = text => text.replace(/\r\n/g, "\n").replace(/(?:^|\n)-- \n[^]*$/, "").trimEnd();

const textOf = html => parsed(html).body.innerText;

const parsed = html => new DOMParser().parseFromString(html, "text/html");

function asText(head, lines, before) {
  const signature = /(?:^|\n)-- \n[^]*$/.exec(before ?? "")?.[0] ?? "";
  const cited = lines.map(each => (each.startsWith(">") || !each ? `>${each}` : `> ${each}`));
  return `${head}\n${cited.join("\n")}\n\n${signature}`;
}

function asHtml(head, lines, before) {
  const page = parsed(before ?? "");
  const signature = page.querySelector(".moz-signature");
  const make = (tag, ...inside) => {
    const made = page.createElement(tag);
    made.append(...inside);
    return made;
  };
  const cited = make("blockquote", ...lines.flatMap(each => [each, page.createElement("br")]));
  cited.setAttribute("type", "cite");
  const parts = [make("p", head), cited, make("p", page.createElement("br"))];
  page.body.replaceChildren(...parts, ...(signature ? [signature] : []));
  return page.documentElement.outerHTML;
}
