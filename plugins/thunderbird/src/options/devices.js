// Of the settings: one profile on several computers, each with keys of its own (spec §8).

import { addDevice, askAsDevice, devices, publish, readRequest, revokeDevice, takeProfile } from "../core/index.js";
import * as home from "../home.js";
import { mayTalkTo } from "../lists.js";
import { at, button, change, given, isOther, make, on, saveAs, say, table } from "./page.js";

// Whose servers are told; known before a click, as only the click itself may ask for consent.
let services = [];

const written = value => new TextEncoder().encode(`${JSON.stringify(value)}\n`);

/** Show the devices of the profile, and which lists don't know of the latest yet. */
export async function show(known) {
  services = known.Pins.map(each => each.Service);
  const found = await devices(known);
  at("profile").value = JSON.stringify(known.Profile);
  if (!isOther("devices", [found, known.Untold])) return;
  const rows = found.map(({ code, isHere }) => ({
    name: code,
    cells: [
      [make("code", code), isHere ? " (this one)" : ""],
      [button("Take away…", () => revoke(code), `Yes, take ${code} away`)],
    ],
  }));
  at("devices").replaceChildren(table(["Device", ""], rows));
  const lists = known.Untold ?? [];
  at("untold").replaceChildren(...(lists.length ? [make("p", `Not told of your devices yet: ${lists.join(", ")}. `, tellButton())] : []));
}

const tellButton = () => button("Tell them", () => withConsent(async () => {}));

/** Show what a device asks that has no profile yet. */
export async function showAsked(known) {
  at("asked").hidden = !known.Asked;
  if (!known.Asked) return;
  at("code").textContent = (await askAsDevice(known)).code;
  at("request").value = JSON.stringify(known.Asked);
}

async function withConsent(step) {
  if (services.length) await mayTalkTo(...services);
  await step();
  return tellAll();
}

async function revoke(code) {
  const told = await withConsent(() => change(known => revokeDevice(known, code, new Date())));
  return `${code} is none of your devices any more; it reads on until administrators have taken that in. ${told}`;
}

/** Tell every list that lacks the newest profile; say which. */
async function tellAll() {
  const known = await home.opened();
  const found = await Promise.all((known.Untold ?? []).map(async list => {
    try {
      return { list, isKnown: await publish(list, known) };
    } catch (problem) {
      return { list, problem };
    }
  }));
  const missed = found.filter(each => each.problem);
  const left = missed.map(each => each.list);
  await home.change(async now => ({ home: { ...now, Untold: left.length ? left : null } }));
  const told = found.filter(each => each.isKnown).map(each => each.list);
  return [
    told.length ? `Told: ${told.join(", ")}.` : "",
    ...missed.map(({ list, problem }) => `${list} WASN'T TOLD: ${problem.message}.`),
    "Now save your profile, and take it in on your other devices.",
  ].filter(Boolean).join(" ");
}

/** Let a person add a device, or be one. */
export function begin() {
  on(at("become"), async () => {
    await change(async known => (await askAsDevice(known)).home);
    return "Bring the request to where your profile is, and compare the code there.";
  });
  at("save-request").addEventListener("click", async () => saveAs("recrypt-device.json", written((await home.read()).Asked)));
  at("save-profile").addEventListener("click", async () => {
    await saveAs("recrypt-profile-public.json", written((await home.read()).Profile));
    say("Saved: it has no private keys in it.");
  });
  for (const form of document.querySelectorAll("form.profile")) {
    on(form, async data => {
      const octets = await given(data);
      await change(known => takeProfile(known, octets));
      const { profile } = await home.state();
      return `Your profile is here. Its fingerprint is ${profile.fingerprint}: compare it with the other device's.`;
    });
  }
  on(at("add"), async data => {
    const device = await readRequest(await given(data));
    at("compare").replaceChildren(
      make("p", "Does the new device show this code? ", make("code", device.code)),
      button("Yes, add it", () => add(device)),
      button("No", async () => {
        at("compare").replaceChildren();
        return "Nothing was changed. Bring the request over once more, by another way.";
      }),
    );
    return "Compare the code";
  });
}

async function add(device) {
  const told = await withConsent(() => change(known => addDevice(known, device, new Date())));
  at("compare").replaceChildren();
  return `${device.code} is a device of yours now; it reads a list once an administrator has taken it in. ${told}`;
}
