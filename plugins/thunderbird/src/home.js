// The home: the profile, its keys, and what is known of lists and authors (spec §8).
//
// It lies in storage.local; with a passphrase its private keys lie there sealed, and opened only in
// storage.session, which is memory. No message, and nothing of one, is ever written to either.

import { emptyHome, exportHome, importHome, who } from "./core/index.js";

/** The keys are sealed, and the passphrase wasn't given since the start. */
export class Locked extends Error {
  constructor() {
    super("Your keys are locked: give your passphrase to read this");
  }
}

/** Give the home as it is; its keys are missing while it is locked. */
export async function read() {
  const { home, sealed } = await messenger.storage.local.get(["home", "sealed"]);
  if (!home) return emptyHome();
  if (!sealed) return home;
  const { keys } = await messenger.storage.session.get("keys");
  return { ...home, Keys: keys ?? null };
}

/** Give the home, which must be open. */
export async function opened() {
  const home = await read();
  if (home.Keys === null) throw new Locked();
  return home;
}

/**
 * Let one at a time change the home, whichever window asks.
 * @param step takes the home, gives the changed one and what else came of it
 */
export function change(step) {
  return navigator.locks.request("home", async () => {
    const before = await opened();
    const { home, result } = await step(before);
    if (home && home !== before) await write(home);
    return result;
  });
}

async function write(home) {
  const { sealed } = await messenger.storage.local.get("sealed");
  if (!sealed) return messenger.storage.local.set({ home });
  const { Keys, ...open } = home; // which don't change while they are sealed
  return messenger.storage.local.set({ home: open });
}

/** Tell whether there is a passphrase, and whether it was given. */
export async function state() {
  const { sealed } = await messenger.storage.local.get("sealed");
  const home = await read();
  return { profile: who(home), hasPassphrase: Boolean(sealed), isLocked: home.Keys === null };
}

/** Seal the private keys under a passphrase; none takes it away. */
export async function setPassphrase(passphrase) {
  return navigator.locks.request("home", async () => {
    const home = await opened();
    const { Keys, ...open } = home;
    if (!passphrase) {
      await messenger.storage.local.set({ home });
      return messenger.storage.local.remove("sealed");
    }
    const alone = { ...emptyHome(), Profile: home.Profile, Keys };
    const sealed = new TextDecoder().decode(await exportHome(alone, passphrase));
    await messenger.storage.session.set({ keys: Keys });
    return messenger.storage.local.set({ home: open, sealed });
  });
}

/** Open the private keys until Thunderbird ends. */
export async function unlock(passphrase) {
  const { sealed } = await messenger.storage.local.get("sealed");
  const { Keys } = await importHome(emptyHome(), new TextEncoder().encode(sealed), passphrase);
  await messenger.storage.session.set({ keys: Keys });
}

/** Forget the opened keys. */
export const lock = () => messenger.storage.session.remove("keys");
