// A home as one file under a passphrase, the same as `recrypt profile export` writes (spec §8).

import { argon2id } from "hash-wasm"; // in JavaScript alone it takes half a minute
import { Alarm, Malformed, NotAuthentic, onOutside } from "./errors.js";
import { emptyHome } from "./home.js";
import { checkPrivate } from "./keys.js";
import { b64url, join, random, readJson, time, unb64url, utf8, writeJson } from "./octets.js";
import { signatureKeys, verifiedProfile } from "./profiles.js";

const NAME = "recrypt-profile-export";
const COST = { alg: "argon2id", v: 19, m: 65536, t: 3, p: 4 }; // RFC 9106 §4, the second option
const MEMBERS = ["Pins", "Contacts", "Profiles", "Halves"];

/** Write the file; `now` stands in it. */
export async function exported(home, passphrase, now) {
  if (!home.Profile) throw new Malformed("There is no profile to keep");
  const { Profile, Keys, Pins, Contacts, Profiles, Halves } = home;
  const stated = { Exported: time(now), Profile, Keys, Pins, Contacts, Profiles, Halves };
  return writeJson({ [NAME]: 1, ...(await sealUnder(passphrase, writeJson(stated))) });
}

async function sealUnder(passphrase, content) {
  const kdf = { ...COST, salt: b64url(random(16)) };
  const iv = random(12);
  const key = await derived(passphrase, kdf, ["encrypt"]);
  const sealed = new Uint8Array(await crypto.subtle.encrypt(parameters(iv), key, content));
  return { kdf, iv: b64url(iv), ciphertext: b64url(sealed.slice(0, -16)), tag: b64url(sealed.slice(-16)) };
}

const parameters = iv => ({ name: "AES-GCM", iv, additionalData: utf8(NAME) });

async function derived(passphrase, { alg, v, m, t, p, salt }, usages) {
  const isSane = m >= 8 * p && m <= 2 ** 21 && t >= 1 && t <= 16 && p >= 1 && p <= 16 && unb64url(salt).length >= 8;
  if (alg !== "argon2id" || v !== 19 || ![m, t, p].every(Number.isInteger) || !isSane) {
    throw new Malformed("This file is sealed in a way that isn't known here");
  }
  const octets = await argon2id({
    password: utf8(passphrase.normalize("NFC")), salt: unb64url(salt),
    memorySize: m, iterations: t, parallelism: p, hashLength: 32, outputType: "binary",
  });
  return crypto.subtle.importKey("raw", octets, "AES-GCM", false, usages);
}

/** Open a file; nothing in it is taken yet. */
async function opened(file, passphrase) {
  const whole = readJson(file);
  if (whole[NAME] !== 1) throw new Malformed("This is no copy of a profile");
  const key = await derived(passphrase, whole.kdf ?? {}, ["decrypt"]);
  const sealed = join(unb64url(whole.ciphertext), unb64url(whole.tag));
  try {
    return readJson(new Uint8Array(await crypto.subtle.decrypt(parameters(unb64url(whole.iv)), key, sealed)));
  } catch {
    throw new NotAuthentic("The passphrase doesn't open this file");
  }
}

/** Take a file into a home without a profile, or with the same one: nothing goes back. */
export const imported = (home, file, passphrase) => onOutside(async () => merged(home, await opened(file, passphrase)));

/** Take what a file had in it; its keys are believed only where the private one gives the public one. */
async function merged(home, there) {
  await Promise.all(there.Keys.map(each => checkPrivate(each, each.kid)));
  const profile = await verifiedProfile(there.Profile);
  const known = home.Profile ? await verifiedProfile(home.Profile) : null;
  if (known && known.Identifier !== profile.Identifier) throw new Alarm("This is the copy of another profile: nothing was taken in");
  const newest = known && known.Updated >= profile.Updated ? known : profile;
  for (const each of [profile, newest]) {
    const kids = signatureKeys(each).map(key => key.kid);
    if (!there.Keys.some(key => key.d && kids.includes(key.kid))) throw new NotAuthentic("No key in this file signs for its profile");
  }
  const lists = new Map(MEMBERS.map(name => [name, there[name] ?? []]));
  checkHalves(home.Halves, lists.get("Halves"));
  return {
    ...emptyHome(),
    ...home,
    Profile: newest === known ? home.Profile : there.Profile,
    Asked: null,
    Keys: united(home.Keys, there.Keys, each => each.kid),
    Pins: mergedPins(home.Pins, lists.get("Pins")),
    Contacts: united(home.Contacts, lists.get("Contacts"), each => each.Address.toLowerCase()),
    Profiles: united(home.Profiles, lists.get("Profiles"), each => each.Identifier, each => each.Updated),
    Halves: united(home.Halves, lists.get("Halves"), each => each.MemberKeyUDF),
  };
}

/** What is here stays, unless the other is greater. */
function united(here, there, name, rank = () => 0) {
  const found = new Map(here.map(each => [name(each), each]));
  for (const each of there) {
    const known = found.get(name(each));
    if (!known || rank(each) > rank(known)) found.set(name(each), each);
  }
  return [...found.values()];
}

function checkHalves(here, there) {
  const known = new Map(here.map(each => [each.MemberKeyUDF, each.GroupKeyUDF]));
  if (there.some(each => (known.get(each.MemberKeyUDF) ?? each.GroupKeyUDF) !== each.GroupKeyUDF)) {
    throw new Alarm("THE COPY KNOWS A KEY OF YOURS AS ANOTHER LIST'S. Nothing was taken in.");
  }
}

function mergedPins(here, there) {
  const known = new Map(here.map(each => [each.GroupName, each]));
  for (const each of there) {
    const own = known.get(each.GroupName);
    known.set(each.GroupName, own ? mergedPin(own, each) : each);
  }
  return [...known.values()];
}

function mergedPin(own, other) {
  const [old, newest] = own.Generation <= other.Generation ? [own, other] : [other, own];
  const [behind, ahead] = own.Head.seq <= other.Head.seq ? [own.Head, other.Head] : [other.Head, own.Head];
  const isOther = own.Identifier !== other.Identifier
    || (old.Generation === newest.Generation && old.KeyUDF !== newest.KeyUDF)
    || (behind.seq === ahead.seq && behind.hash !== ahead.hash);
  if (isOther) throw new Alarm(`${own.GroupName}: THE COPY KNOWS ANOTHER LIST BY THIS NAME. Nothing was taken in.`);
  const past = new Set([...old.PastKeyUDF, old.KeyUDF, ...newest.PastKeyUDF]);
  const Closed = own.Closed ?? other.Closed;
  return {
    ...own,
    Generation: newest.Generation,
    KeyUDF: newest.KeyUDF,
    PastKeyUDF: [...past].filter(udf => udf !== newest.KeyUDF),
    Head: ahead,
    Since: own.Since < other.Since ? own.Since : other.Since,
    ...(Closed ? { Closed } : {}),
  };
}
