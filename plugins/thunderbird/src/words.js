// Every word that people read, but for those of the pages.

export const size = octets =>
  octets < 1024 ? `${octets} bytes` : octets < 2 ** 20 ? `${Math.ceil(octets / 1024)} KB` : `${(octets / 2 ** 20).toFixed(1)} MB`;

/** Take out what has a line say something else than it reads: controls, and changes of direction. */
// eslint-disable-next-line no-control-regex
export const line = text => String(text ?? "").replace(/[\x00-\x1f\x7f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, " ");

export const when = date => (date ? new Date(date).toLocaleString() : "not said");

export const about = (list, fingerprint) =>
  list ? `Encrypted to ${line(list)} (${fingerprint})` : "Encrypted to a list that isn't known here, whatever the mail says";

/** Say what a letter invites to: anybody can write one. */
export const invitedWords = ({ list, service }, token) => ({
  kind: "invited",
  author: { state: "unproven", label: "Invitation", words: `An invitation to the list ${line(list)}` },
  sealed: `at ${line(service)}. Do you know who sent it? The button does what the letter has you run.`,
  warnings: [],
  buttons: [{ words: "Join this list…", act: { do: "join", token } }],
});

/** Say of a letter how it came. */
export const letterWords = hasButton =>
  `Sealed to you alone.${hasButton ? " The button does what the letter has you run." : ""}`;

/** Say who wrote a message, as far as that is proven (spec §7). */
export function authorWords(authorship) {
  switch (authorship.state) {
    case "signed":
      return {
        state: authorship.other ? "bad" : "signed",
        label: authorship.other ? "ANOTHER AUTHOR" : `Signed: ${line(authorship.address).slice(0, 60)}`,
        words: signedWords(authorship),
      };
    case "unsigned":
      return { state: "unproven", label: "Not signed", words: `Says: ${line(authorship.says || "nobody")}, not proven` };
    default:
      return { state: "bad", label: "BAD SIGNATURE", words: `BAD SIGNATURE: ${authorship.reason}` };
  }
}

function signedWords({ name, address, since, other, says }) {
  const who = name ? `${name} <${address}>` : address;
  if (other) return `Signed by somebody who says ${line(who)}, BUT THAT ADDRESS WAS ANOTHER'S UNTIL NOW (${other})`;
  const known = since ? `known to you since ${new Date(since).toLocaleDateString()}` : "seen for the first time";
  return `Signed by ${line(who)}, ${known}${says ? `; but From says ${line(says)}` : ""}`;
}

/** Say what went wrong: our errors have words for people. */
export const problemWords = problem => problem?.message || "Something went wrong that has no words here";

/** The line before what is quoted. */
export const quoteWords = (from, date) => `On ${when(date)}, ${from} wrote:`;

/** What stands outside of the envelope, in place of what was written (spec §7). */
export function outside(list, from, isPlainText) {
  const notice = `This message is encrypted for the members of ${list}.`;
  const body = `<!DOCTYPE html><html><body><p>${notice}</p></body></html>`;
  // No names, as nobody on the way has to know them.
  return { from, to: [list], subject: "[...]", ...(isPlainText ? { plainTextBody: `${notice}\n` } : { body }) };
}

/** A passage about a key that ends soon (spec §8). */
const ending = (until, now = new Date()) =>
  until && Date.parse(until) - now < 14 * 24 * 3600 * 1000
    ? [`Its key is good until ${new Date(until).toLocaleDateString()} only: tell its administrator.`]
    : [];

/** Say that its person hasn't agreed yet, as with a profile from another computer. */
export const notAllowed = (list, service) =>
  `Recrypt may not ask ${service} for the key of ${list} yet. In its settings, beside the list, press “Allow…”`;

/** Say why a message stays here. */
export const notSent = problem => ({
  label: "Not sent",
  isWarning: true,
  words: ["Not sent", problemWords(problem)],
});

/** Say in a window where a message is written what will become of it. */
export function writing(target) {
  switch (target.kind) {
    case "list":
      return {
        // Short: the other buttons stand beside it.
        label: `Will be encrypted to ${target.list.split("@")[0].slice(0, 24)}`,
        words: [
          `Will be encrypted to ${target.list}`,
          `Its fingerprint is ${target.fingerprint}.`,
          ...ending(target.until),
          "Text, subject and attachments are sealed when you send. Drafts are not saved, as they would lie unencrypted at your mail server.",
        ],
      };
    case "mixed":
      return {
        label: "Can't be sent so",
        isWarning: true,
        words: [
          `${target.list} alone, please`,
          `This message goes to ${target.list} and to ${target.others.join(", ")}. What is encrypted for a list can't go to others as well: they couldn't read it, and in clear it mustn't go. Take one or the other away.`,
        ],
      };
    case "quoted":
      return {
        label: "Can't be sent so",
        isWarning: true,
        words: [
          `To ${target.list} alone, please`,
          `This answer quotes what was encrypted for ${target.list}. It goes there, or nowhere: write a new message to somebody else.`,
        ],
      };
    case "unknown":
      return {
        label: "Can't be sent so",
        isWarning: true,
        words: [
          `${target.list} isn't known here yet`,
          "What you answer would go to it unencrypted. Open its mail, press “Get to know this list…”, and answer then.",
        ],
      };
    case "closed":
      return {
        label: "Not sent",
        isWarning: true,
        words: [
          "Your message was not sent",
          "What is written to a list isn't saved as a draft, as it would lie unencrypted at your mail server. It is kept here until you close this, but for attachments, which you attach again.",
        ],
        button: { words: "Open it again", act: { do: "reopen" } },
      };
    case "saved":
      return {
        label: "Draft removed",
        isWarning: true,
        words: [
          "Your draft was taken away again",
          "What is for a list isn't saved as a draft at your mail server, where it would lie unencrypted. What you wrote is still in its window.",
        ],
      };
    default:
      return null;
  }
}
