// What a profile has and knows, in the names of its export (spec §8): a plain object, which these
// functions never change but give anew. The caller keeps it.

import { Alarm, Malformed, NotAuthentic } from "./errors.js";
import { b64url, sha256, time, utf8 } from "./octets.js";
import { signatureKeys } from "./profiles.js";
import { unverified } from "./signing.js";

const SEEN = 20_000; // the latest ids of messages, 2 MB; an older one that comes back isn't told

/**
 * Keys are private; Told is what a service said of a list's key, Seen which ids were read in what,
 * Asked what a device asks that has no profile yet, Untold which lists lack the newest profile.
 */
export const emptyHome = () => ({
  Profile: null, Keys: [], Pins: [], Contacts: [], Profiles: [], Halves: [], Told: [], Seen: [], Asked: null, Untold: null,
});

/** Give the profile's own words. */
export function ownProfile(home) {
  if (!home.Profile) throw new Malformed("Make a profile first: Add-ons and Themes, Recrypt, Preferences");
  return unverified(home.Profile);
}

/** Give the private keys that messages may be sealed to. */
export const deviceKeys = home => home.Keys.filter(each => ["X25519", "X448", "P-256"].includes(each.crv));

/** Give a private key that signs for the profile: an online one rather than the master key. */
export function signingKey(home) {
  const wanted = signatureKeys(ownProfile(home)).map(each => each.kid);
  const own = wanted.map(kid => home.Keys.find(each => each.kid === kid)).filter(Boolean);
  if (!own.length) throw new Malformed("None of the keys here signs for your profile");
  return own.at(own.length > 1 ? 1 : 0);
}

const put = (all, made, isSame) => [...all.filter(each => !isSame(each)), made];

export const pinOf = (home, list) => home.Pins.find(each => each.GroupName === list.toLowerCase()) ?? null;

/** Find the list that has, or had, a key. */
export const pinWithKey = (home, udf) =>
  home.Pins.find(each => each.KeyUDF === udf || each.PastKeyUDF.includes(udf)) ?? null;

/** Hold a verified group key against what was seen of the list before; pin it. */
export function pinned(home, key, { service, now, told }) {
  const known = pinOf(home, key.GroupName);
  if (known) compare(known, key);
  const isNewer = known && key.Generation > known.Generation;
  // The key before it, which its signature names, may never have been asked for.
  const past = [...(known?.PastKeyUDF ?? []), ...(isNewer ? [known.KeyUDF] : []), ...(key.Previous ? [key.Previous] : [])];
  const pin = {
    GroupName: key.GroupName,
    Identifier: key.GroupIdentifier,
    Generation: key.Generation,
    KeyUDF: key.EncryptionKey.kid,
    PastKeyUDF: [...new Set(past)],
    Service: service,
    Head: known?.Head ?? { seq: 0, hash: null },
    Since: known?.Since ?? time(now),
    ...(key.Closed ? { Closed: key.Closed } : {}),
  };
  const isSame = each => each.GroupName === pin.GroupName;
  const kept = { GroupName: pin.GroupName, SignedKey: told.SignedKey, Master: told.Master };
  return { pin, home: { ...home, Pins: put(home.Pins, pin, isSame), Told: put(home.Told, kept, isSame) } };
}

function compare(pin, key) {
  const alarm = what =>
    new Alarm(`${pin.GroupName}: ${what} Nothing was done. Ask the list's administrator by another way.`);
  if (key.GroupIdentifier !== pin.Identifier) {
    throw alarm(`ITS FINGERPRINT HAS CHANGED, from ${pin.Identifier} to ${key.GroupIdentifier}.`);
  }
  if (pin.Closed && !key.Closed) throw alarm("ITS SERVER SHOWS IT AS OPEN, BUT IT WAS CLOSED FOR GOOD.");
  if (key.Generation < pin.Generation) throw alarm("ITS SERVER SHOWS AN OLD KEY.");
  if (key.Generation === pin.Generation && key.EncryptionKey.kid !== pin.KeyUDF) {
    throw alarm("ITS SERVER SHOWS ANOTHER KEY THAN IT SHOWED BEFORE.");
  }
}

/** Refuse a profile that is older than one that was seen of its Identifier; remember this one. */
export function profileSeen(home, { Identifier, Updated }) {
  const known = home.Profiles.find(each => each.Identifier === Identifier);
  if (known && Updated < known.Updated) throw new NotAuthentic("a profile older than one that was seen before");
  if (known?.Updated === Updated) return home;
  return { ...home, Profiles: put(home.Profiles, { Identifier, Updated }, each => each === known) };
}

/** Refuse a half that belongs to another group key: that would pass one list's mail off as another's. */
export function checkHalf(home, { MemberKeyUDF, GroupKeyID }) {
  const known = home.Halves.find(each => each.MemberKeyUDF === MemberKeyUDF);
  if (known && known.GroupKeyUDF !== GroupKeyID) {
    throw new Alarm("THE SERVER PASSES MAIL OF ONE LIST OFF AS ANOTHER'S. Nothing was shown.");
  }
}

/** Remember which group key a half belongs to. */
export function halfSeen(home, { MemberKeyUDF, GroupKeyID }) {
  if (home.Halves.some(each => each.MemberKeyUDF === MemberKeyUDF)) return home; // as checkHalf has found
  const half = { MemberKeyUDF, GroupKeyUDF: GroupKeyID };
  return { ...home, Halves: put(home.Halves, half, each => each.MemberKeyUDF === MemberKeyUDF) };
}

/** Pin an author to an address on first use, and an id to its content; tell what was known. */
export async function authorMet(home, { profile, address, messageId, groupKey, cid, now }) {
  const known = home.Contacts.find(each => each.Address.toLowerCase() === address.toLowerCase());
  const contact = { Address: address, Identifier: profile.Identifier, Since: time(now) };
  const name = b64url(await sha256(utf8(`${profile.Identifier} ${groupKey} ${messageId}`)));
  const read = home.Seen.find(each => each.Name === name);
  return {
    home: known && read ? home : {
      ...home,
      Contacts: known ? home.Contacts : [...home.Contacts, contact],
      Seen: read ? home.Seen : [...home.Seen, { Name: name, ContentId: cid }].slice(-SEEN),
    },
    since: known?.Since ?? null,
    other: known && known.Identifier !== profile.Identifier ? known.Identifier : null,
    isReplay: Boolean(read) && read.ContentId !== cid,
  };
}
