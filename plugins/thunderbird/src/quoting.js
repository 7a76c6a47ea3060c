// The quote in an answer: of what was opened, if the answer goes to the same list alone.
//
// Else who puts somebody's old envelope into a mail of his own is answered with what was in it.

import { isSealedMail, listNamed, openMessage, readOutside } from "./core/index.js";
import * as home from "./home.js";
import { known } from "./lists.js";
import { mark } from "./marks.js";
import { raw } from "./reading.js";
import { isAmong, judge } from "./recipients.js";
import { line, quoteWords } from "./words.js";

/** Quote in a window that has opened, if it answers a sealed mail. */
export async function quote(tab) {
  const details = await messenger.compose.getComposeDetails(tab.id);
  if (details.type !== "reply" || !details.relatedMessageId) return;
  const octets = await raw(details.relatedMessageId);
  if (!(await isSealedMail(octets))) return;
  const target = await judge(tab.id, details);
  const opened = await openMessage(octets, await home.read()).catch(() => null);
  const isOfList = target.kind === "list" && opened?.list === target.list;
  await markOf(tab.id, isOfList ? target.list : null, { octets, details });
  // Else only of what stands outside: Thunderbird quotes what is selected, and that may have been opened.
  const message = isOfList ? opened.message : { ...(await readOutside(octets)), subject: details.subject };
  await messenger.compose.setComposeDetails(tab.id, answer(message, details));
}

/** Remember whose mail is answered: also a list's that isn't known here, as it would go there in clear. */
async function markOf(tabId, list, { octets, details }) {
  if (list) return mark(tabId, list);
  const named = await listNamed(octets);
  if (named && (await isAmong(details, named.list)) && !(await known(named.list))) await mark(tabId, named.list);
  return undefined;
}

function answer({ subject, from, date, text, html }, { isPlainText, plainTextBody, body }) {
  const head = quoteWords(line(from), date);
  const lines = withoutSignature(text ?? textOf(html ?? "")).split("\n");
  return {
    subject: /^re:/i.test(subject) ? subject : `Re: ${line(subject)}`,
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
