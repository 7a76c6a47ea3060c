// Who wrote a post: a line inside for its readers, a signature outside for the gateway (spec §7).

import { Malformed, NotAuthentic } from "./errors.js";
import { b64url, join, latin1, seconds, sha256, utf8 } from "./octets.js";
import { signatureKeys, verifiedProfile } from "./profiles.js";
import { compact, readCompact, sign, unverified, verify } from "./signing.js";

const FIELD = "Recrypt-Signature: ";
const LINE_OCTETS = 64 * 2 ** 10;

/** Part a content into its authorship line, if it has one, and the MIME entity. */
export function splitContent(content) {
  if (latin1(content.subarray(0, FIELD.length)) !== FIELD) return { line: null, entity: content };
  const end = latin1(content.subarray(0, LINE_OCTETS)).indexOf("\r\n");
  if (end < 0) throw new Malformed("an authorship line without an end");
  return { line: latin1(content.subarray(FIELD.length, end)), entity: content.slice(end + 2) };
}

/**
 * Check an authorship line against its entity, group and group key.
 * @returns {Promise<{profile: object, messageId: string}>} proven to hold the keys of the profile
 */
export async function verifyAuthor(line, entity, { group, groupKey }) {
  const signed = readCompact(line);
  const profile = await verifiedProfile(unverified(signed).profile);
  const stated = await verify("recrypt-author", signed, signatureKeys(profile));
  if (stated.key !== groupKey || (group && stated.group !== group)) {
    throw new NotAuthentic("signed for another list or another of its keys");
  }
  if (stated.sha256 !== b64url(await sha256(entity))) throw new NotAuthentic("signed for another content");
  if (typeof stated.id !== "string") throw new Malformed("an authorship line without an id");
  return { profile, messageId: stated.id };
}

/** Put the authorship line before an entity. */
export async function signContent(entity, { group, groupKey, messageId, signed, key, now }) {
  const payload = {
    group, key: groupKey, id: messageId, iat: seconds(now), sha256: b64url(await sha256(entity)), profile: signed,
  };
  const line = compact(await sign("recrypt-author", payload, key));
  return join(utf8(`${FIELD}${line}\r\n`), entity);
}

/** Write a `recrypt-sender` for the gateway. */
export async function signSender(list, cid, key, now) {
  return compact(await sign("recrypt-sender", { list, iat: seconds(now), cid }, key));
}
