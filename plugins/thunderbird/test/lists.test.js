// Lists over time: another key, who leaves, what an answer names, what a mail says of its list.

import assert from "node:assert/strict";
import test from "node:test";
import { readEnvelope } from "../src/core/envelope.js";
import { Malformed } from "../src/core/errors.js";
import { authorMet, pinned } from "../src/core/home.js";
import * as core from "../src/core/index.js";
import { draw, publicKey } from "../src/core/keys.js";
import { writeEntity } from "../src/core/mime.js";
import { b64url, utf8 } from "../src/core/octets.js";
import { newProfile, verifiedProfile } from "../src/core/profiles.js";
import { sign, unverified } from "../src/core/signing.js";

const NOW = new Date("2026-11-23T08:00:00Z");
const LIST = "team@lists.example";
const SERVICE = "https://lists.example";

const key = (generation, kid, previous) => ({
  GroupName: LIST, GroupIdentifier: "M1", Generation: generation, EncryptionKey: { kid }, Previous: previous,
});
const seen = (home, document) => pinned(home, document, { service: SERVICE, now: NOW, told: {} }).home;

test("the key before the one that is seen is known as the list's, though nobody asked for it", () => {
  const home = seen(seen(core.emptyHome(), key(1, "K1", null)), key(3, "K3", "K2"));
  assert.deepEqual(home.Pins[0].PastKeyUDF, ["K1", "K2"]);
  const again = seen(home, key(3, "K3", "K2"));
  assert.deepEqual(again.Pins[0].PastKeyUDF, ["K1", "K2"]);
});

test("of ids that were read only so many are kept, the latest", async () => {
  const Seen = Array.from({ length: 20_000 }, (_, at) => ({ Name: `${at}`, ContentId: "c" }));
  const met = { profile: { Identifier: "MA" }, address: "carol@example.org", messageId: "<a>", groupKey: "K", cid: "1", now: NOW };
  const { home } = await authorMet({ ...core.emptyHome(), Seen }, met);
  assert.equal(home.Seen.length, 20_000);
  assert.equal(home.Seen[0].Name, "1");
  const again = await authorMet(home, met);
  assert.equal(again.home, home); // nothing is to be written
});

test("an answer names what it answers and what that did, twenty ids at most", async () => {
  const ids = Array.from({ length: 30 }, (_, at) => `<${at}@lists.example>`);
  const mail = utf8(`From: a@b.example\r\nMessage-ID: <x@lists.example>\r\nReferences: ${ids.join("\r\n ")}\r\n\r\nReferences: <no@body>\r\n`);
  const thread = await core.threadOf(mail);
  assert.equal(thread.inReplyTo, "<x@lists.example>");
  assert.deepEqual(thread.references, [...ids.slice(11), "<x@lists.example>"]);
  const message = {
    from: { name: "Bob", address: "bob@example.org" }, subject: "Re", text: "x", html: null, date: NOW, messageId: "<a@b>", attachments: [], ...thread,
  };
  const text = new TextDecoder().decode(writeEntity({ ...message, references: [...thread.references, "<a>\r\nBcc: x"] }, LIST, 0));
  assert.match(text, /^References: <11@lists\.example>\r\n <12@/m);
  assert.match(text, /^HP-Outer: References: <11@lists\.example>\r\n <12@/m);
  assert.doesNotMatch(text, /^Bcc/m);
});

test("of which list a mail says to be is read of its header alone", async () => {
  const mail = utf8(["List-Post: <mailto:Team@lists.example>", `List-Unsubscribe: <${SERVICE}/u/${"a".repeat(26)}>, <mailto:x@y>`, "", "List-Post: <mailto:no@body>", ""].join("\r\n"));
  assert.deepEqual(await core.listNamed(mail), { list: LIST, url: SERVICE });
  assert.equal(await core.listNamed(utf8("List-Post: NO\r\n\r\n")), null);
});

test("an envelope in JSON has as little beside its ciphertext as one in the other form", () => {
  const whole = {
    protected: b64url(utf8(JSON.stringify({ enc: "A256GCM" }))), iv: b64url(new Uint8Array(12)), tag: b64url(new Uint8Array(16)),
    recipients: [{ header: { alg: "ECDH-ES+A256KW" }, encrypted_key: "" }],
  };
  const read = changes => readEnvelope(utf8(JSON.stringify({ ...whole, ...changes })));
  assert.equal(read({ ciphertext: "AAAA".repeat(50_000) }).ciphertext.length, 150_000);
  assert.throws(() => read({ ciphertext: "AAAA", more: "A".repeat(65_536) }), Malformed);
});

