// What the extension asks of the core. A home is a plain object that the caller keeps: each function
// that learns something gives a changed one. No storage, no clock but in here, no DOM.

import { devicesOf, isHere } from "./devices.js";
import { authorMet, checkHalf, deviceKeys, halfSeen, ownProfile, pinOf, pinWithKey, pinned, profileSeen, signingKey } from "./home.js";
import { signContent, signSender, splitContent, verifyAuthor } from "./authorship.js";
import { contentId, openRecrypted, openWhole, readEnvelope, seal, writeMmx } from "./envelope.js";
import { Malformed, NotAuthentic, NotForThisKey, ServiceProblem, onOutside } from "./errors.js";
import { exported, imported } from "./exporting.js";
import { answer, askIn, readInvitation, tokenIn } from "./joining.js";
import { listNamed, readMessage, sealedPart, threadOf, writeEntity } from "./mime.js";
import { b64url, random } from "./octets.js";
import { emptyHome } from "./home.js";
import { newProfile, verifiedGroupKey } from "./profiles.js";
import { ask } from "./service.js";
import { unverified } from "./signing.js";

export { emptyHome, listNamed, readInvitation, threadOf };
export { addDevice, askAsDevice, readRequest, revokeDevice, takeProfile } from "./devices.js";
export { publish, setMail } from "./membership.js";
export * from "./errors.js";

const MAIL = "message/rfc822";

/**
 * Open a relayed copy, or a letter that a service has sealed to the profile.
 * @param {Uint8Array} raw the mail as it came
 * @returns {Promise<{home: object, isCopy: boolean, list: string|null, listFingerprint: string|null, entity: Uint8Array,
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

/** Tell whether a mail is one that `openMessage` may open: it has an encrypted part and a notice alone. */
export const isSealedMail = raw => sealedPart(raw).then(() => true, () => false);

/** Read what of a mail stands outside of its encrypted part. */
export const readOutside = raw => readMessage(raw);

async function openCopy(envelope, home, now) {
  const { recryption } = envelope;
  checkHalf(home, recryption);
  let content;
  try {
    content = await openRecrypted(envelope, deviceKeys(home));
  } catch (problem) {
    if (problem instanceof NotForThisKey) throw new NotForThisKey("It was made for another member, for another profile than yours, or before this device was one of yours");
    throw problem;
  }
  const pin = pinWithKey(home, recryption.GroupKeyID);
  const { line, entity } = splitContent(content);
  const message = await readMessage(entity);
  const about = { pin, groupKey: recryption.GroupKeyID, cid: await contentId(envelope), now };
  const read = await judged(line, entity, message, about, halfSeen(home, recryption));
  const [list, listFingerprint] = [pin?.GroupName ?? null, pin?.Identifier ?? null];
  return { ...read, isCopy: true, list, listFingerprint, entity, message, joinToken: null };
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
  return { home, isCopy: false, list: null, listFingerprint: null, entity, message, authorship, joinToken: tokenIn(message.text) };
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
 * Seal a message to a list.
 * @param message {from: {name, address}, subject, text, html: string|null, inReplyTo: string|null,
 *   references: string[], attachments: {name, type, content}[]}
 * @param told what `askKey` gave
 * @returns {Promise<{home: object, envelope: Uint8Array, messageId: string}>} envelope: an .mmx
 */
export async function sealMessage(message, list, home, told, now = new Date()) {
  const { key, pin, home: known } = await goodKey(list, home, told, now);
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

/** Ask a known list's service for its key, which nobody has checked yet; the one that was seen serves while that is away. */
export async function askKey(list, home) {
  const { GroupName, Service } = pinOf(home, list);
  try {
    return await ask(Service, "GetKey", { GroupID: GroupName });
  } catch (problem) {
    const told = home.Told.find(each => each.GroupName === GroupName);
    if (!(problem instanceof ServiceProblem) || problem.status || !told) throw problem;
    return told;
  }
}

/** Hold what `askKey` gave against what was seen of the list before, and pin it. */
export async function keyTold(list, home, told, now = new Date()) {
  const { Service } = pinOf(home, list);
  return taken({ list, service: Service }, await verifiedGroupKey(told), { home, told, now });
}

async function goodKey(list, home, told, now) {
  const found = await keyTold(list, home, told, now);
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
  if (identifier && !isFingerprint(identifier, key.GroupIdentifier)) {
    throw new NotAuthentic(`${list} at ${service} HAS ANOTHER FINGERPRINT THAN THE ONE YOU HAVE. Nothing was done`);
  }
  return taken({ list, service }, key, { home, told, now });
}

function taken({ list, service }, key, { home, told, now }) {
  if (key.GroupName !== list) throw new NotAuthentic("the key of another list");
  return { key, ...pinned(home, key, { service, now, told }) };
}

// What a person types may be grouped in any way, in either case, and cut (spec §2).
function isFingerprint(typed, udf) {
  const [short, whole] = [typed, udf].map(each => each.replace(/[\s-]/g, "").toUpperCase());
  return short.length >= 25 && whole.startsWith(short);
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

/** Say which lists are known, and until when the key is good that was seen last. */
export const lists = home =>
  home.Pins.map(({ GroupName, Identifier, Service }) => {
    const told = home.Told.find(each => each.GroupName === GroupName);
    const { NotAfter = null } = told ? unverified(told.SignedKey) : {}; // it was verified before it was kept
    return { list: GroupName, fingerprint: Identifier, service: Service, until: NotAfter };
  }).sort((one, other) => one.list.localeCompare(other.list));

/** Say which devices the profile has, by their codes. */
export async function devices(home) {
  const found = await devicesOf(ownProfile(home));
  return found.map(each => ({ code: each.code, isHere: isHere(home, each) }));
}
