// The page of settings: a profile, its copies, lists and devices.

import { createProfile, exportHome, importHome, lists } from "../core/index.js";
import * as home from "../home.js";
import * as devicesPart from "./devices.js";
import * as listsPart from "./lists.js";
import { act, at, on, saveAs } from "./page.js";

async function show() {
  const { profile, hasPassphrase, isLocked } = await home.state();
  at("locked").hidden = !isLocked;
  at("new").hidden = Boolean(profile);
  at("mine").hidden = !profile || isLocked;
  if (isLocked) return;
  const known = await home.read();
  await fill();
  if (!profile) {
    await devicesPart.showAsked(known);
    await suggestAddresses();
    return;
  }
  at("address").textContent = profile.addresses.join(", ");
  at("fingerprint").textContent = profile.fingerprint;
  await Promise.all([listsPart.show(lists(known)), devicesPart.show(known)]);
  at("protection").textContent = hasPassphrase
    ? "Your keys are sealed under a passphrase, which is asked for after each start."
    : "Your keys lie open in Thunderbird's profile: who has this computer has them.";
  at("lock").hidden = !hasPassphrase;
}

// One at a time, and once more if something changed meanwhile.
let showing = Promise.resolve();
const again = () => (showing = showing.then(show, show));

/** Fill in what a click in a mail has brought. */
async function fill() {
  if (document.hidden) return; // the settings may be open more than once
  const { filled } = await messenger.storage.session.get("filled");
  if (!filled) return;
  await messenger.storage.session.remove("filled");
  const form = filled.invitation ? at("join") : at("meet");
  for (const [name, value] of Object.entries(filled)) form.elements[name].value = value;
  form.closest("details")?.setAttribute("open", "");
  form.scrollIntoView({ block: "center" });
}

async function suggestAddresses() {
  const accounts = await messenger.accounts.list(false);
  const found = accounts.flatMap(each => each.identities.map(one => one.email));
  at("addresses").replaceChildren(
    ...[...new Set(found)].map(value => Object.assign(document.createElement("option"), { value })),
  );
  const field = at("create").elements.address;
  field.value ||= found[0] ?? "";
}

on(at("unlock"), async form => {
  await home.unlock(form.get("passphrase"));
  return "Unlocked";
});

on(at("create"), form =>
  home.change(async () => ({
    home: await createProfile(form.get("address").trim()),
    result: "Your profile is made. Now join a list, and keep a copy of your keys.",
  })));

for (const form of document.querySelectorAll("form.import")) {
  on(form, async data => {
    if ((await home.state()).hasPassphrase) {
      throw new Error("Take the passphrase away first, further down; set it again when this is done");
    }
    const file = new Uint8Array(await data.get("file").arrayBuffer());
    return home.change(async known => ({
      home: await importHome(known, file, data.get("passphrase")),
      result: "Taken in",
    }));
  });
}

on(at("export"), async form => {
  await saveAs("recrypt-profile.json", await exportHome(await home.opened(), form.get("passphrase")));
  return "Saved. The copy opens with its passphrase alone: keep both, apart.";
});

on(at("protect"), async form => {
  const passphrase = form.get("passphrase");
  if (passphrase && passphrase.length < 8) throw new Error("A passphrase has 8 letters or more");
  await home.setPassphrase(passphrase);
  return passphrase ? "Your keys are sealed now" : "Your keys aren't sealed any more";
});

at("lock").addEventListener("click", () => act(at("lock"), async () => {
  await home.lock();
  return "Locked";
}));

document.addEventListener("visibilitychange", fill);
listsPart.begin();
devicesPart.begin();
messenger.storage.onChanged.addListener(again);
messenger.permissions.onAdded.addListener(again);
window.addEventListener("recrypt-changed", again);
await again();