test("an address in a profile that moves other words about is refused", async () => {
  const { Profile, Keys: [master] } = await core.createProfile("bob@example.org", NOW);
  const stated = unverified(Profile);
  for (const account of ["bob@example.org\u202e", "bob\r\n@example.org", `${"b".repeat(250)}@example.org`, "bob"]) {
    await assert.rejects(verifiedProfile(await sign("recrypt-profile", { ...stated, Accounts: [account] }, master)), Malformed);
  }
});

/** Answer what is asked of a service, by name of the request; give what was asked. */
function service(context, answers) {
  const asked = [];
  context.mock.method(globalThis, "fetch", async (_, { body }) => {
    const [[request, members]] = Object.entries(unverified(JSON.parse(new TextDecoder().decode(body))));
    const name = request.replace(/Request$/, "");
    asked.push([name, members]);
    const [Status, StatusDescription] = answers[name] ?? [201, ""];
    return new Response(JSON.stringify({ [`${name}Response`]: { Status, StatusDescription } }));
  });
  return asked;
}

const member = async () => seen(await core.createProfile("bob@example.org", NOW), key(1, "K1", null));
const names = asked => asked.map(([name]) => name);

test("who leaves says so with a signature, and hears whether there is anything to leave", async context => {
  const home = await member();
  const asked = service(context, { GetGroup: [403, "no"] });
  assert.equal(await core.setMail(LIST, "left", home, NOW), true);
  assert.deepEqual(names(asked), ["GetEntry", "GetGroup", "SetMail"]);
  assert.deepEqual(asked[2][1], { GroupName: LIST, Profile: home.Profile, Mail: "left" });
});

