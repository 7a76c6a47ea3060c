// A profile's devices: each has its own private keys, which never leave it (spec §8).
//
// One asks, and the one with the master key adds it, if its owner sees the same code on both.

import { Malformed, NotAuthentic, onOutside } from "./errors.js";
import { ownProfile } from "./home.js";
import { draw, fingerprint, namedKey, publicKey } from "./keys.js";
import { readJson, time, utf8 } from "./octets.js";
import { DEVICES, verifiedProfile } from "./profiles.js";
import { sign } from "./signing.js";

const VERSION = 1; // of a device's request
const CONTENT = "application/vnd.recrypt.device";
const CODE_LETTERS = 23; // four groups of five, 92 bits: who swaps a request meets none by trying
const AHEAD = 24 * 3600 * 1000; // milliseconds; spec §4: no clock of a signer is so wrong

/** Give the code of a device, which its owner compares: MBWMZ-A7GMP-GFSEZ-I5RRR. */
export async function codeOf({ encryption, signature }) {
  const names = utf8(`${encryption?.kid ?? ""}:${signature?.kid ?? ""}`);
  return (await fingerprint(CONTENT, names)).slice(0, CODE_LETTERS);
}

/** Give a profile's devices with their codes: keys that stand in the same place (spec §4). */
export async function devicesOf({ EncryptionKeys, OnlineSignatureKeys }) {
  const count = Math.max(EncryptionKeys.length, OnlineSignatureKeys.length);
  const found = Array.from({ length: count }, (_, at) => ({ encryption: EncryptionKeys[at], signature: OnlineSignatureKeys[at] }));
  return Promise.all(found.map(async each => ({ ...each, code: await codeOf(each) })));
}

const privateOf = (home, key) => home.Keys.find(each => each.kid === key?.kid && each.d);

/** Tell whether a device is the one of this home; whole, if both its keys are here. */
export const isHere = (home, { encryption, signature }) => Boolean(privateOf(home, encryption) || privateOf(home, signature));
const isWholeHere = (home, { encryption, signature }) => Boolean(privateOf(home, encryption) && privateOf(home, signature));

/** Draw the keys of a device whose profile is elsewhere, once; give its request and code. */
export async function askAsDevice(home) {
  if (home.Profile) throw new Malformed("There is a profile here already");
  const drawn = home.Asked ? { home, request: home.Asked } : await withKeys(home);
  const code = await codeOf({ encryption: drawn.request.EncryptionKey, signature: drawn.request.SignatureKey });
  return { home: { ...drawn.home, Asked: drawn.request }, request: drawn.request, code };
}

async function withKeys(home) {
  const [encryption, signature] = await Promise.all([draw("X25519"), draw("Ed25519")]);
  const request = { DeviceVersion: VERSION, EncryptionKey: await publicKey(encryption), SignatureKey: await publicKey(signature) };
  return { home: { ...home, Keys: [...home.Keys, encryption, signature] }, request };
}

/** Read the request of a device; whose it is, only its code tells. */
export const readRequest = octets => onOutside(async () => {
  const { DeviceVersion, EncryptionKey, SignatureKey } = readJson(octets);
  if (DeviceVersion !== VERSION) throw new Malformed("This is no request of a device that is understood here");
  const [encryption, signature] = await Promise.all([EncryptionKey, SignatureKey].map(namedKey));
  const isFormed = ["X25519", "X448", "P-256"].includes(encryption.crv) && ["Ed25519", "Ed448"].includes(signature.crv);
  if (!isFormed) throw new Malformed("A request of a device with keys of the wrong kinds");
  return { encryption, signature, code: await codeOf({ encryption, signature }) };
});

/** Sign a newer profile with one device more. */
export async function addDevice(home, { encryption, signature }, now) {
  const found = await devicesOf(ownProfile(home));
  checkWhole(found);
  if (found.some(each => each.encryption.kid === encryption.kid || each.signature.kid === signature.kid)) {
    throw new Malformed("This is one of your devices already");
  }
  if (found.length >= DEVICES) throw new Malformed(`A profile has at most ${DEVICES} devices: take one away first`);
  return signed(home, [...found, { encryption, signature }], now);
}

function checkWhole(found) {
  if (found.some(each => !each.encryption || !each.signature)) {
    throw new Malformed("Of one of your devices a key is missing: take that device away first");
  }
}

/** Sign a newer profile without the device of this code; where that leaves no keys here, with fresh ones. */
export async function revokeDevice(home, code, now) {
  const found = await devicesOf(ownProfile(home));
  const left = found.filter(each => each.code !== code);
  if (left.length === found.length) throw new Malformed("This is the code of none of your devices");
  masterOf(home);
  const isLast = isHere(home, found.find(each => each.code === code)) && !left.some(each => isWholeHere(home, each));
  if (!isLast) return signed(home, left, now);
  checkWhole(left);
  const fresh = await withKeys(home);
  const own = { encryption: fresh.request.EncryptionKey, signature: fresh.request.SignatureKey };
  return signed(fresh.home, [...left, own], now);
}

/** Take one's own newer profile in; a device without one takes that which names its keys. */
export async function takeProfile(home, octets, now = new Date()) {
  const signedProfile = readJson(octets);
  const profile = await verifiedProfile(signedProfile);
  if (Date.parse(profile.Updated) > now.getTime() + AHEAD) throw new Malformed("This profile is dated ahead: one of your clocks is wrong");
  if (!home.Profile) {
    const found = await devicesOf(profile);
    if (!found.some(each => isWholeHere(home, each))) throw new NotAuthentic("This profile doesn't name this device: add it there first");
    return { ...home, Profile: signedProfile, Asked: null };
  }
  const here = ownProfile(home);
  if (here.Identifier !== profile.Identifier) throw new NotAuthentic("This is another profile than yours: nothing was taken in");
  return here.Updated < profile.Updated ? { ...home, Profile: signedProfile } : home;
}

function masterOf(home) {
  const master = privateOf(home, { kid: ownProfile(home).Identifier });
  if (!master) throw new Malformed("Your devices are added and taken away where your profile was made: its master key isn't here");
  return master;
}

/** Sign the profile with these devices, later than before it; no list knows of it yet. */
async function signed(home, found, now) {
  const { EncryptionKeys: _, OnlineSignatureKeys: __, ...old } = ownProfile(home);
  const later = new Date(Math.max(now.getTime(), Date.parse(old.Updated) + 1000));
  const stated = {
    ...old,
    OnlineSignatureKeys: found.map(each => each.signature).filter(Boolean),
    EncryptionKeys: found.map(each => each.encryption).filter(Boolean),
    Updated: time(later),
  };
  const Untold = home.Pins.map(each => each.GroupName);
  return { ...home, Profile: await sign("recrypt-profile", stated, masterOf(home)), Untold: Untold.length ? Untold : null };
}
