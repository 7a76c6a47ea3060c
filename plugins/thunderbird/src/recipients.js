// To whom a message is written: to one list alone, to people, or to both, which can't be.

import { lists } from "./core/index.js";
import * as home from "./home.js";

/**
 * Judge the recipients of a message that is being written.
 * @param details Thunderbird's ComposeDetails
 * @returns {Promise<{kind: "people"} | {kind: "list", list: string, fingerprint: string}
 *   | {kind: "mixed", list: string, others: string[]}>}
 */
export async function judge(details) {
  const known = lists(await home.read());
  const written = [...asList(details.to), ...asList(details.cc), ...asList(details.bcc)];
  const addresses = (await Promise.all(written.map(addressesOf))).flat();
  const found = known.find(each => addresses.some(address => isSame(address, each.list)));
  if (!found) return { kind: "people" };
  const { list, fingerprint } = found;
  const others = [...addresses.filter(each => !isSame(each, list)), ...asList(details.newsgroups)];
  return others.length ? { kind: "mixed", list, others } : { kind: "list", list, fingerprint };
}

const asList = each => (each ? [each].flat() : []);

const isSame = (one, other) => one.toLowerCase() === other.toLowerCase();

// An entry of the address book stands for whomever it has: no list of ours is among them.
async function addressesOf(recipient) {
  if (typeof recipient !== "string") return ["an entry of the address book"];
  const found = await messenger.messengerUtilities.parseMailboxString(recipient);
  return found.flatMap(each => each.group ?? [each]).map(each => each.email).filter(Boolean);
}
