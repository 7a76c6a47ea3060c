// Made device-request.json, once: node, nothing of this project.
// node device-request.mjs > device-request.json
import crypto from "node:crypto";

const sha512 = (...parts) => parts.reduce((hash, part) => hash.update(part), crypto.createHash("sha512")).digest();

function udf(contentType, data) {
  const digest = sha512(`${contentType}:`, sha512(data));
  let bits = "";
  for (const octet of [0x60, ...digest]) bits += octet.toString(2).padStart(8, "0");
  const letters = bits.slice(0, 150).match(/.{5}/g).map((five) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[parseInt(five, 2)]);
  return letters.join("").match(/.{5}/g).join("-");
}

function key(label, crv) {
  const secret = crypto.createHash("sha512").update(label).digest().subarray(0, 32);
  const oid = { Ed25519: "70", X25519: "6e" }[crv];
  const der = Buffer.concat([Buffer.from(`302e020100300506032b65${oid}04220420`, "hex"), secret]);
  const open = crypto.createPublicKey(crypto.createPrivateKey({ key: der, format: "der", type: "pkcs8" }));
  const { kty, x } = open.export({ format: "jwk" });
  const kid = udf("application/pkix-keyinfo", open.export({ format: "der", type: "spki" }));
  return { kty, crv, x, kid };
}

const code = (...udfs) => udf("application/vnd.recrypt.device", udfs.join(":")).slice(0, 23);
const cases = ["phone", "laptop", "tablet"].map((name) => {
  const encryption = key(`${name} encryption`, "X25519");
  const signature = key(`${name} signature`, "Ed25519");
  return {
    request: { DeviceVersion: 1, EncryptionKey: encryption, SignatureKey: signature },
    code: code(encryption.kid, signature.kid),
    code_without_signature_key: code(encryption.kid, ""),
  };
});
console.log(JSON.stringify(cases, null, 1));
