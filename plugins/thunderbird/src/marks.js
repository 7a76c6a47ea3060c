// Which list's mail a window answers, once it has opened: what was opened goes to that list alone.

const key = tabId => `quotes:${tabId}`;

/** Give the list that is quoted in a window, if one is. */
export async function quoted(tabId) {
  return (await messenger.storage.session.get(key(tabId)))[key(tabId)] ?? null;
}

/** Remember that a window answers what came of a list. */
export const mark = (tabId, list) => messenger.storage.session.set({ [key(tabId)]: list });

/** Forget what a window answered. */
export const forget = tabId => messenger.storage.session.remove(key(tabId));
