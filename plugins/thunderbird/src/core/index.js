// What the extension asks of the core. A home is a plain object that the caller keeps: each function
// that learns something gives a changed one. No storage, no clock but in here, no DOM.

import { authorMet, checkHalf, deviceKeys, halfSeen, ownProfile, pinOf, pinWithKey, pinned, profileSeen, signingKey } from "./home.js";
import { signContent, signSender, splitContent, verifyAuthor } from "./authorship.js";
import { contentId, openRecrypted, openWhole, readEnvelope, seal, writeMmx } from "./envelope.js";
import { Malformed, NotAuthentic, NotForThisKey, ServiceProblem, onOutside } from "./errors.js";
import { exported, imported } from "./exporting.js";
import { answer, askIn, readInvitation, tokenIn } from "./joining.js";
import { readMessage, sealedPart, writeEntity } from "./mime.js";
import { b64url, random } from "./octets.js";
import { emptyHome } from "./home.js";
import { newProfile, verifiedGroupKey } from "./profiles.js";
import { ask } from "./service.js";

export { emptyHome, readInvitation };
export * from "./errors.js";

const MAIL = "message/rfc822";

/**
 * Open a relayed copy, or a letter that a service has sealed to the profile.
 * @param {Uint8Array} raw the mail as it came
 * @returns {Promise<{home: object, list: string|null, listFingerprint: string|null, entity: Uint8Array,
 *   message: {subject: string, from: string, to: string, date: string|null, text: string|null,
 *     html: string|null, attachments: {name: string, type: string, content: Uint8Array}[]},
 *   authorship: {state: "signed", name: string, address: string, identifier: string,
 *       since: string|null, other: string|null, says: string|null, isReplay: boolean}
 *     | {state: "unsigned", says: string} | {state: "bad", reason: string},
 *   joinToken: {token: string, list: string}|null}>}
 */
export const openMessage = (raw, home, now = new Date()) => onOutside(async () => {
  const envelope = readEnvelope(await sealedPart(raw));
  return envelope.recryption ? openCopy(envelope, home, now) : openLetter(envelope, home);
});

async function openCopy(envelope, home, now) {
  const { recryption } = envelope;
  checkHalf(home, recryption);
  let content;
  try {
    content = await openRecrypted(envelope, deviceKeys(home));
  } catch (problem) {
    if (problem instanceof NotForThisKey) throw new NotForThisKey("It was made for another member, or another profile than yours");
    throw problem;
  }
  const pin = pinWithKey(home, recryption.GroupKeyID);
  const { line, entity } = splitContent(content);
  const message = await readMessage(entity);
  const about = { pin, groupKey: recryption.GroupKeyID, cid: await contentId(envelope), now };
  const read = await judged(line, entity, message, about, halfSeen(home, recryption));
  const list = pin?.GroupName ?? "a list that you don't know";
  return { ...read, list, listFingerprint: pin?.Identifier ?? null, entity, message, joinToken: null };
}

async function openLetter(envelope, home) {
  if (envelope.cty !== MAIL) throw new Malformed("It is sealed to you, but doesn't say that it is mail");
  if (envelope.recipients.some(each => each.kid && pinWithKey(home, each.kid))) {
    throw new NotForThisKey("This is a post as it was sent. The copy that comes back from the list opens");
  }
  const content = await openWhole(envelope, deviceKeys(home));
  const { line, entity } = splitContent(content);
  const message = await readMessage(entity);
  const authorship = line
    ? { state: "bad", reason: "signed for a list, in mail sealed to you alone" }
    : { state: "unsigned", says: message.from };
  return { home, list: null, listFingerprint: null, entity, message, authorship, joinToken: tokenIn(message.text) };
}

async function judged(line, entity, message, { pin, groupKey, cid, now }, home) {
  if (line === null) return { home, authorship: { state: "unsigned", says: message.from } };
  try {
    const stated = { group: pin?.Identifier, groupKey };
    const { profile, messageId } = await onOutside(() => verifyAuthor(line, entity, stated));
    const seen = profileSeen(home, profile);
    const { name, address } = message.sender;
    const own = profile.Accounts.find(each => each.toLowerCase() === address.toLowerCase());
    const met = await authorMet(seen, { profile, address: own ?? profile.Accounts[0], messageId, groupKey, cid, now });
    const { since, other, isReplay } = met;
    const authorship = {
      state: "signed", name: own ? name : "", address: own ?? profile.Accounts[0], identifier: profile.Identifier,
      since, other, says: own ? null : message.from, isReplay,
    };
    return { home: met.home, authorship };
  } catch (problem) {
    if (!(problem instanceof Malformed || problem instanceof NotAuthentic)) throw problem;
    return { home, authorship: { state: "bad", reason: problem.message } };
  }
}

