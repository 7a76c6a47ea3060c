// What a person does and sees in Thunderbird, by the hand of a test. Each step gives what JSON can
// hold. Whatever isn't there yet is asked for again, up to a bound.

const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const { ExtensionPermissions } = ChromeUtils.importESModule("resource://gre/modules/ExtensionPermissions.sys.mjs");
const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");

const PATIENCE = 20_000;
const EXTENSION = "thunderbird@recrypt.invalid";

async function until(ask, what) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const found = await ask();
    if (found) return found;
    if (Date.now() > end) throw new Error(`never came: ${what()}`);
    await new Promise(again => setTimeout(again, 50));
  }
}

const main = () => Services.wm.getMostRecentWindow("mail:3pane");
const writing = () => Services.wm.getMostRecentWindow("msgcompose");
const tabs = () => main().document.getElementById("tabmail");
const account = () => MailServices.accounts.accounts.find(each => each.incomingServer.type === "imap");
const server = () => account().incomingServer;
const inbox = () => server().rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
const pane = () => tabs().currentAboutMessage?.getMessagePaneBrowser()?.contentDocument;
const settingsUrl = () => WebExtensionPolicy.getByID(EXTENSION).getURL("options/index.html");
const areSettings = tab => tab.browser?.currentURI?.spec.startsWith(settingsUrl());
const settingsTab = () => [...tabs().tabInfo, tabs().currentTabInfo].findLast(areSettings);
const files = () => [...writing().gAttachmentBucket.itemChildren].map(each => each.attachment.name);
const textOf = page => page?.body?.innerText ?? "";
const buttonIn = (page, words) => [...page.querySelectorAll("button")].find(each => each.textContent.includes(words));

// The page of settings runs in another process; this is sent there.
function inSettings([todo, at, value]) {
  const page = content.document;
  const found = at && page.querySelector(at);
  found?.closest("details")?.setAttribute("open", "");
  found?.scrollIntoView({ block: "center" });
  if (todo === "fill") found.value = value;
  if (todo === "value") return found?.value ?? "";
  const inside = () => [...found.querySelectorAll("button")].find(each => each.textContent.includes(value));
  if (todo === "click" || todo === "press") {
    const byHand = content.windowUtils.setHandlingUserInput(true);
    (todo === "click" ? found : inside()).click();
    byHand.destruct();
  }
  if (todo === "file") {
    const moved = new content.DataTransfer();
    moved.items.add(new content.File([value], "file.json", { type: "application/json" }));
    found.files = moved.files;
  }
  return page.body?.innerText ?? "";
}

async function inTab(browser, words) {
  const manager = browser.messageManager;
  const name = `answer:${Math.random()}`;
  const answer = new Promise(heard => manager.addMessageListener(name, ({ data }) => heard(data)));
  const code = `try { sendAsyncMessage("${name}", (${inSettings})(${JSON.stringify(words)})); }
    catch (problem) { sendAsyncMessage("${name}", "problem: " + problem); }`;
  manager.loadFrameScript(`data:,${encodeURIComponent(code)}`, false);
  // A page that is just being closed doesn't answer.
  return Promise.race([answer, new Promise(silence => setTimeout(silence, 2000, ""))]);
}

async function picture(window) {
  const { innerWidth, innerHeight } = window;
  const rect = new window.DOMRect(0, 0, innerWidth, innerHeight);
  const shown = await window.browsingContext.currentWindowGlobal.drawSnapshot(rect, 1, "white");
  const canvas = new window.OffscreenCanvas(innerWidth, innerHeight);
  canvas.getContext("2d").drawImage(shown, 0, 0);
  const octets = new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer());
  return window.btoa(Array.from(octets, each => String.fromCharCode(each)).join(""));
}

