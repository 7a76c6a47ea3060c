// Octets and text: strict base64url, UTF-8, JSON.

import { Malformed } from "./errors.js";

const JSON_DEPTH = 16;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export const utf8 = text => encoder.encode(text);

export const latin1 = octets => new TextDecoder("latin1").decode(octets);

export function join(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, each) => sum + each.length, 0));
  let at = 0;
  for (const each of parts) {
    whole.set(each, at);
    at += each.length;
  }
  return whole;
}

/** Write base64, in pieces, as a function takes only so many arguments. */
export function base64(octets) {
  const pieces = [];
  for (let at = 0; at < octets.length; at += 0x8000) {
    pieces.push(String.fromCharCode(...octets.subarray(at, at + 0x8000)));
  }
  return btoa(pieces.join(""));
}

export const b64url = octets =>
  base64(octets).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

/** Read base64url without padding or white space, whose unused bits are zero (RFC 7515). */
export function unb64url(text) {
  if (typeof text !== "string" || !/^[A-Za-z0-9_-]*$/.test(text)) throw new Malformed("no base64url");
  let octets;
  try {
    octets = Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), each => each.charCodeAt(0));
  } catch {
    throw new Malformed("no base64url");
  }
  if (b64url(octets) !== text) throw new Malformed("base64url of another form");
  return octets;
}

/** Read an object of UTF-8, in which no member comes twice. */
export function readJson(octets) {
  let text;
  let read;
  try {
    text = decoder.decode(octets);
    read = JSON.parse(text);
  } catch {
    throw new Malformed("no JSON object");
  }
  if (read === null || typeof read !== "object" || Array.isArray(read)) throw new Malformed("no JSON object");
  checkNames(text);
  return read;
}

// Of what has been found to be JSON; JSON.parse takes the last of two members, and others the first.
function checkNames(text) {
  const open = [];
  let name = "";
  for (const [token] of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]:]/g)) {
    if (token === "{" || token === "[") open.push(new Set());
    else if (token === "}" || token === "]") open.pop();
    else if (token !== ":") name = token;
    else if (open.at(-1).size === open.at(-1).add(JSON.parse(name)).size) throw new Malformed("a JSON member that comes twice");
    if (open.length > JSON_DEPTH) throw new Malformed("JSON that is nested too deep");
  }
}

export const writeJson = value => utf8(JSON.stringify(value));

export const random = count => crypto.getRandomValues(new Uint8Array(count));

export const digest = async (name, octets) => new Uint8Array(await crypto.subtle.digest(name, octets));

export const sha256 = octets => digest("SHA-256", octets);

/** A time as documents have it: RFC 3339, UTC, whole seconds. */
export const time = now => now.toISOString().replace(/\.\d+Z$/, "Z");

export const seconds = now => Math.floor(now.getTime() / 1000);
