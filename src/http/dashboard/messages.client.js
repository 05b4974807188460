// The pane that shows one conversation: who it is with, and what was said.
import { drawAvatar } from "/assets/avatar.js";
import { fullTimeWords, personName, profileWords, timeWords } from "/assets/words.js";

const pane = document.getElementById("detail-pane");
const hint = pane.firstElementChild;
const make = (tag, className, text = "") =>
  Object.assign(document.createElement(tag), { className, textContent: text });
let head = null;
let messages = null;
let drawn = "";

/** Opens the pane for a conversation. `close` and `enrich` are called by its two buttons. */
export function openPane(conversation, { close, enrich }) {
  const avatar = make("span", "avatar");
  avatar.setAttribute("aria-hidden", "true");
  const back = Object.assign(make("button", "back", "←"), { type: "button" });
  back.setAttribute("aria-label", "Back to the list");
  back.addEventListener("click", close);
  const again = Object.assign(make("button", "again", "Look up again"), { type: "button" });
  again.addEventListener("click", async () => {
    again.disabled = true;
    again.textContent = (await enrich()) ? "Asked for" : "Not possible now";
    setTimeout(() => Object.assign(again, { disabled: false, textContent: "Look up again" }), 3000);
  });
  head = { avatar, name: make("bdi", "name"), about: make("p", "about"), bar: make("div", "detail-head") };
  const who = make("div", "who");
  const title = make("h2", "title");
  title.append(head.name);
  who.append(title, head.about);
  head.bar.append(back, avatar, who, again);
  messages = make("ol", "messages");
  messages.tabIndex = 0;
  messages.setAttribute("aria-label", "Messages, oldest first");
  drawn = "";
  pane.replaceChildren(head.bar, messages);
  fillHead(conversation);
}

export function closePane() {
  head = messages = null;
  pane.replaceChildren(hint);
}

export function fillHead(conversation) {
  const called = personName(conversation);
  const known = called !== conversation.participantPlatformId;
  const username = conversation.participantUsername;
  const about = [username === null ? null : `@${username}`, `number ${conversation.participantPlatformId}`];
  head.name.textContent = called;
  head.about.textContent = [...about, profileWords(conversation.profile)].filter(Boolean).join(" · ");
  drawAvatar(head.avatar, called, known, conversation.participantProfilePic);
}

/** Shows a page of messages (latest first, as the API hands them over), the oldest at the top. */
export function fillMessages({ data, nextCursor }) {
  const now = JSON.stringify([data, nextCursor]);
  if (now === drawn) return;
  drawn = now;
  const atEnd = messages.scrollHeight - messages.scrollTop - messages.clientHeight < 40;
  const lines = data.toReversed().map(createLine);
  if (nextCursor !== null)
    lines.unshift(make("li", "note", `The latest ${data.length} messages; the API has the rest.`));
  if (data.length === 0) lines.push(make("li", "note", "No messages here."));
  messages.replaceChildren(...lines);
  if (atEnd) messages.scrollTop = messages.scrollHeight;
}

function createLine(message) {
  const line = make("li", `message ${message.direction}`);
  const sent = new Date(message.sentAt);
  const text = make("p", "text", wordsOf(message));
  text.dir = "auto";
  if (message.text === null || message.deletedAt !== null) text.classList.add("absent");
  const time = Object.assign(make("time", "time", timeWords(sent)), {
    dateTime: message.sentAt,
    title: fullTimeWords(sent),
  });
  if (message.editNumber > 0 && message.deletedAt === null) time.textContent += " · edited";
  line.append(text);
  for (const { reaction, emoji } of message.reactions) line.append(make("span", "reaction", emoji ?? reaction));
  line.append(time);
  return line;
}

function wordsOf(message) {
  if (message.deletedAt !== null) return "Message unsent";
  if (message.text !== null) return message.text;
  return message.attachments === null ? "A message without text" : attachmentWords(message.attachments);
}

/** Names the kinds only: what an attachment points at is Instagram's and stays there. */
function attachmentWords(attachments) {
  const kinds = (Array.isArray(attachments) ? attachments : [attachments]).map((one) =>
    String(one?.type ?? "attachment"),
  );
  return kinds.join(", ").replaceAll("_", " ");
}
