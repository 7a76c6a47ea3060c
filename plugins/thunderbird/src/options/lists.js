// Of the settings: the lists that are known, joining one, and which mail of it one wants.

import { setMail } from "../core/index.js";
import * as home from "../home.js";
import { invitation, join } from "../joining.js";
import { mayTalkTo, meet, talksTo } from "../lists.js";
import { at, button, isOther, make, on, table } from "./page.js";

// What is said, as `recrypt leave` and `recrypt mail` say it; the second where one is no ACTIVE member.
const SAID = {
  left: list => [
    `You have left ${list}: nothing more is sent to you. Until an administrator has ended your membership, “Mail again” undoes it.`,
    `You are no active member of ${list} now, so nothing is sent to you anyway. If you are suspended, you have left it.`,
  ],
  paused: list => [
    `${list} sends you nothing until “Mail again”; for what you missed, ask an administrator.`,
    `${list} sends you nothing, and you are no active member of it now anyway.`,
  ],
  on: list => [
    `${list} sends you mail.`,
    `You are no active member of ${list} now: until an administrator lets you back in, it sends you nothing.`,
  ],
};

/** Show the lists. */
export async function show(known) {
  const allowed = await Promise.all(known.map(each => talksTo(each.service)));
  if (!isOther("lists", [known, allowed])) return;
  const rows = known.map((each, index) => ({
    name: each.list,
    cells: [
      [make("strong", each.list), make("br"), make("code", each.fingerprint), make("br"), make("span", each.service)],
      allowed[index] ? actions(each.list) : [allow(each.service)],
    ],
  }));
  at("lists").replaceChildren(rows.length ? table(["List, its fingerprint and server", ""], rows) : make("p", "None yet."));
}

const allow = service => button("Allow to ask its server…", async () => {
  const isAllowed = await mayTalkTo(service);
  window.dispatchEvent(new Event("recrypt-changed"));
  return isAllowed ? "Allowed" : `Without your consent nothing is asked of ${service}.`;
});

function actions(list) {
  const want = wanted => async () => SAID[wanted](list)[(await setMail(list, wanted, await home.opened())) ? 0 : 1];
  return [
    button("No mail for now", want("paused")),
    button("Mail again", want("on")),
    button("Leave…", want("left"), `Yes, leave ${list}`),
  ];
}

/** Let a person join lists, or get to know one. */
export function begin() {
  on(at("join"), form => {
    const invited = invitation(form.get("invitation"));
    // Asked for before anything else, as Thunderbird lets only a click ask.
    return mayTalkTo(invited.service).then(async isAllowed => {
      if (!isAllowed) return `Without your consent nothing is asked of ${invited.service}.`;
      const { list, account } = await join(invited);
      return `Asked. A letter comes to ${account}: open it here, and say yes. Then an administrator of ${list} decides.`;
    });
  });
  on(at("meet"), form => {
    const [list, service, identifier] = ["list", "service", "fingerprint"].map(name => form.get(name).trim());
    return mayTalkTo(service).then(async isAllowed => {
      if (!isAllowed) return `Without your consent nothing is asked of ${service}.`;
      const { Identifier } = await meet({ list: list.toLowerCase(), service, identifier });
      const trust = identifier ? "It is the one that you gave." : "Nobody has proven it: compare it with what the list's administrator says.";
      return `You know ${list} now. Its fingerprint is ${Identifier}. ${trust}`;
    });
  });
}
