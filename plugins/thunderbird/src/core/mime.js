// Messages: read with postal-mime; written here, with a protected header (RFC 9788).

import PostalMime from "postal-mime";
import { Malformed } from "./errors.js";
import { base64, latin1, utf8 } from "./octets.js";
import { padding } from "./padding.js";

const SEALED = ["application/vnd.recrypt", "application/jose+json"];
const NOTICE_OCTETS = 8 * 2 ** 10;
const HEADER_OCTETS = 256 * 2 ** 10;
const ID = /^<[^\s<>]+>$/;
const IDS = 20; // of References that go along (spec §7)
const SUBJECT = "[...]";

async function parse(octets, more = {}) {
  try {
    return await PostalMime.parse(octets, { attachmentEncoding: "arraybuffer", maxNestingDepth: 20, ...more });
  } catch {
    throw new Malformed("It is no mail that can be read");
  }
}

/**
 * Find the encrypted part of a message, which has nothing else but a notice beside it.
 *
 * Whoever puts somebody's old envelope into a mail of his own doesn't have it opened among his words.
 */
export async function sealedPart(octets) {
  const { attachments, text, html } = await parse(octets, { forceRfc822Attachments: true });
  const sealed = attachments.filter(isSealed);
  if (!sealed.length) throw new Malformed("There is no encrypted part in it");
  if (attachments.length > 1 || utf8(`${text ?? ""}${html ?? ""}`).length > NOTICE_OCTETS) {
    throw new Malformed("An encrypted part came inside of another message: somebody put it there");
  }
  return new Uint8Array(sealed[0].content);
}

const isSealed = ({ mimeType, filename }) =>
  SEALED.includes(mimeType) || (mimeType === "application/octet-stream" && /\.mmx$/i.test(filename ?? ""));

/** Say which ids an answer to a message names; its header alone is looked at. */
export async function threadOf(octets) {
  const { messageId, references, inReplyTo } = await parse(headerOf(octets));
  if (!ID.test(messageId ?? "")) return { inReplyTo: null, references: [] };
  const before = (references || inReplyTo || "").match(/<[^\s<>]+>/g) ?? [];
  return { inReplyTo: messageId, references: [...before.filter(each => each !== messageId), messageId].slice(-IDS) };
}

/** Say of which list a copy says to be, and at which service: its carriers can write anything there. */
export async function listNamed(octets) {
  const { headers } = await parse(headerOf(octets));
  const field = name => headers.find(each => each.key === name)?.value ?? "";
  const list = /<mailto:([^\s<>?@]+@[^\s<>?@]+)>/i.exec(field("list-post"))?.[1]?.toLowerCase() ?? null;
  const url = /<(https?:[^\s<>]+)\/u\/[a-z2-7]{26}>/i.exec(field("list-unsubscribe"))?.[1] ?? null;
  return list && { list, url };
}

function headerOf(octets) {
  const text = latin1(octets.subarray(0, HEADER_OCTETS));
  const end = /\r?\n\r?\n/.exec(text)?.index ?? text.length;
  return utf8(`${text.slice(0, end)}\r\n\r\n`);
}

/** Read the message that was inside, as people see it. */
export async function readMessage(entity) {
  const found = await parse(entity);
  return {
    subject: found.subject ?? "",
    from: mailbox(found.from),
    to: [...(found.to ?? []), ...(found.cc ?? [])].map(mailbox).join(", "),
    date: found.date ?? null,
    text: found.text ?? null,
    html: found.html ?? null,
    attachments: found.attachments.map(({ filename, mimeType, content }) => ({
      name: filename ?? "attachment", type: mimeType, content: new Uint8Array(content),
    })),
    sender: { name: found.from?.name ?? "", address: found.from?.address ?? "" },
  };
}

const mailbox = each => (each?.name ? `${each.name} <${each.address}>` : (each?.address ?? ""));

/**
 * Write the entity that is sealed, padded.
 * @param message {from: {name, address}, subject, text, html, attachments, inReplyTo, references, date, messageId}
 * @param list to whom it goes
 * @param before octets that will stand before it
 */
