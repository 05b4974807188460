// The list of conversations: one row each, changed in place so that focus and reading position stay.
import { drawAvatar } from "/assets/avatar.js";
import { fullTimeWords, personName, profileTone, profileWords, timeWords } from "/assets/words.js";

const list = document.getElementById("list");
/** Rows by conversation id. */
const rows = new Map();
/** How long a change stays visible. */
const freshMs = 2600;

/** Shows `conversations` in their order. `open` is called with the conversation whose row is chosen. */
export function drawList(conversations, chosenId, open) {
  const first = rows.size === 0;
  const kept = new Set();
  conversations.forEach((conversation, index) => {
    kept.add(conversation.id);
    let row = rows.get(conversation.id);
    if (row === undefined) {
      row = createRow(open);
      rows.set(conversation.id, row);
      if (!first) markFresh(row.item);
    }
    fillRow(row, conversation, conversation.id === chosenId);
    if (list.children[index] !== row.item) moveTo(row, index);
  });
  for (const [id, row] of rows) {
    if (kept.has(id)) continue;
    row.item.remove();
    rows.delete(id);
  }
}

/** Arrow keys, Home and End walk the list. */
list.addEventListener("keydown", (event) => {
  const buttons = [...list.querySelectorAll("button")];
  const at = buttons.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
  if (to === undefined || at === -1) return;
  event.preventDefault();
  buttons[Math.max(0, Math.min(buttons.length - 1, to))].focus();
});

export function focusRow(id) {
  rows.get(id)?.button.focus();
}

function createRow(open) {
  const make = (tag, className) => Object.assign(document.createElement(tag), { className });
  const item = make("li", "row");
  const button = Object.assign(make("button", "row-button"), { type: "button" });
  const avatar = make("span", "avatar");
  const name = make("bdi", "name");
  const handle = make("bdi", "handle");
  const time = make("time", "time");
  const state = make("span", "state");
  const badge = make("span", "badge");
  avatar.setAttribute("aria-hidden", "true");
  const who = make("span", "who");
  who.append(name, handle);
  button.append(avatar, who, time, state, badge);
  item.append(button);
  const row = { item, button, avatar, name, handle, time, state, badge, conversation: null };
  button.addEventListener("click", () => open(row.conversation));
  return row;
}

function fillRow(row, conversation, chosen) {
  const before = row.conversation;
  row.conversation = conversation;
  const called = personName(conversation);
  const known = called !== conversation.participantPlatformId;
  const last = new Date(conversation.lastMessageAt);
  put(row.name, called);
  row.name.classList.toggle("number", !known);
  const username = conversation.participantUsername;
  put(row.handle, username !== null && username !== called ? `@${username}` : "");
  put(row.time, timeWords(last));
  if (row.time.dateTime !== conversation.lastMessageAt) {
    row.time.dateTime = conversation.lastMessageAt;
    row.time.title = fullTimeWords(last);
  }
  put(row.state, profileWords(conversation.profile));
  row.state.dataset.tone = profileTone(conversation.profile.status);
  const unread = conversation.unreadCount;
  put(row.badge, unread === 0 ? "" : unread > 99 ? "99+" : String(unread));
  if (unread > 0) row.badge.setAttribute("aria-label", `${unread} unread`);
  drawAvatar(row.avatar, called, known, conversation.participantProfilePic);
  row.item.classList.toggle("archived", conversation.status === "archived");
  if (chosen) row.button.setAttribute("aria-current", "true");
  else row.button.removeAttribute("aria-current");
  if (before !== null && isNews(before, conversation)) markFresh(row.item);
}

function isNews(before, now) {
  return (
    personName(before) !== personName(now) ||
    before.participantProfilePic !== now.participantProfilePic ||
    before.profile.status !== now.profile.status
  );
}

function markFresh(item) {
  item.classList.remove("fresh");
  // Reading the layout between the two makes the browser start the animation anew.
  void item.offsetWidth;
  item.classList.add("fresh");
  setTimeout(() => item.classList.remove("fresh"), freshMs);
}

function moveTo(row, index) {
  const focused = row.item.contains(document.activeElement);
  list.insertBefore(row.item, list.children[index] ?? null);
  if (focused) row.button.focus({ preventScroll: true });
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
