// Small parts, each by its law.

import assert from "node:assert/strict";
import test from "node:test";
import { Malformed } from "../src/core/errors.js";
import { readEnvelope } from "../src/core/envelope.js";
import { emptyHome, pinned, authorMet, checkHalf, halfSeen } from "../src/core/home.js";
import { readInvitation, createProfile, exportHome, importHome, openMessage } from "../src/core/index.js";
import { readMessage, sealedPart, writeEntity } from "../src/core/mime.js";
import { b64url, readJson, unb64url, utf8 } from "../src/core/octets.js";
import { padding, padme } from "../src/core/padding.js";
import { checkedUrl } from "../src/core/service.js";

const NOW = new Date("2026-11-23T08:00:00Z");
const MESSAGE = {
  from: { name: "Böb", address: "bob@example.org" },
  subject: "Flöwerpots and many other things, of which there is a lot to be said in one long line",
  text: "Under the third.\n", html: null, inReplyTo: "<m.a.b@lists.example>", date: NOW, messageId: "<a@b>",
  attachments: [{ name: "pläne.txt", type: "text/plain", content: utf8("dig\n") }],
};

test("base64url of another form is refused", () => {
  for (const text of ["a", "aa=", "a b", "ab", "+/"]) assert.throws(() => unb64url(text));
  assert.deepEqual(unb64url(b64url(utf8("any"))), utf8("any"));
});

test("JSON with a member twice, or nested too deep, is refused", () => {
  const long = "a".repeat(2e7);
  for (const value of [{}, { a: { b: [":", "{"] }, b: 1 }, { 'a"}': "\\", b: [[{ b: null }], { b: "" }] }, { long }]) {
    assert.deepEqual(readJson(utf8(JSON.stringify(value))), value);
  }
  const deep = `{"a":${"[".repeat(40)}${"]".repeat(40)}}`;
  for (const text of ['{"a":1,"a":1}', '{"a":1,"\\u0061":1}', '{"b":[{"a":{},"c":"x","a":[]}]}', "[]", "null", "{", deep]) {
    assert.throws(() => readJson(utf8(text)), { constructor: Malformed }, text);
  }
});

test("Padmé leaves only the highest bits of a length", () => {
  assert.deepEqual([9, 100, 1000, 12345].map(padme), [10, 104, 1024, 12800]);
  const [field, tail] = padding(1000, 300);
  assert.equal(1000 + field.length + tail.length, padme(1000 + field.length + tail.length));
});

for (const html of [null, "<p>Under the <b>third</b>.</p>"]) {
  test(`a message is read as it was written, ${html ? "with" : "without"} HTML, at a padded length`, async () => {
    const entity = writeEntity({ ...MESSAGE, html }, "team@lists.example", 1234);
    const found = await readMessage(entity);
    assert.equal(found.subject, MESSAGE.subject);
    assert.equal(found.from, "Böb <bob@example.org>");
    assert.equal(found.text.trimEnd(), "Under the third.");
    assert.equal(found.html?.trimEnd() ?? null, html);
    const [{ name, content }] = found.attachments;
    assert.deepEqual([name, content], ["pläne.txt", utf8("dig\n")]);
    assert.equal(1234 + entity.length, padme(1234 + entity.length));
  });
}

const mail = (...parts) => utf8([
  "From: carol@example.org", "MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=b", "",
  ...parts.flatMap(each => ["--b", ...each]), "--b--", "",
].join("\r\n"));
const SEALED = ["Content-Type: application/vnd.recrypt; name=message.mmx", "Content-Disposition: attachment", "", "{}"];
const NOTICE = ["Content-Type: text/plain", "", "This is a notice."];

test("an encrypted part beside a notice is the whole message", async () => {
  assert.equal((await sealedPart(mail(NOTICE, SEALED))).length > 0, true);
});

test("an encrypted part beside anything else is refused", async () => {
  const picture = ["Content-Type: image/png; name=a.png", "Content-Disposition: attachment", "", "x"];
  const long = ["Content-Type: text/plain", "", "words ".repeat(2000)];
  for (const other of [picture, long, SEALED]) {
    await assert.rejects(sealedPart(mail(NOTICE, SEALED, other)), /inside of another message/);
  }
  await assert.rejects(openMessage(mail(NOTICE), emptyHome()), /no encrypted part/);
});

