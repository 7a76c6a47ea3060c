// Keys as JWKs, their fingerprints, exchanges and signatures (spec §1, §2, §4).
//
// WebCrypto does X25519, P-256 and Ed25519, in constant time. It has no X448 and no Ed448: those are
// noble's, whose authors aim at constant time, as far as JavaScript lets them.

import { ed448, x448 } from "@noble/curves/ed448.js";
import { Malformed, NotAuthentic } from "./errors.js";
import { anyY, checkCoordinate } from "./fields.js";
import { b64url, digest, join, random, unb64url, utf8 } from "./octets.js";

const hex = text => Uint8Array.from(text.match(/../g), each => parseInt(each, 16));

// DER of SubjectPublicKeyInfo, up to the key's own octets (RFC 8410, RFC 5480).
const SPKI = {
  X25519: hex("302a300506032b656e032100"),
  X448: hex("3042300506032b656f033900"),
  Ed25519: hex("302a300506032b6570032100"),
  Ed448: hex("3043300506032b6571033a00"),
  "P-256": hex("3059301306072a8648ce3d020106082a8648ce3d03010703420004"),
};
const LENGTHS = { X25519: 32, X448: 56, Ed25519: 32, Ed448: 57, "P-256": 32 };
const SIGNATURES = ["Ed25519", "Ed448"];
const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** Name data of a content type (spec §2). */
export async function fingerprint(contentType, data) {
  const inner = await digest("SHA-512", data);
  const outer = await digest("SHA-512", join(utf8(`${contentType}:`), inner));
  let number = [0x60, ...outer.subarray(0, 19)].reduce((sum, each) => (sum << 8n) | BigInt(each), 0n);
  let text = "";
  for (let at = 0; at < 32; at++, number >>= 5n) text = BASE32[Number(number & 31n)] + text;
  return text.slice(0, 30).match(/.{5}/g).join("-");
}

/** Give a public key alone, of whose members none is believed but those that are checked here. */
export async function publicKey(jwk) {
  const curve = jwk?.crv;
  if (!Object.hasOwn(LENGTHS, curve ?? "")) throw new Malformed("a key of another kind");
  const isPoint = curve === "P-256";
  const x = unb64url(jwk.x);
  const y = isPoint ? unb64url(jwk.y) : new Uint8Array();
  if (x.length !== LENGTHS[curve] || (isPoint && y.length !== x.length)) throw new Malformed("a key of the wrong length");
  const made = { kty: isPoint ? "EC" : "OKP", crv: curve, x: jwk.x, ...(isPoint ? { y: jwk.y } : {}) };
  for (const each of isPoint ? [x, y] : [x]) if (!SIGNATURES.includes(curve)) checkCoordinate(curve, each);
  if (jwk.kty !== made.kty) throw new Malformed("a key of another kind");
  return { ...made, kid: await fingerprint("application/pkix-keyinfo", join(SPKI[curve], x, y)) };
}

/** Read a public key whose kid must be its fingerprint (spec §4). */
export async function namedKey(jwk) {
  const key = await publicKey(jwk);
  if (key.kid !== jwk.kid) throw new Malformed("a key whose kid is not its fingerprint");
  return key;
}

/** Draw a key: X25519, X448 and P-256 agree, Ed25519 signs. */
export async function draw(curve) {
  if (curve === "X448") {
    const secret = random(56);
    const jwk = { kty: "OKP", crv: curve, x: b64url(x448.getPublicKey(secret)), d: b64url(secret) };
    return { ...(await publicKey(jwk)), d: jwk.d };
  }
  const made = await crypto.subtle.generateKey(algorithm(curve), true, curve === "Ed25519" ? ["sign", "verify"] : ["deriveBits"]);
  const jwk = await crypto.subtle.exportKey("jwk", made.privateKey);
  return { ...(await publicKey(jwk)), d: jwk.d };
}

const algorithm = curve => (curve === "P-256" ? { name: "ECDH", namedCurve: curve } : { name: curve });

const imported = (jwk, usages) =>
  crypto.subtle.importKey("jwk", bare(jwk), algorithm(jwk.crv), false, usages);

const bare = ({ kty, crv, x, y, d }) => ({ kty, crv, x, ...(y ? { y } : {}), ...(d ? { d } : {}) });

/** Do an exchange; a key of another curve, no point of it, or a low-order one is refused. */
export async function exchange(own, other) {
  if (own.crv !== other.crv) throw new Malformed("an exchange between two curves");
  let shared;
  try {
    if (own.crv === "X448") {
      shared = x448.getSharedSecret(unb64url(own.d), unb64url(other.x));
    } else {
      const [mine, theirs] = await Promise.all([imported(own, ["deriveBits"]), imported({ ...other, d: undefined }, [])]);
      shared = new Uint8Array(await crypto.subtle.deriveBits({ ...algorithm(own.crv), public: theirs }, mine, 256));
    }
  } catch {
    throw new Malformed("a key that no exchange is to be done with");
  }
  if (shared.every(each => each === 0)) throw new Malformed("a low-order point");
  return shared;
}

async function checkSigning(jwk, named) {
  const octets = utf8(named.kid);
  let signature;
  try {
    signature = await sign(jwk, octets);
  } catch {
    throw new NotAuthentic("another key than its name says"); // some engines compare the two themselves
  }
  return verify(named, signature, octets);
}

// Points whose exchange with a private key gives its public coordinate.
const BASES = {
  X25519: { kty: "OKP", crv: "X25519", x: b64url(Uint8Array.of(9, ...Array(31).fill(0))) },
  X448: { kty: "OKP", crv: "X448", x: b64url(Uint8Array.of(5, ...Array(55).fill(0))) },
  "P-256": {
    kty: "EC", crv: "P-256",
    x: b64url(hex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296")),
    y: b64url(hex("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")),
  },
};

/** Check that a private key gives the public one that stands beside it, and that this has the name. */
export async function checkPrivate(jwk, kid) {
  const named = await namedKey({ ...jwk, kid });
  if (SIGNATURES.includes(named.crv)) return checkSigning(jwk, named);
  if (b64url(await exchange(jwk, BASES[named.crv])) !== jwk.x) throw new NotAuthentic("another key than its name says");
}

/** Make the public key with a coordinate, which a partial of a product split is (spec §1). */
export function keyAt(curve, x) {
  const jwk = { kty: curve === "P-256" ? "EC" : "OKP", crv: curve, x: b64url(x) };
  return curve === "P-256" ? { ...jwk, y: b64url(anyY(x)) } : jwk;
}

export async function sign(key, octets) {
  if (key.crv === "Ed448") return ed448.sign(octets, unb64url(key.d));
  const own = await imported(key, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("Ed25519", own, octets));
}

/** Check a signature; nothing comes of it but an error. */
export async function verify(key, signature, octets) {
  if (!SIGNATURES.includes(key.crv)) throw new Malformed("no signature key");
  let isGood = false;
  try {
    isGood = key.crv === "Ed448"
      ? ed448.verify(signature, octets, unb64url(key.x))
      : await crypto.subtle.verify("Ed25519", await imported(key, ["verify"]), signature, octets);
  } catch {
    // not good
  }
  if (!isGood) throw new NotAuthentic("a signature that isn't this key's");
}
