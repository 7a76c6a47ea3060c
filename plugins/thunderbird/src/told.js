// What a person is told of one tab: the label at Thunderbird's own button, and the words behind it.
//
// It stands outside of any message, so that no message can say it in our place.

const ACTIONS = { mail: "messageDisplayAction", messageDisplay: "messageDisplayAction", messageCompose: "composeAction" };

const key = tabId => `told:${tabId}`;

/**
 * Set what a tab's button says.
 * @param tab the tab
 * @param told {label, words: [line], isWarning}; none takes it away
 */
export async function tell(tab, told) {
  const tabId = tab.id;
  if (JSON.stringify(await toldOf(tabId)) === JSON.stringify(told ?? null)) return;
  const action = messenger[ACTIONS[tab.type] ?? "messageDisplayAction"];
  await messenger.storage.session.set({ [key(tabId)]: told ?? null });
  await action.setLabel({ tabId, label: told?.label ?? "Recrypt" });
  await action.setTitle({ tabId, title: told?.words[0] ?? "Recrypt: nothing to tell" });
  await action.setBadgeText({ tabId, text: told?.isWarning ? "!" : null });
}

/** Tell it at once, in front of the person. */
export async function insist(tab, told) {
  await tell(tab, told);
  const action = messenger[ACTIONS[tab.type] ?? "messageDisplayAction"];
  const isShown = await action.openPopup({ windowId: tab.windowId }).catch(() => false);
  if (!isShown) await announce(tab.id, told);
}

/** Tell it in a window of its own, also when the tab has gone. */
export async function announce(tabId, told) {
  await messenger.storage.session.set({ [key(tabId)]: told });
  const url = messenger.runtime.getURL(`told/index.html?tab=${tabId}`);
  await messenger.windows.create({ type: "popup", url, width: 480, height: 280 });
}

/** Give what was told of a tab. */
export async function toldOf(tabId) {
  return (await messenger.storage.session.get(key(tabId)))[key(tabId)] ?? null;
}
