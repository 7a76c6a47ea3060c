// To whom a message is written: to one list alone, to people, or to both, which can't be.

import { lists } from "./core/index.js";
import * as home from "./home.js";
import { quoted } from "./marks.js";

/**
 * Judge what is being written in a window: to whom it is, and whose mail it answers.
 * @param details Thunderbird's ComposeDetails
 * @returns {Promise<{kind: "people"} | {kind: "list", list: string, fingerprint: string, until: string|null}
 *   | {kind: "mixed", list: string, others: string[]} | {kind: "quoted" | "unknown", list: string}>}
 */
export async function judge(tabId, details) {
  const [target, quotes] = [await addressed(details), await quoted(tabId)];
  if (!quotes || target.kind === "mixed" || target.list === quotes) return target;
  const isKnown = lists(await home.read()).some(each => each.list === quotes);
  return { kind: isKnown ? "quoted" : "unknown", list: quotes };
}

async function addressed(details) {
  const known = lists(await home.read());
  const addresses = await written(details);
  const found = known.find(each => addresses.some(address => isSame(address, each.list)));
  if (!found) return { kind: "people" };
  const others = [...addresses.filter(each => !isSame(each, found.list)), ...asList(details.newsgroups)];
  return others.length ? { kind: "mixed", list: found.list, others } : { kind: "list", ...found };
}

/** Tell whether an address is among those that a message is written to. */
export const isAmong = async (details, address) => (await written(details)).some(each => isSame(each, address));

const asList = each => (each ? [each].flat() : []);

const isSame = (one, other) => one.toLowerCase() === other.toLowerCase();

async function written(details) {
  const all = [...asList(details.to), ...asList(details.cc), ...asList(details.bcc)];
  return (await Promise.all(all.map(addressesOf))).flat();
}

// An entry of the address book stands for whomever it has: no list of ours is among them.
async function addressesOf(recipient) {
  if (typeof recipient !== "string") return ["an entry of the address book"];
  const found = await messenger.messengerUtilities.parseMailboxString(recipient);
  return found.flatMap(each => each.group ?? [each]).map(each => each.email).filter(Boolean);
}
