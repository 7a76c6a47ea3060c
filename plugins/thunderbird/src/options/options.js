// The page of settings: a profile, its copies, and lists.

import { createProfile, exportHome, importHome, lists } from "../core/index.js";
import * as home from "../home.js";
import { invitation, join, mayTalkTo } from "../joining.js";
import { problemWords } from "../words.js";

const at = id => document.getElementById(id);

function say(words, isBad = false) {
  at("said").textContent = words;
  at("said").classList.toggle("bad", isBad);
  at("said").scrollIntoView({ block: "nearest" });
}

/** Let a form do something, and say what came of it. */
function on(form, act) {
  form.addEventListener("submit", async event => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    say("One moment …");
    try {
      say(await act(new FormData(form)));
      form.reset();
    } catch (problem) {
      say(problemWords(problem), true);
    }
    button.disabled = false;
    await show();
  });
}

async function show() {
  const { profile, hasPassphrase, isLocked } = await home.state();
  at("locked").hidden = !isLocked;
  at("new").hidden = Boolean(profile);
  at("mine").hidden = !profile || isLocked;
  if (!profile) return suggestAddresses();
  const known = lists(await home.read());
  at("address").textContent = profile.addresses.join(", ");
  at("fingerprint").textContent = profile.fingerprint;
  at("lists").replaceChildren(known.length ? table(known) : paragraph("None yet."));
  at("protection").textContent = hasPassphrase
    ? "Your keys are sealed under a passphrase, which is asked for after each start."
    : "Your keys lie open in Thunderbird's profile: who has this computer has them.";
  at("lock").hidden = !hasPassphrase;
  return undefined;
}

function paragraph(words) {
  const made = document.createElement("p");
  made.textContent = words;
  return made;
}

function table(known) {
  const made = document.createElement("table");
  made.createTHead().insertRow().append(...["List", "Fingerprint", "Server"].map(heading));
  const rows = made.createTBody();
  for (const { list, fingerprint, service } of known) {
    const row = rows.insertRow();
    row.insertCell().textContent = list;
    row.insertCell().append(Object.assign(document.createElement("code"), { textContent: fingerprint }));
    row.insertCell().textContent = service;
  }
  return made;
}

const heading = words => Object.assign(document.createElement("th"), { textContent: words });

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

on(at("join"), form => {
  const invited = invitation(form.get("invitation"));
  // Asked for before anything else, as Thunderbird lets only a click ask.
  return mayTalkTo(invited.service).then(async isAllowed => {
    if (!isAllowed) return `Without your consent nothing is asked of ${invited.service}.`;
    const { list, account } = await join(invited);
    return `Asked. A letter comes to ${account}: open it here, and say yes. Then an administrator of ${list} decides.`;
  });
});

on(at("export"), async form => {
  const copy = await exportHome(await home.opened(), form.get("passphrase"));
  const url = URL.createObjectURL(new Blob([copy], { type: "application/json" }));
  await messenger.downloads.download({ url, filename: "recrypt-profile.json", saveAs: true });
  return "Saved. The copy opens with its passphrase alone: keep both, apart.";
});

on(at("protect"), async form => {
  const passphrase = form.get("passphrase");
  if (passphrase && passphrase.length < 8) throw new Error("A passphrase has 8 letters or more");
  await home.setPassphrase(passphrase);
  return passphrase ? "Your keys are sealed now" : "Your keys aren't sealed any more";
});

at("lock").addEventListener("click", async () => {
  await home.lock();
});

// Where a letter that invites was clicked on, its invitation stands behind the #.
at("join").elements.invitation.value = decodeURIComponent(location.hash.slice(1));
messenger.storage.onChanged.addListener(show);
await show();
