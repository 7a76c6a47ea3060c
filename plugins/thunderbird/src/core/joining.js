// Coming onto a list: invitations, asking in, and the letter's token (spec §6, Joining, Inviting).

import { Malformed } from "./errors.js";
import { ownProfile, pinOf, signingKey } from "./home.js";
import { b64url, readJson, unb64url, utf8 } from "./octets.js";
import { ask, askSigned, checkedUrl } from "./service.js";
import { sign } from "./signing.js";

const TOKEN = /^[ \t]*Token:[ \t]*([A-Za-z2-7]{26})[ \t]*\r?$/gm;
const LIST = /\brecrypt join (\S+@\S+) --token\b/;

/**
 * Read an invitation, alone or with words around it; anybody may have written it.
 * @returns {{list: string, service: string, identifier: string, secret: string}}
 */
export function readInvitation(text) {
  const token = /(?:recrypt:join\/|^)([A-Za-z0-9_-]{100,960})$/m.exec(text.trim())?.[1];
  if (!token) throw new Malformed("There is no invitation in this: it is the long line of the letter, recrypt:join/…");
  const { InvitationVersion, GroupName, Service, Identifier, Secret } = readJson(unb64url(token));
  const isText = [GroupName, Service, Identifier].every(each => typeof each === "string");
  if (InvitationVersion !== 1 || !isText || unb64url(Secret).length !== 32) throw new Malformed("This is no invitation that is understood here");
  return { list: GroupName, service: checkedUrl(Service), identifier: Identifier, secret: Secret };
}

/** Ask in: a letter goes to the profile's first address. */
export async function askIn({ list, secret }, home, now) {
  const { Accounts: [account], Identifier } = ownProfile(home);
  const members = {
    GroupName: list,
    AccountName: account,
    Profile: home.Profile,
    ...(secret ? { Invitation: await proof(secret, Identifier, account) } : {}),
  };
  await askSigned(pinOf(home, list).Service, "JoinGroup", members, { key: signingKey(home), now });
  return account;
}

async function proof(secret, identifier, account) {
  const mac = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", unb64url(secret), mac, false, ["sign"]);
  const stated = utf8(`recrypt-invitation:${identifier}:${account}`);
  return b64url(new Uint8Array(await crypto.subtle.sign("HMAC", key, stated)));
}

/** Find the token in a letter's text, and which list it is of. */
export function tokenIn(text) {
  const found = [...(text ?? "").matchAll(TOKEN)];
  const list = LIST.exec(text ?? "")?.[1];
  return found.length === 1 && list ? { token: found[0][1].toLowerCase(), list } : null;
}

/** Send a token back, signed. */
export async function answer({ token, list }, home) {
  const pin = pinOf(home, list);
  if (!pin) throw new Malformed(`You have asked nothing of ${list} from here`);
  const { Accounts: [account], Identifier } = ownProfile(home);
  const stated = { GroupIdentifier: pin.Identifier, token, AccountName: account, Identifier };
  await ask(pin.Service, "ConfirmJoin", { Answer: await sign("recrypt-join", stated, signingKey(home)) });
}
