// The extension's core for a test in Python: one question as JSON on standard input, one answer.

import { readFileSync } from "node:fs";
import * as core from "../../plugins/thunderbird/src/core/index.js";

const { addDevice, askAsDevice, askKey, devices, emptyHome, exportHome, importHome, openMessage, readRequest, revokeDevice, sealMessage, takeProfile } = core;

const octets = text => Uint8Array.from(Buffer.from(text, "base64"));
const text = found => Buffer.from(found).toString("base64");

const ANSWERS = {
  async open({ home, mail, now }) {
    const { list, message, authorship, entity } = await openMessage(octets(mail), home, new Date(now));
    const attachments = message.attachments.map(each => ({ ...each, content: text(each.content) }));
    return { list, message: { ...message, attachments }, authorship, entity: text(entity) };
  },
  async seal({ home, message, list, now }) {
    const attachments = message.attachments.map(each => ({ ...each, content: octets(each.content) }));
    const sealed = await sealMessage({ ...message, attachments }, list, home, await askKey(list, home), new Date(now));
    return { envelope: text(sealed.envelope), messageId: sealed.messageId };
  },
  async export({ home, passphrase, now }) {
    return { file: text(await exportHome(home, passphrase, new Date(now))) };
  },
  async become({ home }) {
    return askAsDevice(home);
  },
  async add({ home, request, now }) {
    const device = await readRequest(Buffer.from(JSON.stringify(request)));
    const added = await addDevice(home, device, new Date(now));
    return { home: added, code: device.code, codes: (await devices(added)).map(each => each.code) };
  },
  async revoke({ home, code, now }) {
    return { home: await revokeDevice(home, code, new Date(now)) };
  },
  async take({ home, profile, now }) {
    const taken = await takeProfile(home, Buffer.from(JSON.stringify(profile)), new Date(now));
    return { home: taken, codes: (await devices(taken)).map(each => each.code) };
  },
  async import({ file, passphrase }) {
    return { home: await importHome(emptyHome(), octets(file), passphrase) };
  },
};

const asked = JSON.parse(readFileSync(0, "utf8"));
const home = { ...emptyHome(), ...asked.home };
console.log(JSON.stringify(await ANSWERS[asked.do]({ ...asked, home })));
