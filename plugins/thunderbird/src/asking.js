// How a script in a mail or in an editor asks the extension for something.

const TRIES = 20;
const PAUSE = 250; // milliseconds

/** Ask, and again if nobody listens yet: at Thunderbird's start a mail may be there before we are. */
export async function ask(what) {
  for (let tries = 1; ; tries++) {
    try {
      return await messenger.runtime.sendMessage(what);
    } catch (problem) {
      if (tries === TRIES || !/receiving end|connection/i.test(String(problem))) throw problem;
      await new Promise(again => setTimeout(again, PAUSE));
    }
  }
}