test("an envelope that breaks the format is refused", () => {
  const header = more => b64url(utf8(JSON.stringify({ enc: "A256GCM", ...more })));
  const recipient = { header: { alg: "ECDH-ES+A256KW" }, encrypted_key: "" };
  const whole = { protected: header(), iv: b64url(new Uint8Array(12)), tag: b64url(new Uint8Array(16)), recipients: [recipient] };
  const read = changes => readEnvelope(utf8(`${JSON.stringify({ ...whole, ...changes })}\nx`));
  assert.equal(read({}).recipients.length, 1);
  for (const changes of [
    { protected: header({ zip: "DEF" }) }, { protected: header({ enc: "none" }) }, { iv: "" },
    { recipients: [] }, { protected: header({ alg: "ECDH-ES+A256KW" }) }, { recipients: [{ ...recipient, header: { alg: "dir" } }] },
  ]) assert.throws(() => read(changes), undefined, JSON.stringify(changes));
});

const key = changes => ({
  GroupName: "team@lists.example", GroupIdentifier: "M1", Generation: 2, EncryptionKey: { kid: "K2" }, ...changes,
});
const pin = (home, changes) =>
  pinned(home, key(changes), { service: "https://lists.example", now: NOW, told: {} }).home;

test("what a service shows otherwise than before is refused loudly", () => {
  const home = pin(emptyHome(), {});
  for (const changes of [{ GroupIdentifier: "M2" }, { Generation: 1 }, { EncryptionKey: { kid: "K3" } }]) {
    assert.throws(() => pin(home, changes), { name: "Error", message: /Nothing was done/ });
  }
  const newer = pin(home, { Generation: 3, EncryptionKey: { kid: "K3" } });
  assert.deepEqual(newer.Pins[0].PastKeyUDF, ["K2"]);
  const closed = pin(home, { Closed: "2026-11-23T08:00:00Z" });
  assert.throws(() => pin(closed, {}), /CLOSED/);
});

test("an address stays its first author's, and an id its first content's", async () => {
  const met = (home, Identifier, cid) =>
    authorMet(home, { profile: { Identifier }, address: "carol@example.org", messageId: "<a>", groupKey: "K", cid, now: NOW });
  const first = await met(emptyHome(), "MA", "1");
  assert.deepEqual([first.since, first.other, first.isReplay], [null, null, false]);
  const again = await met(first.home, "MA", "2");
  assert.deepEqual([again.since !== null, again.other, again.isReplay], [true, null, true]);
  assert.equal((await met(first.home, "MB", "1")).other, "MA");
});

test("a half belongs to one group key", () => {
  const half = { MemberKeyUDF: "X", GroupKeyID: "A" };
  const home = halfSeen(emptyHome(), half);
  checkHalf(home, half);
  assert.throws(() => checkHalf(home, { ...half, GroupKeyID: "B" }), /Nothing was shown/);
});

test("an invitation is found in its letter, and nothing else is one", () => {
  const stated = {
    InvitationVersion: 1, GroupName: "team@lists.example", Service: "https://lists.example",
    Identifier: "MAAAA-BBBBB-CCCCC-DDDDD-EEEEE-FFFFF", Secret: b64url(new Uint8Array(32)),
  };
  const token = b64url(utf8(JSON.stringify(stated)));
  assert.equal(readInvitation(`Come in:\n\nrecrypt:join/${token}\n\nAlice\n`).list, "team@lists.example");
  assert.equal(readInvitation(token).service, "https://lists.example");
  const http = b64url(utf8(JSON.stringify({ ...stated, Service: "http://lists.example" })));
  for (const text of ["", "hello", `recrypt:join/${http}`]) assert.throws(() => readInvitation(text));
});

test("a service is reached by https, or here", () => {
  assert.equal(checkedUrl("https://lists.example/"), "https://lists.example");
  assert.equal(checkedUrl("http://127.0.0.1:8080"), "http://127.0.0.1:8080");
  for (const url of ["http://lists.example", "file:///etc", "", "javascript:1"]) assert.throws(() => checkedUrl(url));
});

test("a copy of a profile is taken in, and another profile's isn't", async () => {
  const home = await createProfile("bob@example.org", NOW);
  const copy = await exportHome(home, "a long passphrase", NOW);
  assert.deepEqual(await importHome(emptyHome(), copy, "a long passphrase"), home);
  const other = await createProfile("bob@example.org", NOW);
  await assert.rejects(importHome(other, copy, "a long passphrase"), /another profile/);
});
