// Lists and their servers: which are known, and what is asked of a server (spec §6).

import { askKey, fetchKey, keyTold, lists, ServiceProblem } from "./core/index.js";
import * as home from "./home.js";

const PAUSE = 600_000; // milliseconds
// When each list's server was asked last because of a mail, which anybody may have sent.
const asked = new Map();

// A match pattern has no port.
const pattern = service => {
  const { protocol, hostname } = new URL(service);
  return `${protocol}//${hostname}/*`;
};

/** Let the extension talk to these services, if the person agrees; from a click alone. */
export const mayTalkTo = (...services) =>
  messenger.permissions.request({ origins: [...new Set(services.map(pattern))] });

/** Tell whether it may already. */
export const talksTo = service => messenger.permissions.contains({ origins: [pattern(service)] });

/** Give a known list. */
export async function known(list) {
  return lists(await home.read()).find(each => each.list === list) ?? null;
}

/** Ask a known list's server whether its key is another since, unless it was asked just now. */
export async function renewed(list) {
  if (!(await known(list)) || Date.now() - (asked.get(list) ?? 0) < PAUSE) return false;
  asked.set(list, Date.now());
  try {
    const told = await askKey(list, await home.opened());
    await home.change(async now => ({ home: (await keyTold(list, now, told)).home }));
    return true;
  } catch (problem) {
    if (problem instanceof ServiceProblem) return false;
    throw problem;
  }
}

/** Meet a list that one is on, or writes to; without a fingerprint the first contact is believed. */
export const meet = ({ list, service, identifier }) =>
  home.change(async now => {
    const met = await fetchKey({ list, service, identifier }, now);
    return { home: met.home, result: met.pin };
  });

/** Guess where a list's server is: what a mail says counts only at the list's own domain. */
export function serverOf({ list, url }) {
  const domain = list.split("@")[1];
  const host = url && URL.canParse(url) ? new URL(url).hostname : "";
  return host === domain || host.endsWith(`.${domain}`) ? url : `https://${domain}`;
}
