// What others make to harm or to confuse: refused, in words for people.

import assert from "node:assert/strict";
import test from "node:test";
import { b64url, join, random, unb64url, utf8 } from "../src/core/octets.js";
import * as core from "../src/core/index.js";
import { seal } from "../src/core/envelope.js";
import { exported } from "../src/core/exporting.js";
import { draw, publicKey } from "../src/core/keys.js";
import { sealedPart, writeEntity } from "../src/core/mime.js";
import { newProfile, verifiedGroupKey, verifiedProfile } from "../src/core/profiles.js";
import { sign } from "../src/core/signing.js";

const NOW = new Date("2026-11-23T08:00:00Z");
const PASSPHRASE = "a long passphrase";
const KNOWN = [core.Malformed, core.NotAuthentic, core.NotForThisKey, core.Alarm, core.ServiceProblem];
const isKnown = problem => KNOWN.some(kind => problem instanceof kind);
const PIN = {
  GroupName: "team@lists.example", Identifier: "M1", Generation: 2, KeyUDF: "K2", PastKeyUDF: [],
  Service: "https://lists.example", Head: { seq: 3, hash: "h3" }, Since: "2026-11-23T08:00:00Z",
};

const file = home => exported({ ...core.emptyHome(), ...home }, PASSPHRASE, NOW);

for (const which of ["online", "device"]) {
  test(`a file in which the ${which} key of somebody's public profile has another private one is refused`, async () => {
    const { signed, keys } = await newProfile("bob@example.org", NOW);
    const [, online, device] = keys;
    const own = which === "online" ? online : device;
    const forged = { ...own, d: (await draw(own.crv)).d };
    const Keys = which === "online" ? [forged] : [online, forged];
    await assert.rejects(core.importHome(core.emptyHome(), await file({ Profile: signed, Keys, Pins: [PIN] }), PASSPHRASE), isKnown);
  });
}

test("what a copy knows of a list otherwise is refused, and nothing that is known goes back", async () => {
  const made = await core.createProfile("bob@example.org", NOW);
  const home = { ...made, Pins: [PIN], Halves: [{ MemberKeyUDF: "X", GroupKeyUDF: "K2" }] };
  const taken = async changes => core.importHome(home, await file({ ...home, ...changes }), PASSPHRASE);
  await assert.rejects(taken({ Pins: [{ ...PIN, Head: { seq: 3, hash: "other" } }] }), core.Alarm);
  await assert.rejects(taken({ Halves: [{ MemberKeyUDF: "X", GroupKeyUDF: "K1" }] }), core.Alarm);
  const closed = { ...PIN, Head: { seq: 2, hash: "h2" }, Since: "2026-11-20T08:00:00Z", Closed: "2026-11-23T07:00:00Z" };
  const { Pins: [pin] } = await taken({ Pins: [closed] });
  assert.deepEqual(pin, { ...PIN, Since: closed.Since, Closed: closed.Closed });
});

test("a coordinate that isn't below the field's prime is refused", async () => {
  for (const [crv, octets] of [["X25519", 32], ["X448", 56]]) {
    await publicKey({ kty: "OKP", crv, x: b64url(new Uint8Array(octets).fill(0xff, 0, octets - 1)) });
    const jwk = { kty: "OKP", crv, x: b64url(new Uint8Array(octets).fill(0xff)) };
    await assert.rejects(publicKey(jwk), core.Malformed, crv);
  }
  const x = b64url(new Uint8Array(32).fill(0xff));
  await assert.rejects(publicKey({ kty: "EC", crv: "P-256", x, y: b64url(new Uint8Array(32)) }), core.Malformed);
});

test("an encrypted part inside of a message that was passed on is not opened", async () => {
  const inner = "Content-Type: application/vnd.recrypt; name=message.mmx\r\n\r\n{}";
  const one = `From: carol@example.org\r\nContent-Type: message/rfc822\r\n\r\nSubject: old\r\n${inner}\r\n`;
  const two = ["Content-Type: multipart/mixed; boundary=b", "", "--b", "", "See:", "--b",
    "Content-Type: message/rfc822", "", `Subject: old\r\n${inner}`, "--b--", ""].join("\r\n");
  for (const mail of [one, two]) await assert.rejects(sealedPart(utf8(mail)), isKnown);
});

test("a name or an id with what no header may hold does no harm", () => {
  const message = {
    from: { name: "Bob\r\nBcc: x", address: "bob@example.org" }, subject: "a\r\nBcc: x", text: "\ud800", html: null, date: NOW,
    messageId: "<a@b>", inReplyTo: "<a@b>\r\nBcc: x", attachments: [{ name: "\ud800\r\n.txt", type: "x", content: utf8("dig") }],
  };
  const text = new TextDecoder().decode(writeEntity(message, "team@lists.example", 0));
  assert.doesNotMatch(text, /^Bcc/m);
  assert.doesNotMatch(text, /^(?:HP-Outer: )?In-Reply-To/m);
});

// Every value of a document, at any depth, put in another's place.
const ODD = [null, 7, "", "AA", [], {}, [null], true];
function* mutants(value) {
  if (value === null || typeof value !== "object") return;
  for (const name of Object.keys(value)) {
    const put = other => Object.assign(Array.isArray(value) ? [...value] : { ...value }, { [name]: other });
    for (const odd of ODD) yield put(odd);
    for (const inner of mutants(value[name])) yield put(inner);
  }
}

async function refusesOrTakes(step) {
  try {
    await step();
  } catch (problem) {
    assert.ok(isKnown(problem), problem.stack);
  }
}

test("whatever stands where in a copy's envelope, there are words for it", async () => {
  const [device, group] = [await draw("X25519"), await draw("X25519")];
  const sealed = await seal(utf8("Subject: x\r\n\r\nx"), group, "message/rfc822");
  const half = await draw("X25519");
  const inner = await seal(utf8(JSON.stringify(half)), device, null);
  const asJson = each => ({
    protected: each.protected, iv: b64url(each.iv), tag: b64url(each.tag), recipients: each.recipients, ciphertext: b64url(each.ciphertext),
  });
  const recryption = {
    GroupKeyID: group.kid, MemberKeyUDF: half.kid, Split: "sum", Partial: b64url(random(31)) + "A", DecryptionKey: asJson(inner),
  };
  const home = { ...core.emptyHome(), Keys: [device] };
  for (const each of mutants({ ...asJson(sealed), recryption })) {
    const octets = utf8(JSON.stringify(each));
    const mail = join(utf8("Content-Type: application/vnd.recrypt\r\n\r\n"), octets);
    await refusesOrTakes(() => core.openMessage(mail, home, NOW));
  }
});

test("whatever stands where in a profile, there are words for it", async () => {
  const { signed, keys: [master] } = await newProfile("bob@example.org", NOW);
  const stated = JSON.parse(new TextDecoder().decode(unb64url(signed.payload)));
  for (const each of mutants(stated)) {
    const other = await sign("recrypt-profile", each, master);
    await refusesOrTakes(() => verifiedProfile(other));
    await refusesOrTakes(() => verifiedGroupKey({ SignedKey: signed, Master: other }));
  }
});
