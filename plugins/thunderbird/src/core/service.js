// Calls to a list's service (spec §5, §6).

import { Malformed, ServiceProblem } from "./errors.js";
import { b64url, random, readJson, seconds, writeJson } from "./octets.js";
import { sign } from "./signing.js";

const PATH = "/.well-known/recrypt";
const ANSWER_OCTETS = 4 * 2 ** 20;
const PATIENCE = 30_000; // milliseconds

/** Ask what anybody may ask. */
export const ask = (service, name, members) =>
  call(service, name, "application/json", writeJson({ [`${name}Request`]: members }));

/** Ask with a signature. */
export async function askSigned(service, name, members, { key, now }) {
  const payload = writeJson({ [`${name}Request`]: members });
  const more = { url: service, iat: seconds(now), nonce: b64url(random(16)) };
  const signed = await sign("recrypt-request", payload, key, more);
  return call(service, name, "application/jose+json", writeJson(signed));
}

async function call(service, name, type, body) {
  const answer = await post(checkedUrl(service) + PATH, type, body);
  const found = answer[`${name}Response`];
  if (typeof found?.Status !== "number") throw new ServiceProblem(`${service} doesn't answer as a list's service does`);
  if (found.Status === 201) return found;
  throw new ServiceProblem(`${service} says: ${found.StatusDescription ?? found.Status}`, found.Status);
}

async function post(url, type, body) {
  let octets;
  try {
    const answer = await fetch(url, {
      method: "POST", headers: { "Content-Type": type }, body,
      cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(PATIENCE),
    });
    octets = new Uint8Array(await answer.arrayBuffer());
  } catch {
    throw new ServiceProblem(`${url} can't be reached now: try again later`);
  }
  if (octets.length > ANSWER_OCTETS) throw new ServiceProblem(`${url} answers more than it can have to say`);
  return readJson(octets);
}

/** Take https, and http on this computer alone (spec §6). */
export function checkedUrl(service) {
  const url = URL.canParse(service) ? new URL(service) : null;
  const isHere = ["127.0.0.1", "localhost", "[::1]"].includes(url?.hostname);
  if (url?.protocol === "https:" || (url?.protocol === "http:" && isHere)) return service.replace(/\/$/, "");
  throw new Malformed(`${service} is no address of a list's service: it begins with https`);
}
