// Coming onto a list: asking with an invitation, and sending back the token that the letter brings.

import { confirmJoin, joinGroup, readInvitation } from "./core/index.js";
import * as home from "./home.js";
import { displayed, openOctets, raw } from "./reading.js";

/** Read an invitation as it was pasted, with or without words around it. */
export const invitation = pasted => readInvitation(pasted);

/** Meet the list, hold it against the invitation's fingerprint, and ask in. */
export function join(invited) {
  return home.change(async known => {
    const result = await joinGroup(invited, known);
    return { home: result.home, result };
  });
}

/** Send back the token of the letter that a tab displays. */
export async function confirm(tabId) {
  const { joinToken } = await openOctets(await raw((await displayed(tabId)).id));
  try {
    await confirmJoin(joinToken, await home.opened());
    return { words: "Sent. An administrator decides now; then the list's mail comes to you." };
  } catch (problem) {
    return { words: problem.message };
  }
}
