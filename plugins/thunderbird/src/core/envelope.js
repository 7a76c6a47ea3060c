// The envelope: a JWE in its .mmx form or as JSON, opened and made (spec §3).

import { Malformed, NotAuthentic, NotForThisKey } from "./errors.js";
import { candidates } from "./fields.js";
import { checkPrivate, draw, exchange, keyAt, publicKey } from "./keys.js";
import { b64url, join, latin1, random, readJson, sha256, unb64url, utf8, writeJson } from "./octets.js";

const LINE_OCTETS = 64 * 2 ** 10;
const RECIPIENTS = 64;
const WRAPS = { "ECDH-ES+A256KW": 32, "ECDH-ES+A128KW": 16 };
// Octets of the whole content key; with CBC half of them are for the tag (RFC 7518 §5.2).
const CIPHERS = {
  A256GCM: { key: 32, iv: 12, tag: 16 },
  A128GCM: { key: 16, iv: 12, tag: 16 },
  "A256CBC-HS512": { key: 64, iv: 16, tag: 32, hash: "SHA-512" },
  "A128CBC-HS256": { key: 32, iv: 16, tag: 16, hash: "SHA-256" },
};

/** Read an envelope; nobody has opened it yet. */
export function readEnvelope(octets) {
  const end = octets.subarray(0, LINE_OCTETS).indexOf(0x0a);
  if (end >= 0 && latin1(octets.subarray(0, end)).trimEnd().endsWith("}")) {
    const head = readJson(octets.subarray(0, end));
    if (!("ciphertext" in head)) return fromHead(head, octets.slice(end + 1));
  }
  const whole = readJson(octets);
  if (octets.length - String(whole.ciphertext).length > LINE_OCTETS) throw new Malformed("an envelope that has too much beside its ciphertext");
  return fromJson(whole);
}

const fromJson = whole => fromHead(whole, unb64url(whole.ciphertext));

function fromHead(head, ciphertext) {
  const { aad, recryption, unprotected = {} } = head;
  const header = readJson(unb64url(head.protected));
  const cipher = Object.hasOwn(CIPHERS, header.enc) ? CIPHERS[header.enc] : null;
  if (!cipher) throw new Malformed("an enc that isn't accepted");
  const [iv, tag] = [unb64url(head.iv), unb64url(head.tag)];
  if (iv.length !== cipher.iv || tag.length !== cipher.tag) throw new Malformed("an iv or a tag of another length");
  if (aad !== undefined) unb64url(aad);
  const listed = head.recipients ?? [{ header: head.header, encrypted_key: head.encrypted_key }];
  if (!Array.isArray(listed) || listed.length < 1 || listed.length > RECIPIENTS) throw new Malformed("not 1 to 64 recipients");
  return {
    protected: head.protected, cipher, cty: header.cty ?? null, iv, tag, ciphertext, aad, recryption,
    recipients: listed.map(each => readRecipient(each, [header, unprotected, each.header ?? {}])),
  };
}

function readRecipient(each, headers) {
  const names = headers.flatMap(Object.keys);
  if (new Set(names).size !== names.length) throw new Malformed("a header name that stands in two headers");
  const merged = Object.assign({}, ...headers);
  if ("zip" in merged || "crit" in merged) throw new Malformed("an envelope with zip or crit");
  if (!Object.hasOwn(WRAPS, merged.alg ?? "")) throw new Malformed("an alg that isn't accepted");
  const { alg, kid, epk, apu = "", apv = "" } = merged;
  return { alg, kid, epk, apu: unb64url(apu), apv: unb64url(apv), wrapped: unb64url(each.encrypted_key) };
}

/** Name the sealed content, whatever its recipients: base64url (spec §3). */
export async function contentId({ protected: header, iv, tag, ciphertext }) {
  const h = b64url(await sha256(ciphertext));
  return b64url(await sha256(utf8(`${header}.${b64url(iv)}.${b64url(tag)}.${h}`)));
}

/** Open with private keys of which one is a recipient's. */
export async function openWhole(envelope, keys) {
  for (const recipient of envelope.recipients) {
    for (const key of keys) {
      if ((recipient.kid && recipient.kid !== key.kid) || recipient.epk?.crv !== key.crv) continue;
      const found = await unwrap(recipient, [await exchange(key, await publicKey(recipient.epk))]);
      if (found) return openContent(envelope, found);
    }
  }
  throw new NotForThisKey("It is sealed to none of your keys");
}

/** Open a relayed copy with the recryption in it (spec §7). */
export async function openRecrypted(envelope, keys) {
  const { GroupKeyID, MemberKeyUDF, Split, Partial, DecryptionKey } = envelope.recryption;
  const half = readJson(await openWhole(fromJson(DecryptionKey), keys));
  await checkPrivate(half, MemberKeyUDF);
  for (const recipient of envelope.recipients) {
    if (![GroupKeyID, undefined].includes(recipient.kid) || recipient.epk?.crv !== half.crv) continue;
    const found = await unwrap(recipient, await complete(Split, half, recipient.epk, unb64url(Partial)));
    if (found) return openContent(envelope, found);
  }
  throw new NotForThisKey("The list's server made this copy for other keys than yours");
}

