// Made profile-export.json, once: node and hash-wasm 4.13.0, nothing of this project.
// node profile-export.mjs PATH-TO/hash-wasm/dist/index.esm.js > profile-export.json
import crypto from "node:crypto";
import { pathToFileURL } from "node:url";

const { argon2id } = await import(pathToFileURL(process.argv[2]));
const PASSPHRASE = "bicyclette, caf\u00e9 au lait"; // NFC; given below in NFD, as some keyboards type it
const b64 = (octets) => Buffer.from(octets).toString("base64url");
const fixed = (label, length) => crypto.createHash("sha512").update(label).digest().subarray(0, length);

function udf(spki) {
  const inner = crypto.createHash("sha512").update(spki).digest();
  const digest = crypto.createHash("sha512").update("application/pkix-keyinfo:").update(inner).digest();
  let bits = "";
  for (const octet of [0x60, ...digest]) bits += octet.toString(2).padStart(8, "0");
  const letters = bits.slice(0, 150).match(/.{5}/g).map((five) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[parseInt(five, 2)]);
  return letters.join("").match(/.{5}/g).join("-");
}

function key(label, crv) {
  const oid = { Ed25519: "70", X25519: "6e" }[crv];
  const der = Buffer.concat([Buffer.from(`302e020100300506032b65${oid}04220420`, "hex"), fixed(label, 32)]);
  const secret = crypto.createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const open = crypto.createPublicKey(secret);
  const { kty, x, d } = secret.export({ format: "jwk" });
  const kid = udf(open.export({ format: "der", type: "spki" }));
  return { kid, secret, open: { kty, crv, x, kid }, jwk: { kty, crv, x, kid, d } };
}

const [master, online] = ["master", "online"].map((label) => key(label, "Ed25519"));
const [device, group] = ["device", "group"].map((label) => key(label, "X25519"));
const [author, past, half] = ["author", "past", "half"].map((label) => key(label, "X25519").kid);

const protectedHeader = b64(JSON.stringify({ alg: "EdDSA", kid: master.kid, typ: "recrypt-profile" }));
const payload = b64(JSON.stringify({
  Identifier: master.kid,
  MasterSignatureKey: master.open,
  OnlineSignatureKeys: [online.open],
  MasterEscrowKeys: [],
  EncryptionKeys: [device.open],
  Accounts: ["alice@example.org"],
  Updated: "2026-11-22T12:00:00Z",
}));
const signature = b64(crypto.sign(null, Buffer.from(`${protectedHeader}.${payload}`), master.secret));

const plaintext = {
  Exported: "2026-11-23T08:00:00Z",
  Profile: { payload, protected: protectedHeader, signature },
  Keys: [master, online, device, group].map((each) => each.jwk),
  Pins: [{
    GroupName: "team@lists.example",
    Identifier: key("group master", "Ed25519").kid,
    Generation: 2,
    KeyUDF: group.kid,
    PastKeyUDF: [past],
    Service: "https://lists.example",
    Head: { seq: 7, hash: b64(fixed("change 7", 32)) },
    Since: "2026-11-22T12:05:00Z",
  }],
  Contacts: [{ Address: "bob@example.org", Identifier: author, Since: "2026-11-22T13:00:00Z" }],
  Profiles: [{ Identifier: author, Updated: "2026-11-21T09:00:00Z" }],
  Halves: [{ MemberKeyUDF: half, GroupKeyUDF: group.kid }],
};

const salt = fixed("salt", 16), iv = fixed("iv", 12);
const secret = await argon2id({
  password: PASSPHRASE, salt, iterations: 3, parallelism: 4, memorySize: 65536, hashLength: 32, outputType: "binary",
});
const cipher = crypto.createCipheriv("aes-256-gcm", secret, iv);
cipher.setAAD(Buffer.from("recrypt-profile-export"));
const text = JSON.stringify(plaintext);
const ciphertext = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
const file = {
  "recrypt-profile-export": 1,
  kdf: { alg: "argon2id", v: 19, m: 65536, t: 3, p: 4, salt: b64(salt) },
  iv: b64(iv),
  ciphertext: b64(ciphertext),
  tag: b64(cipher.getAuthTag()),
};
console.log(JSON.stringify({ passphrase: PASSPHRASE.normalize("NFD"), key: b64(secret), plaintext, file }, null, 1));
