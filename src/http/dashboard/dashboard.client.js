// Asks the API once a second and shows what it says.
import { drawList, focusRow } from "/assets/list.js";
import { closePane, fillHead, fillMessages, openPane } from "/assets/messages.js";
import { personName } from "/assets/words.js";

const pollMs = 1000;
const pageRows = 50;
/** An answer that takes longer is given up, so that a stuck connection does not freeze the page. */
const answerMsMax = 8000;
const keyName = "social-sync-key";

const byId = (id) => document.getElementById(id);
const [summary, trouble, keyForm, keyField] = ["summary", "trouble", "key-form", "key"].map(byId);
const [empty, older] = ["empty", "older"].map(byId);

/** The pages that are shown: for each the cursor it starts at and its conversations. */
const pages = [{ cursor: null, rows: [] }];
let nextCursor = null;
let nextPage = 1;
let chosen = null;
let round = 0;

byId("webhook-url").textContent = `${location.origin}/webhooks/instagram`;
keyForm.addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(keyName, keyField.value.trim());
  keyField.value = "";
  keyForm.hidden = true;
  tick();
});
older.addEventListener("click", () => {
  if (nextCursor !== null) pages.push({ cursor: nextCursor, rows: [] });
  nextPage = pages.length - 1;
  older.hidden = true;
  tick();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) tick();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && chosen !== null) leave();
});
tick();

/** One round: the first page always, an older one in turn, and the open conversation. A later round takes over from a slow one. */
async function tick() {
  const own = ++round;
  if (document.hidden || !keyForm.hidden) return;
  try {
    await refresh(() => own === round);
    if (own === round) say(null);
  } catch (error) {
    if (own === round) say(error.told ?? "social-sync does not answer. Trying again…");
  }
  if (own === round && keyForm.hidden) setTimeout(() => own === round && tick(), pollMs);
}

async function refresh(current) {
  if (nextPage >= pages.length) nextPage = 1;
  const turns = pages.length > 1 ? [0, nextPage] : [0];
  for (const turn of turns) {
    const page = pages[turn];
    const from = page.cursor === null ? "" : `&cursor=${encodeURIComponent(page.cursor)}`;
    const answer = await ask(`/messaging/conversations?limit=${pageRows}${from}`);
    if (!current()) return;
    page.rows = answer.data;
    if (turn === pages.length - 1) nextCursor = answer.nextCursor;
  }
  nextPage += 1;
  draw();
  if (chosen === null) return;
  const id = chosen.id;
  const messages = await ask(`/messaging/conversations/${encodeURIComponent(id)}/messages?limit=${pageRows}`);
  if (chosen?.id === id) fillMessages(messages);
}

function draw() {
  // A conversation that moved up stands on two pages until the older one is asked for again: the first one wins.
  const shown = new Map();
  for (const { rows } of pages) for (const row of rows) if (!shown.has(row.id)) shown.set(row.id, row);
  const conversations = [...shown.values()];
  drawList(conversations, chosen?.id ?? null, choose);
  empty.hidden = conversations.length > 0;
  older.hidden = nextCursor === null;
  const unnamed = conversations.filter((one) => personName(one) === one.participantPlatformId).length;
  const shownWords = `${conversations.length}${nextCursor === null ? "" : "+"} conversation${conversations.length === 1 ? "" : "s"}`;
  const words =
    conversations.length === 0
      ? ""
      : unnamed === 0
        ? `${shownWords}, all with a name`
        : `${shownWords}, ${unnamed} without a name`;
  if (summary.textContent !== words) summary.textContent = words;
  if (chosen === null || !shown.has(chosen.id)) return;
  chosen = shown.get(chosen.id);
  fillHead(chosen);
}

function choose(conversation) {
  chosen = conversation;
  document.body.classList.add("reading");
  openPane(conversation, {
    close: leave,
    enrich: () =>
      ask(`/messaging/conversations/${encodeURIComponent(conversation.id)}/enrich`, "POST").then(
        () => true,
        () => false,
      ),
  });
  tick();
}

function leave() {
  const { id } = chosen;
  chosen = null;
  document.body.classList.remove("reading");
  closePane();
  draw();
  focusRow(id);
}

/** Asks the API. Throws an error whose `told` is a sentence to show, where there is one. */
async function ask(path, method = "GET") {
  const key = sessionStorage.getItem(keyName);
  const headers = key === null ? {} : { Authorization: `Bearer ${key}` };
  const response = await fetch(path, { method, headers, signal: AbortSignal.timeout(answerMsMax) });
  if (response.ok) return response.json();
  const problem = await response.json().catch(() => null);
  if (response.status === 401) {
    sessionStorage.removeItem(keyName);
    keyForm.hidden = false;
    keyField.focus();
  }
  const told = response.status === 401 && key === null ? "This server asks for an API key." : problem?.detail;
  throw Object.assign(new Error("refused"), { told });
}

function say(words) {
  trouble.hidden = words === null;
  if (words !== null && trouble.textContent !== words) trouble.textContent = words;
}