test("who is no active member may leave, and who isn't known, or administers the list, is told", async context => {
  const home = await member();
  const answers = { GetEntry: [403, "no"], GetGroup: [403, "no"] };
  const asked = service(context, answers);
  assert.equal(await core.setMail(LIST, "left", home, NOW), false);
  answers.GetGroup = [201, ""];
  await assert.rejects(core.setMail(LIST, "left", home, NOW), /administer/);
  assert.equal(await core.setMail(LIST, "paused", home, NOW), false);
  answers.GetEntry = [401, "signed by a key that is unknown here"];
  await assert.rejects(core.setMail(LIST, "left", home, NOW), /doesn't know you/);
  answers.GetEntry = [401, "the clock is wrong"];
  await assert.rejects(core.setMail(LIST, "left", home, NOW), /clock/);
  assert.equal(names(asked).filter(each => each === "SetMail").length, 2);
});

test("a newer profile goes to no service that doesn't know its owner", async context => {
  const home = await member();
  const answers = { GetEntry: [401, "signed by a key that is unknown here"] };
  const asked = service(context, answers);
  assert.equal(await core.publish(LIST, home, NOW), false);
  delete answers.GetEntry;
  assert.equal(await core.publish(LIST, home, NOW), true);
  assert.deepEqual(names(asked), ["GetEntry", "GetEntry", "UpdateProfile", "GetEntry"]);
});

test("a device that is taken away leaves the others, and where it was the last, fresh keys", async () => {
  const home = await member();
  const laptop = await core.askAsDevice(core.emptyHome());
  assert.deepEqual((await core.askAsDevice(laptop.home)).request, laptop.request);
  const device = await core.readRequest(utf8(JSON.stringify(laptop.request)));
  const added = await core.addDevice(home, device, NOW);
  assert.deepEqual(added.Untold, [LIST]);
  assert.ok(unverified(added.Profile).Updated > unverified(home.Profile).Updated);
  await assert.rejects(core.addDevice(added, device, NOW), /already/);
  const there = await core.takeProfile(laptop.home, utf8(JSON.stringify(added.Profile)), NOW);
  assert.deepEqual((await core.devices(there)).map(each => each.isHere), [false, true]);
  await assert.rejects(core.revokeDevice(there, device.code, NOW), /master key/);
  const [own, other] = await core.devices(added);
  assert.equal((await core.devices(await core.revokeDevice(added, other.code, NOW))).length, 1);
  const fresh = await core.devices(await core.revokeDevice(added, own.code, NOW));
  assert.deepEqual(fresh.map(each => each.isHere), [false, true]);
  assert.ok(!fresh.some(each => each.code === own.code));
});

test("a profile of somebody else, of another device, or dated ahead, isn't taken in", async () => {
  const [bob, carol] = [await member(), await core.createProfile("carol@example.org", NOW)];
  const octets = utf8(JSON.stringify(carol.Profile));
  const laptop = await core.askAsDevice(core.emptyHome());
  for (const home of [bob, laptop.home]) await assert.rejects(core.takeProfile(home, octets, NOW));
  await assert.rejects(core.takeProfile(carol, octets, new Date("2026-11-21T08:00:00Z")), /ahead/);
  assert.equal(await core.takeProfile(carol, octets, NOW), carol);
});

/** Make what GetKey says of a list; each change is one of its key's members. */
async function group() {
  const { signed: Master, keys: [master, online] } = await newProfile(LIST, NOW);
  const say = async (changes = {}) => {
    const stated = {
      GroupName: LIST, GroupIdentifier: master.kid, EncryptionKey: await publicKey(await draw("X25519")), Generation: 1,
      Created: "2026-11-20T08:00:00Z", NotAfter: "2027-05-20T08:00:00Z", Previous: null, Head: { seq: 0, hash: null }, ...changes,
    };
    return { Master, SignedKey: await sign("recrypt-group-key", stated, online) };
  };
  return { say };
}

const MESSAGE = { from: { name: "Bob", address: "bob@example.org" }, subject: "x", text: "x", html: null, attachments: [] };

test("nothing is sealed to a key that has ended, nor to a list that is closed", async () => {
  const { say } = await group();
  const told = await say();
  const bob = await core.createProfile("bob@example.org", NOW);
  const { home } = await core.keyTold(LIST, { ...bob, Pins: [{ GroupName: LIST, ...pinOfTold(told) }] }, told, NOW);
  assert.ok((await core.sealMessage(MESSAGE, LIST, home, told, NOW)).envelope.length > 0);
  const { EncryptionKey } = unverified(told.SignedKey);
  const ended = await say({ EncryptionKey, NotAfter: "2026-11-22T08:00:00Z" });
  await assert.rejects(core.sealMessage(MESSAGE, LIST, home, ended, NOW), /isn't good any more/);
  const closed = await say({ EncryptionKey, Closed: "2026-11-22T08:00:00Z" });
  await assert.rejects(core.sealMessage(MESSAGE, LIST, home, closed, NOW), /closed for good/);
});

test("a newer key is taken, and neither an older one, another of its generation, nor another list's", async () => {
  const { say } = await group();
  const [first, other] = [await say(), await say()];
  const bob = await core.createProfile("bob@example.org", NOW);
  const { home } = await core.keyTold(LIST, { ...bob, Pins: [{ GroupName: LIST, ...pinOfTold(first) }] }, first, NOW);
  const old = unverified(first.SignedKey).EncryptionKey.kid;
  const newer = await core.keyTold(LIST, home, await say({ Generation: 2, Previous: old }), NOW);
  assert.deepEqual(newer.home.Pins[0].PastKeyUDF, [old]);
  await assert.rejects(core.keyTold(LIST, newer.home, first, NOW), core.Alarm);
  await assert.rejects(core.keyTold(LIST, home, other, NOW), core.Alarm);
  await assert.rejects(core.keyTold(LIST, home, await (await group()).say(), NOW), core.Alarm);
  await assert.rejects(core.keyTold(LIST, home, await say({ GroupName: "plans@lists.example" }), NOW));
});

const pinOfTold = ({ SignedKey }) => {
  const { GroupIdentifier: Identifier, EncryptionKey } = unverified(SignedKey);
  return { Identifier, Generation: 1, KeyUDF: EncryptionKey.kid, PastKeyUDF: [], Service: SERVICE, Head: { seq: 0, hash: null }, Since: "2026-11-20T08:00:00Z" };
};

test("a fingerprint that a person types may be cut, but not short, and is held against the list's", async context => {
  const { say } = await group();
  const told = await say();
  const { GroupIdentifier } = unverified(told.SignedKey);
  context.mock.method(globalThis, "fetch", async () => new Response(JSON.stringify({ GetKeyResponse: { Status: 201, ...told } })));
  const meet = identifier => core.fetchKey({ list: LIST, service: SERVICE, identifier }, core.emptyHome(), NOW);
  for (const typed of [GroupIdentifier, GroupIdentifier.toLowerCase().replaceAll("-", " "), GroupIdentifier.slice(0, 29), ""]) {
    assert.equal((await meet(typed)).pin.Identifier, GroupIdentifier);
  }
  const wrong = `N${GroupIdentifier.slice(1)}`;
  for (const typed of [GroupIdentifier.slice(0, 20), wrong]) await assert.rejects(meet(typed), /ANOTHER FINGERPRINT/);
});