/**
 * Seal a message to a list: its newest key is asked for; the one that was seen serves while the service is away.
 * @param message {from: {name, address}, subject, text, html: string|null, inReplyTo: string|null,
 *   attachments: {name, type, content}[]}
 * @returns {Promise<{home: object, envelope: Uint8Array, messageId: string}>} envelope: an .mmx
 */
export async function sealMessage(message, list, home, now = new Date()) {
  const { key, pin, home: known } = await newestKey(list, home, now);
  const signer = signingKey(known);
  const messageId = `<${b64url(random(16)).toLowerCase()}@${message.from.address.split("@").at(-1)}>`;
  const whole = { ...message, date: now, messageId };
  const stated = { group: pin.Identifier, groupKey: pin.KeyUDF, messageId, signed: known.Profile, key: signer, now };
  // The line before an entity is as long before any.
  const before = (await signContent(new Uint8Array(), stated)).length;
  const content = await signContent(writeEntity(whole, pin.GroupName, before), stated);
  const envelope = await seal(content, key.EncryptionKey, MAIL);
  const sender = await signSender(pin.GroupName, await contentId(envelope), signer, now);
  return { home: known, envelope: writeMmx(envelope, sender), messageId };
}

async function newestKey(list, home, now) {
  const pin = pinOf(home, list);
  let found;
  try {
    found = await fetchKey({ list, service: pin.Service, identifier: pin.Identifier }, home, now);
  } catch (problem) {
    const told = home.Told.find(each => each.GroupName === pin.GroupName);
    if (!(problem instanceof ServiceProblem) || problem.status || !told) throw problem;
    found = { key: await verifiedGroupKey(told), pin, home };
  }
  if (found.key.Closed) throw new Malformed(`${list} is closed for good`);
  if (found.key.NotAfter < now.toISOString()) {
    throw new Malformed(`The key of ${list} isn't good any more: ask its administrator to sign it again`);
  }
  return found;
}

/**
 * Ask for a list's key, verify it from the fingerprint on, and pin it.
 * @param invited {list, service, identifier}; without identifier the first contact is believed
 */
export async function fetchKey({ list, service, identifier }, home, now = new Date()) {
  const told = await ask(service, "GetKey", { GroupID: list });
  const key = await verifiedGroupKey(told);
  if (key.GroupName !== list) throw new NotAuthentic("the key of another list");
  if (identifier && key.GroupIdentifier !== identifier) {
    throw new NotAuthentic(`${list} at ${service} HAS ANOTHER FINGERPRINT THAN YOUR INVITATION SAYS. Nothing was done`);
  }
  return { key, ...pinned(home, key, { service, now, told }) };
}

/** Ask in, with an invitation that `readInvitation` gave. */
export async function joinGroup(invited, home, now = new Date()) {
  const met = await fetchKey(invited, home, now);
  const account = await askIn(invited, met.home, now);
  return { home: met.home, list: invited.list, account };
}

/** Send back the token that `openMessage` found in the service's letter. */
export const confirmJoin = (joinToken, home) => answer(joinToken, home);

/** Make a profile, with keys of its own. */
export async function createProfile(address, now = new Date()) {
  if (!/^[^\s@<>"]+@[^\s@<>"]+$/.test(address)) throw new Malformed("This is no address");
  const { signed, keys } = await newProfile(address, now);
  return { ...emptyHome(), Profile: signed, Keys: keys };
}

export const exportHome = (home, passphrase, now = new Date()) => exported(home, passphrase, now);

export const importHome = imported;

/** Say who the profile is; null if there is none. */
export function who(home) {
  if (!home.Profile) return null;
  const { Identifier, Accounts } = ownProfile(home);
  return { fingerprint: Identifier, addresses: Accounts };
}

/** Say which lists are known. */
export const lists = home =>
  home.Pins.map(({ GroupName, Identifier, Service }) => ({ list: GroupName, fingerprint: Identifier, service: Service }));
