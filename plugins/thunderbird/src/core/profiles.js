// Profiles, and a group's key as its Master says it (spec §4, §6).

import { Malformed, NotAuthentic, onOutside } from "./errors.js";
import { draw, namedKey, publicKey } from "./keys.js";
import { time } from "./octets.js";
import { sign, signerOf, unverified, verify } from "./signing.js";

export const DEVICES = 32;
// RFC 5321 §4.5.3.1.3; nothing in it that moves other words about.
// eslint-disable-next-line no-control-regex
const ACCOUNT = /^(?=.{3,254}$)[^\x00-\x1f\x7f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+@[^\s@\x00-\x1f\x7f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z$/;

/** Check a SignedProfile by its own master key; whose it is, only its Identifier tells. */
export const verifiedProfile = signed => onOutside(() => checkedProfile(signed));

async function checkedProfile(signed) {
  const stated = unverified(signed);
  const master = stated.MasterSignatureKey;
  await verify("recrypt-profile", signed, [master]);
  if (stated.Identifier !== master.kid) throw new NotAuthentic("a profile that isn't its master key's");
  const { Accounts, OnlineSignatureKeys = [], EncryptionKeys = [], Updated } = stated;
  const isFormed = Array.isArray(Accounts) && Accounts.every(each => typeof each === "string" && ACCOUNT.test(each)) && TIME.test(Updated);
  if (!isFormed || !Accounts.length) throw new Malformed("a profile without an address or a time");
  if (EncryptionKeys.length > DEVICES || OnlineSignatureKeys.length > DEVICES) throw new Malformed("a profile of too many devices");
  await Promise.all([...OnlineSignatureKeys, ...EncryptionKeys].map(namedKey));
  return { ...stated, OnlineSignatureKeys, EncryptionKeys };
}

/** The keys that sign for a profile. */
export const signatureKeys = profile => [profile.MasterSignatureKey, ...(profile.OnlineSignatureKeys ?? [])];

/** Draw a profile's keys, and sign it. */
export async function newProfile(address, now, curve = "X25519") {
  const [master, online, device] = await Promise.all([draw("Ed25519"), draw("Ed25519"), draw(curve)]);
  const [masterPublic, onlinePublic, devicePublic] = await Promise.all([master, online, device].map(publicKey));
  const stated = {
    Identifier: master.kid,
    MasterSignatureKey: masterPublic,
    OnlineSignatureKeys: [onlinePublic],
    MasterEscrowKeys: [],
    EncryptionKeys: [devicePublic],
    Accounts: [address],
    Updated: time(now),
  };
  return { signed: await sign("recrypt-profile", stated, master), keys: [master, online, device] };
}

/** Check what GetKey says, from the Master on (spec §6). */
export const verifiedGroupKey = told => onOutside(() => checkedGroupKey(told));

async function checkedGroupKey({ SignedKey, Master }) {
  const master = await verifiedProfile(Master);
  signerOf("recrypt-group-key", SignedKey);
  const key = await verify("recrypt-group-key", SignedKey, master.OnlineSignatureKeys);
  if (key.GroupIdentifier !== master.Identifier) throw new NotAuthentic("a group key of another group");
  if (master.Accounts.length !== 1 || key.GroupName !== master.Accounts[0]) {
    throw new NotAuthentic("a group key of another name than its group's");
  }
  await namedKey(key.EncryptionKey);
  const { Generation, NotAfter, Closed = null, Previous = null } = key;
  if (!Number.isInteger(Generation) || ![NotAfter, Closed ?? NotAfter].every(each => TIME.test(each))) {
    throw new Malformed("a group key without a generation or a time");
  }
  if (Previous !== null && typeof Previous !== "string") throw new Malformed("a group key that names none before it");
  return key;
}