export function writeEntity(message, list, before) {
  const { name, address } = message.from;
  const date = `${message.date.toUTCString().slice(0, -3)}+0000`;
  const ids = (message.references ?? []).filter(each => ID.test(each)).slice(-IDS);
  const answered = ID.test(message.inReplyTo ?? "") ? [`In-Reply-To: ${message.inReplyTo}`] : [];
  if (ids.length) answered.push(`References: ${ids.join("\r\n ")}`);
  const fields = [
    `From: ${name ? `${phrase(name)} <${address}>` : address}`,
    `To: ${list}`,
    `Subject: ${words(message.subject)}`,
    `Date: ${date}`,
    `Message-ID: ${message.messageId}`,
    ...answered,
    "MIME-Version: 1.0",
    // What the mail program writes outside; its own Date and Message-ID it chooses later.
    `HP-Outer: From: ${address}`,
    `HP-Outer: To: ${list}`,
    `HP-Outer: Subject: ${SUBJECT}`,
    ...answered.map(each => `HP-Outer: ${each}`),
  ];
  const body = writeBody(message, '; hp="cipher"; protected-headers="v1"');
  const [header, content] = cut(body);
  const head = `${fields.join("\r\n")}\r\n${header}\r\n`;
  const octets = before + utf8(head).length + 2 + utf8(content).length;
  const [field, tail] = padding(octets, utf8(head).length + 2);
  return utf8(`${head}${field}\r\n${content}${tail}`);
}

function cut(part) {
  const at = part.indexOf("\r\n\r\n");
  return [part.slice(0, at), part.slice(at + 4)];
}

function writeBody({ text, html, attachments }, mark) {
  const hasFiles = attachments.length > 0;
  const inner = hasFiles ? "" : mark;
  const plain = (more = "") => leaf(`text/plain; charset=utf-8${more}`, utf8(crlf(text ?? "")));
  const shown = html
    ? multipart("alternative", [plain(), leaf("text/html; charset=utf-8", utf8(crlf(html)))], inner)
    : plain(inner);
  return hasFiles ? multipart("mixed", [shown, ...attachments.map(file)], mark) : shown;
}

const crlf = text => text.replace(/\r\n|\r|\n/g, "\r\n");

function leaf(type, octets, more = "") {
  const lines = base64(octets).match(/.{1,76}/g) ?? [];
  return `Content-Type: ${type}\r\nContent-Transfer-Encoding: base64\r\n${more}\r\n${lines.join("\r\n")}\r\n`;
}

// No line of base64, and none of a header here, begins so.
function multipart(kind, parts, mark) {
  const boundary = `=_${kind}`;
  const all = parts.map(each => `--${boundary}\r\n${each}`).join("");
  return `Content-Type: multipart/${kind}; boundary="${boundary}"${mark}\r\n\r\n${all}--${boundary}--\r\n`;
}

function file({ name, type, content }) {
  const coded = encodeURIComponent(name.toWellFormed()).replace(/['()*]/g, each => `%${each.charCodeAt(0).toString(16)}`);
  const kind = /^[\w.+-]+\/[\w.+-]+$/.test(type) && !/^(?:message|multipart)\//i.test(type) ? type : "application/octet-stream";
  return leaf(kind, content, `Content-Disposition: attachment;\r\n filename*=utf-8''${coded}\r\n`);
}

/** Write text of a header field; whatever isn't printable ASCII in encoded words (RFC 2047). */
function words(text) {
  const one = text.replace(/[\r\n]+/g, " ");
  if (/^[\x20-\x7e]{0,60}$/.test(one) && !one.includes("=?")) return one;
  const pieces = [];
  let piece = "";
  for (const each of one) {
    if (utf8(piece + each).length > 42) [pieces[pieces.length], piece] = [piece, ""];
    piece += each;
  }
  return [...pieces, piece].map(each => `=?utf-8?B?${base64(utf8(each))}?=`).join("\r\n ");
}

const phrase = name => (/^[\w .'-]+$/.test(name) ? `"${name}"` : words(name));
