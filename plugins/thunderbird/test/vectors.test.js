// The project's vectors, which neither implementation has made (tests/vectors/README.md).

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";
import { emptyHome, importHome, who } from "../src/core/index.js";
import { codeOf, readRequest } from "../src/core/devices.js";
import { candidates } from "../src/core/fields.js";
import { exchange, fingerprint, keyAt, publicKey } from "../src/core/keys.js";
import { b64url, unb64url, utf8 } from "../src/core/octets.js";

const vectors = async name =>
  JSON.parse(await readFile(new URL(`../../../tests/vectors/${name}.json`, import.meta.url), "utf8"));

for (const [at, each] of (await vectors("agreement")).entries()) {
  test(`agreement ${at}: ${each.alg} ${each.split} gives Z`, async () => {
    const { alg, split, decryption, ephemeral, partial, own, Z } = each;
    const mine = await exchange(decryption, ephemeral);
    assert.equal(b64url(mine), own);
    const found = split === "product"
      ? [await exchange(decryption, await publicKey(keyAt(alg, unb64url(partial))))]
      : candidates(alg, unb64url(partial), mine);
    assert.deepEqual(found.map(b64url).sort(), each.candidates.toSorted());
    assert.ok(found.map(b64url).includes(Z));
  });
}

for (const each of await vectors("udf")) {
  test(`a fingerprint of ${each.content_type ?? each.jwk.crv}`, async () => {
    const found = each.jwk
      ? (await publicKey(each.jwk)).kid
      : await fingerprint(each.content_type, utf8(each.data));
    const plain = text => text.replaceAll("-", "");
    assert.ok(plain(found).startsWith(plain(each.udf)));
  });
}

test("an export opens with its passphrase, in whatever form it is typed", async () => {
  const { passphrase, file, plaintext } = await vectors("profile-export");
  const home = await importHome(emptyHome(), utf8(JSON.stringify(file)), passphrase);
  assert.deepEqual(home.Keys, plaintext.Keys);
  assert.deepEqual(home.Pins, plaintext.Pins);
  assert.equal(who(home).addresses.length, 1);
  await assert.rejects(importHome(emptyHome(), utf8(JSON.stringify(file)), "another"), /doesn't open/);
});

for (const [at, { request, code, code_without_signature_key: alone }] of (await vectors("device-request")).entries()) {
  test(`device ${at}: its code is the one that the other implementation shows`, async () => {
    const device = await readRequest(utf8(JSON.stringify(request)));
    assert.equal(device.code, code);
    assert.equal(await codeOf({ encryption: device.encryption }), alone);
    await assert.rejects(readRequest(utf8(JSON.stringify({ ...request, DeviceVersion: 2 }))));
    await assert.rejects(readRequest(utf8(JSON.stringify({ ...request, SignatureKey: request.EncryptionKey }))));
  });
}
