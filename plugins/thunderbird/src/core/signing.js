// Signed documents: a JWS with one signature, whose kind is never read as another (spec §4).

import { Malformed, NotAuthentic } from "./errors.js";
import * as keys from "./keys.js";
import { b64url, readJson, unb64url, utf8, writeJson } from "./octets.js";

/** Sign a document, or its octets, with a private key. */
export async function sign(kind, payload, key, more = {}) {
  const header = b64url(writeJson({ alg: "EdDSA", kid: key.kid, typ: kind, ...more }));
  const body = b64url(payload instanceof Uint8Array ? payload : writeJson(payload));
  const signature = b64url(await keys.sign(key, utf8(`${header}.${body}`)));
  return { payload: body, protected: header, signature };
}

/** Read whose key says to have signed a document of this kind. */
export function signerOf(kind, jws) {
  const { alg, kid, typ } = readJson(unb64url(jws.protected));
  if (alg !== "EdDSA" || typ !== kind) throw new Malformed(`not a signed document of the kind ${kind}`);
  return kid;
}

/** Read a payload only to find the key that it must be signed by. */
export const unverified = jws => readJson(unb64url(jws?.payload));

/** Check that one of these public keys has signed a document; give its payload. */
export async function verify(kind, jws, candidates) {
  const kid = signerOf(kind, jws);
  const stated = candidates.find(each => each.kid === kid);
  if (!stated) throw new NotAuthentic("signed by another key");
  await keys.verify(await keys.namedKey(stated), unb64url(jws.signature), utf8(`${jws.protected}.${jws.payload}`));
  return readJson(unb64url(jws.payload));
}

export const compact = jws => `${jws.protected}.${jws.payload}.${jws.signature}`;

export function readCompact(text) {
  const [header, payload, signature, ...more] = text.split(".");
  if (signature === undefined || more.length) throw new Malformed("no compact JWS");
  return { protected: header, payload, signature };
}