const steps = {
  /** Know the password of the post box. */
  async password(word) {
    const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
    login.init("imap://127.0.0.1", null, "imap://127.0.0.1", "bob", word, "", "");
    await Services.logins.addLoginAsync(login);
  },

  /** Click on a mail when it has come; give what its pane says as soon as it says the words. */
  async show(messageId, words) {
    tabs().switchToTab(0);
    const list = tabs().currentAbout3Pane;
    const row = await until(() => {
      if (!inbox()) return server().performExpand(null), null;
      if (list.gFolder !== inbox()) return list.displayFolder(inbox().URI), null;
      for (let each = 0; each < (list.gDBView?.rowCount ?? 0); each++) {
        if (list.gDBView.getMsgHdrAt(each).messageId === messageId) return { each };
      }
      return inbox().updateFolder(null), null;
    }, () => `the mail ${messageId}`);
    const before = pane();
    const isOther = tabs().currentAboutMessage?.gMessage?.messageId !== messageId;
    list.threadTree.selectedIndex = row.each;
    await until(
      () => !(isOther && pane() === before) && textOf(pane()).includes(words),
      () => `${words} in: ${textOf(pane())}`,
    );
    return textOf(pane());
  },

  /** Select all that the pane shows. */
  select: () => pane().defaultView.getSelection().selectAllChildren(pane().body),

  /** Tell whether our bar is to be seen, and of its own colours. */
  isBarShown() {
    const { display, visibility, opacity } = pane().defaultView.getComputedStyle(pane().querySelector(".recrypt-bar"));
    return display === "flex" && visibility === "visible" && opacity === "1";
  },

  /** Give the markup of the pane. */
  markup: () => pane().documentElement.outerHTML,

  /** Click a button in the pane; give what the pane says then. */
  async click(words, answer) {
    buttonIn(pane(), words).click();
    await until(() => textOf(pane()).includes(answer), () => `${answer} in: ${textOf(pane())}`);
    return textOf(pane());
  },

  /** Give the label at the extension's own button above a mail. */
  label: () => tabs().currentAboutMessage.document.querySelector("[id*='messageDisplayAction']").label,

  /** Open the page of settings; give what it says as soon as it says the words. */
  async settings(words) {
    if (!settingsTab()) tabs().openTab("contentTab", { url: settingsUrl(), linkHandler: "single-page" });
    let said;
    await until(async () => {
      const tab = settingsTab();
      if (!tab) return false;
      if (tab !== tabs().currentTabInfo) tabs().switchToTab(tab);
      said = await inTab(tab.browser, ["look"]);
      return said.includes(words);
    }, () => `${words} in: ${said}`);
    return said;
  },

  /** Wait for the page of settings that a click has opened, with something filled in. */
  async opened(at, what) {
    const isShown = () => settingsTab() && settingsTab() === tabs().currentTabInfo;
    let value;
    await until(async () => {
      value = isShown() && (await inTab(settingsTab().browser, ["value", at]));
      return value && value.includes(what);
    }, () => `${what} in ${value}`);
  },

  /** Do something on the page of settings that is open. */
  async set(todo, at, value) {
    const found = await inTab(tabs().currentTabInfo.browser, [todo, at, value]);
    if (found.startsWith("problem:")) throw new Error(found);
    return found;
  },

  /** Take back what Bob has allowed: as it is on a computer to which he brought his profile. */
  async disallow() {
    const { extension } = WebExtensionPolicy.getByID(EXTENSION);
    await ExtensionPermissions.remove(EXTENSION, { permissions: [], origins: ["http://127.0.0.1/*"] }, extension);
  },

  /** Write with formatting, as Thunderbird has it unless told otherwise, or without. */
  formatted: isFormatted => Services.prefs.setBoolPref("mail.identity.id1.compose_html", isFormatted),

  /** Have all in dark colours, or not. */
  dark(isDark) {
    Services.prefs.setIntPref("ui.systemUsesDarkTheme", isDark ? 1 : 0);
    Services.prefs.setIntPref("layout.css.prefers-color-scheme.content-override", isDark ? 0 : 1);
  },

  /** Scroll to something on the page of settings. */
  look_at: at => inTab(tabs().currentTabInfo.browser, ["look", at]),

  /** Begin a message, or an answer to the mail that is shown. */
  async write(kind, fields) {
    if (kind === "new") {
      const params = Cc["@mozilla.org/messengercompose/composeparams;1"].createInstance(Ci.nsIMsgComposeParams);
      params.composeFields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
      Object.assign(params.composeFields, fields);
      params.type = Ci.nsIMsgCompType.New;
      params.format = Ci.nsIMsgCompFormat.PlainText;
      params.identity = account().defaultIdentity;
      MailServices.compose.OpenComposeWindowWithParams(null, params);
    } else {
      main().goDoCommand(kind);
    }
    await until(() => writing()?.composeEditorReady && writing().GetCurrentEditor(), () => "a window to write in");
  },

  /** Type at the beginning. */
  type(words) {
    const editor = writing().GetCurrentEditor();
    editor.beginningOfDocument();
    editor.insertText(words);
  },

  /** Type at the beginning, in bold letters. */
  bold(words) {
    const editor = writing().GetCurrentEditor();
    editor.beginningOfDocument();
    editor.QueryInterface(Ci.nsIHTMLEditor).insertHTML(`<b>${words}</b><br>`);
  },

  /** Attach a file. */
  attach(path) {
    const made = Cc["@mozilla.org/messengercompose/attachment;1"].createInstance(Ci.nsIMsgAttachment);
    made.url = `file://${path}`;
    made.name = path.split("/").pop();
    writing().AddAttachments([made]);
  },

  /** Give all that stands in the window where a message is written, when its button says the words. */
  async written(words) {
    const button = () => writing()?.document.querySelector("[id*='composeAction']");
    await until(() => button()?.label?.includes(words), () => `${words} at the button, which says ${button()?.label}`);
    const { gMsgCompose: message, gContentChanged: isChanged } = writing();
    return {
      to: message.compFields.to,
      references: message.compFields.references,
      subject: writing().document.getElementById("msgSubject").value,
      text: writing().GetCurrentEditor().document.body.innerText,
      isModified: isChanged || message.bodyModified,
      attachments: files(),
    };
  },

  /** Give all that stands in the window as soon as it quotes the words, and nothing of before that. */
  async quoting(words) {
    const text = () => writing().GetCurrentEditor().document.body.innerText;
    await until(() => /^(?!.*wrote:[^]*wrote:)[^]*wrote:/.test(text()) && text().includes(words), () => `${words} in ${text()}`);
    return { to: writing().gMsgCompose.compFields.to, text: text() };
  },

  /** Have it go to somebody else. */
  readdress(to) {
    const row = writing().document.getElementById("addressRowTo");
    row.querySelectorAll("mail-address-pill").forEach(each => each.remove());
    writing().addressRowAddRecipientsArray(row, [to]);
  },

  /** Wait until nothing in it is to be saved. */
  async unmodified() {
    const isModified = () => writing().gContentChanged || writing().gMsgCompose.bodyModified;
    await until(() => !isModified(), () => "a window that needs no saving");
  },

  /** Send it, and wait until the window has gone. */
  async send() {
    const window = writing();
    window.goDoCommand("cmd_sendNow");
    await until(() => window.closed, () => "the end of the window");
  },

  /** Try to send it; give what it is told instead. */
  async refused() {
    writing().goDoCommand("cmd_sendNow");
    return until(told, () => "words");
  },

  /** Let it save by itself, as it does every few minutes. */
  autosave: () => writing().AutoSave(),

  /** Save it as a draft. */
  async save() {
    writing().goDoCommand("cmd_saveAsDraft");
    return until(told, () => "words");
  },

  /** Close the window; nobody asks, but what was typed for a list is offered once more. */
  async discard(isTyped) {
    const window = writing();
    window.close();
    await until(() => window.closed, () => "the end of the window");
    if (!isTyped) return;
    await until(async () => (await told()).includes("was not sent"), () => "an offer");
    tellers().forEach(browser => browser.ownerDocument.defaultView.close());
    await until(() => !tellers().length, () => "the end of the offer");
  },

  /** Give what the small windows say that the extension has opened. */
  told: () => until(told, () => "words"),

  /** Click in such a window. */
  async answer(at) {
    const [browser] = tellers();
    await inTab(browser, ["click", at]);
  },

  /** Close the window, and leave the offer to open it again. */
  async abandon() {
    const window = writing();
    window.close();
    await until(() => window.closed, () => "the end of the window");
    await until(async () => (await told()).includes("was not sent"), () => "an offer");
  },

  /** Try to send it while the server refuses it, and see Thunderbird's own words about it off. */
  async fail() {
    const dialog = () => {
      const windows = [...Services.wm.getEnumerator(null)];
      return windows.map(each => each.document.getElementById("commonDialog")).find(each => each?._buttons);
    };
    writing().goDoCommand("cmd_sendNow");
    await until(dialog, () => "words of Thunderbird's");
    dialog().acceptDialog();
    await until(() => !dialog(), () => "the end of those words");
  },

  /** Give what stands in the window as soon as it has its own subject again, and no sealed part. */
  async restored(subject) {
    await until(() => writing().document.getElementById("msgSubject").value === subject, () => subject);
    await until(() => !files().includes("message.mmx") && files().length, () => `what was attached: ${files()}`);
    return steps.written("Will be encrypted");
  },

  /** Give a picture of a window. */
  picture: which => picture({ writing, told: () => tellers()[0].ownerDocument.defaultView }[which]?.() ?? main()),
};

// The small windows, and panels at a button, that the extension opens to tell something.
function tellers() {
  const windows = [...Services.wm.getEnumerator(null)];
  return windows
    .flatMap(window => [...window.document.querySelectorAll("browser")])
    .filter(browser => browser.currentURI?.spec.includes("/told/"));
}

async function told() {
  const found = await Promise.all(tellers().map(browser => inTab(browser, ["look"])));
  return found.filter(Boolean).join("\n");
}
