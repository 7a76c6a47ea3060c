// What a member asks of a list's service: which mail it wants, and that a newer profile counts (spec §6).

import { Malformed, ServiceProblem } from "./errors.js";
import { ownProfile, pinOf, signingKey } from "./home.js";
import { askSigned } from "./service.js";

const UNKNOWN_KEY = "signed by a key that is unknown here"; // the service's words to a stranger
const [NOT_AUTHENTIC, FORBIDDEN] = [401, 403];

/** Ask with a signature, of a known list. */
const asked = (list, name, members, home, { key, now }) =>
  askSigned(pinOf(home, list).Service, name, members, { key, now });

/** Tell whether one is an ACTIVE member; null if nobody there knows who signs. */
async function standing(list, home, signer) {
  const members = { GroupID: pinOf(home, list).Identifier, MemberUDF: ownProfile(home).Identifier };
  try {
    await asked(list, "GetEntry", members, home, signer);
    return true;
  } catch (problem) {
    if (problem instanceof ServiceProblem && problem.status === FORBIDDEN) return false;
    if (problem.status === NOT_AUTHENTIC && problem.message.includes(UNKNOWN_KEY)) return null;
    throw problem;
  }
}

/**
 * Say which mail of a list one wants: on, paused or left; it counts at once. Tells whether one is an ACTIVE member.
 *
 * The service answers a stranger alike, so it is asked first who one is.
 */
export async function setMail(list, wanted, home, now = new Date()) {
  const signer = { key: signingKey(home), now };
  const isActive = await standing(list, home, signer);
  if (isActive === null) throw new Malformed(`The server doesn't know you as a member of ${list}`);
  if (wanted === "left") await checkMayLeave(list, home, signer);
  await asked(list, "SetMail", { GroupName: list, Profile: home.Profile, Mail: wanted }, home, signer);
  return isActive;
}

// Who administers a list has its private keys: they are to be changed when that one goes.
async function checkMayLeave(list, home, signer) {
  try {
    await asked(list, "GetGroup", { GroupID: pinOf(home, list).Identifier, Limit: 1 }, home, signer);
  } catch (problem) {
    if (problem instanceof ServiceProblem && problem.status) return;
    throw problem;
  }
  throw new Malformed(`You administer ${list}: another administrator removes you. Until then you can have no mail of it`);
}

/**
 * Send the profile, as it is now, to a list's service, unless nobody there knows who signs.
 *
 * Such a one only writes to the list, and needn't tell its service any address.
 * @returns {Promise<boolean>} whether it knows it now
 */
export async function publish(list, home, now = new Date()) {
  const { Identifier } = ownProfile(home);
  const key = home.Keys.find(each => each.kid === Identifier) ?? signingKey(home);
  if ((await standing(list, home, { key, now })) === null) return false;
  await asked(list, "UpdateProfile", { Profile: home.Profile }, home, { key: signingKey(home), now });
  if ((await standing(list, home, { key, now })) === null) throw new Malformed(`The server of ${list} didn't keep your profile`);
  return true;
}