async function complete(split, half, epk, partial) {
  if (/^product$/i.test(split)) return [await exchange(half, await publicKey(keyAt(half.crv, partial)))];
  return candidates(half.crv, partial, await exchange(half, await publicKey(epk)));
}

async function unwrap(recipient, agreements) {
  for (const agreement of agreements) {
    const key = await wrappingKey(recipient, agreement, ["unwrapKey"]);
    try {
      // As an HMAC key it may have any length, which AES keys may not.
      const found = await crypto.subtle.unwrapKey("raw", recipient.wrapped, key, "AES-KW", { name: "HMAC", hash: "SHA-256" }, true, ["sign"]);
      return new Uint8Array(await crypto.subtle.exportKey("raw", found));
    } catch {
      continue; // AES-KW tells that it is the other candidate
    }
  }
  return null;
}

// RFC 7518 §4.6.2: Concat KDF, one round of SHA-256.
async function wrappingKey({ alg, apu, apv }, agreement, usages) {
  const octets = WRAPS[alg];
  const counted = [utf8(alg), apu, apv].flatMap(each => [number(each.length), each]);
  const derived = await sha256(join(number(1), agreement, ...counted, number(octets * 8)));
  return crypto.subtle.importKey("raw", derived.subarray(0, octets), "AES-KW", false, usages);
}

const number = value => new Uint8Array([value >>> 24, value >>> 16, value >>> 8, value]);

async function openContent(envelope, key) {
  const { cipher, iv, tag, ciphertext, aad } = envelope;
  if (key.length !== cipher.key) throw new Malformed("an encrypted key of the wrong length");
  const additional = utf8(aad === undefined ? envelope.protected : `${envelope.protected}.${aad}`);
  try {
    return await (cipher.hash ? openCbc : openGcm)(key, { cipher, iv, tag, ciphertext, additional });
  } catch {
    throw new NotAuthentic("It was changed on its way: nothing of it is shown");
  }
}

async function openGcm(octets, { iv, tag, ciphertext, additional }) {
  const key = await crypto.subtle.importKey("raw", octets, "AES-GCM", false, ["decrypt"]);
  const stated = { name: "AES-GCM", iv, additionalData: additional };
  return new Uint8Array(await crypto.subtle.decrypt(stated, key, join(ciphertext, tag)));
}

// RFC 7518 §5.2.2.2: the tag is checked first.
async function openCbc(octets, { cipher, iv, tag, ciphertext, additional }) {
  const half = cipher.key / 2;
  const bits = join(number(0), number(additional.length * 8));
  const mac = { name: "HMAC", hash: cipher.hash };
  const macKey = await crypto.subtle.importKey("raw", octets.subarray(0, half), mac, false, ["sign"]);
  const whole = new Uint8Array(await crypto.subtle.sign("HMAC", macKey, join(additional, iv, ciphertext, bits)));
  if (whole.subarray(0, half).reduce((sum, each, at) => sum | (each ^ tag[at]), 0)) throw new NotAuthentic("changed");
  const key = await crypto.subtle.importKey("raw", octets.subarray(half), "AES-CBC", false, ["decrypt"]);
  return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-CBC", iv }, key, ciphertext));
}

/** Seal content to one public key, with a fresh ephemeral one; the ciphertext stands apart. */
export async function seal(content, to, cty) {
  const alg = "ECDH-ES+A256KW";
  const header = b64url(writeJson({ enc: "A256GCM", typ: "recrypt+json", cty }));
  const { kid: _, d, ...epk } = await draw(to.crv);
  const agreement = await exchange({ ...epk, d }, to);
  const none = new Uint8Array();
  const wrapper = await wrappingKey({ alg, apu: none, apv: none }, agreement, ["wrapKey"]);
  const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, true, ["encrypt"]);
  const wrapped = new Uint8Array(await crypto.subtle.wrapKey("raw", key, wrapper, "AES-KW"));
  const iv = random(12);
  const stated = { name: "AES-GCM", iv, additionalData: utf8(header) };
  const sealed = new Uint8Array(await crypto.subtle.encrypt(stated, key, content));
  const recipient = { header: { alg, kid: to.kid, epk }, encrypted_key: b64url(wrapped) };
  return { protected: header, iv, tag: sealed.slice(-16), ciphertext: sealed.slice(0, -16), recipients: [recipient] };
}

/** Write the .mmx form: a line of JSON, then the ciphertext. */
export function writeMmx({ protected: header, iv, tag, recipients, ciphertext }, sender) {
  const head = { protected: header, iv: b64url(iv), tag: b64url(tag), recipients, sender };
  return join(writeJson(head), utf8("\n"), ciphertext);
}
