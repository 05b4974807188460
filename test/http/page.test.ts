import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Browser } from "playwright-core";
import type { Conversation } from "../../src/domain/conversation.ts";
import { parseParticipantId } from "../../src/domain/ids.ts";
import { browserMsMax, openBrowser, openTab, shoot } from "./browser.ts";
import { conversationIdFor, makeConversation, makeMessage, openTestServer } from "./test-server.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await openBrowser();
}, browserMsMax);
afterAll(() => browser?.close());

function person(number: number, changes: Partial<Conversation> = {}): Conversation {
  const participant = parseParticipantId(`55512345678${number}`);
  if (participant === null) throw new Error("unreachable");
  return makeConversation({
    id: conversationIdFor(`17841400000000001_${participant}`),
    participantPlatformId: participant,
    lastMessageAtMs: Date.now() - number * 77_000,
    unreadCount: number % 4,
    ...changes,
  });
}

const named = { profileStatus: "complete", profileFetchedAtMs: Date.now() } as const;
const hostileName = '<img src=x onerror="document.title=1">\u202Eevil';

function crowd(pictures: string): Conversation[] {
  const picture = `${pictures}/assets/docs.css`;
  return [
    person(10),
    person(11, { ...named, participantName: "Ana Souza", participantUsername: "ana.souza" }),
    person(12, { ...named, participantName: "Øyvind Åsen", participantUsername: "oyvind", unreadCount: 140 }),
    person(13, { ...named, participantName: hostileName, participantUsername: "x", participantProfilePic: picture }),
    person(14, { profileStatus: "no_picture", participantName: "محمد علي", participantUsername: "m.ali" }),
    person(15, { profileStatus: "username_only", profileReason: "server_error", participantUsername: "just_a_handle" }),
    person(16, { profileStatus: "no_consent", profileReason: "no_consent" }),
    person(17, { profileStatus: "not_found", profileReason: "gone" }),
    person(18, { profileStatus: "account_blocked", profileReason: "token_dead" }),
    person(19, { profileStatus: "failed", profileReason: "timeout" }),
    person(20, { profileReason: "throttled" }),
    person(21, {
      ...named,
      participantName: "A very long name ".repeat(8),
      participantProfilePic: "javascript:alert(1)",
    }),
  ];
}

describe("the dashboard", () => {
  test("shows numbers first, then names and faces, and marks the change", async () => {
    const pictures = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () =>
        new Response(
          "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 48 48'><rect width='48' height='48' fill='#f4b183'/><circle cx='24' cy='19' r='9' fill='#fff3e6'/><path d='M6 48a18 15 0 0 1 36 0z' fill='#7a5195'/></svg>",
          { headers: { "Content-Type": "image/svg+xml" } },
        ),
    });
    try {
      let conversations: Conversation[] = [person(10), person(11)];
      await using server = openTestServer({ listConversations: async () => conversations });
      await using tab = await openTab(browser, server.url, "/");
      const { page } = tab;
      await page.locator(".row .name.number").nth(1).waitFor();
      expect(await page.locator("#summary").textContent()).toBe("2 conversations, 2 without a name");
      const face = `http://127.0.0.1:${pictures.port}/face.svg`;
      conversations = [
        person(10, {
          ...named,
          participantName: "Ana Souza",
          participantUsername: "ana.souza",
          participantProfilePic: face,
        }),
        person(11),
      ];
      await page.locator(".row.fresh .name", { hasText: "Ana Souza" }).waitFor();
      await page.locator(".row.fresh img.loaded").waitFor();
      await shoot(page, "fresh");
      expect(await page.locator(".row.fresh").count()).toBe(1);
      expect(await page.locator(".row img").first().getAttribute("referrerpolicy")).toBe("no-referrer");
      // The one stranger is the picture, which the conversation itself named.
      expect(tab.strangers).toEqual([face]);
      expect(tab.troubles).toEqual([]);
    } finally {
      await pictures.stop(true);
    }
  });

  test("shows hostile names as text and says every reason in words", async () => {
    let conversations: Conversation[] = [];
    await using server = openTestServer({ listConversations: async () => conversations });
    conversations = crowd(server.url);
    await using tab = await openTab(browser, server.url, "/");
    const { page } = tab;
    await page.locator(".row").nth(11).waitFor();
    await shoot(page, "crowd");
    expect(await page.title()).toBe("social-sync");
    expect(await page.locator(".row .name").nth(3).textContent()).toBe(hostileName);
    const states = await page.locator(".row .state").allTextContents();
    expect(states[6]).toBe("Instagram does not show this person yet: asked again at their next message");
    expect(states[8]).toContain("token has expired");
    expect(states.join(" ")).not.toMatch(/[a-z]_[a-z]/);
    expect(await page.locator("img[src^=javascript]").count()).toBe(0);
    expect(await page.locator(".row .badge").nth(2).textContent()).toBe("99+");
    expect(tab.strangers).toEqual([]);
    expect(tab.troubles).toEqual([]);
  });

  test("opens a conversation's messages by mouse and by keys, and goes back with Escape", async () => {
    const asked: string[] = [];
    let conversations: Conversation[] = [];
    await using server = openTestServer({
      listConversations: async () => conversations,
      getConversation: async () => person(11),
      listMessages: async () => [
        makeMessage({ id: "5", text: null, attachments: [{ type: "story_mention" }] }),
        makeMessage({ id: "4", text: "gone", deletedAtMs: 1 }),
        makeMessage({
          id: "3",
          text: "Lovely!",
          editNumber: 1,
          reactions: [{ from: "1", reaction: "love", emoji: "❤" }],
        }),
        makeMessage({ id: "2", direction: "outgoing", text: "It is. Shall I keep one\nfor you?" }),
        makeMessage({ id: "1", text: "Hello! Is the <b>blue</b> one still there?" }),
      ],
      requestEnrichment: async (id) => {
        asked.push(id);
        return { kind: "accepted" };
      },
    });
    conversations = crowd(server.url);
    await using tab = await openTab(browser, server.url, "/");
    const { page } = tab;
    await page.locator(".row-button").nth(1).click();
    await page.locator(".message").nth(4).waitFor();
    await shoot(page, "messages");
    expect(await page.locator(".message .text").allTextContents()).toEqual([
      "Hello! Is the <b>blue</b> one still there?",
      "It is. Shall I keep one\nfor you?",
      "Lovely!",
      "Message unsent",
      "story mention",
    ]);
    await page.locator(".again").click();
    await page.locator(".again", { hasText: "Asked for" }).waitFor();
    expect(asked).toEqual([person(11).id]);
    await page.keyboard.press("Escape");
    await page.locator(".hint").first().waitFor();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.locator(".detail-head .name", { hasText: "Øyvind" }).waitFor();
    expect(tab.strangers).toEqual([]);
    expect(tab.troubles).toEqual([]);
  });

  test("says what to do where there is nothing yet, also on a narrow dark screen", async () => {
    await using server = openTestServer();
    await using tab = await openTab(browser, server.url, "/", { width: 390, dark: true });
    await tab.page.locator("#empty h2").waitFor();
    await shoot(tab.page, "empty");
    expect(await tab.page.locator("#webhook-url").textContent()).toBe(`${server.url}/webhooks/instagram`);
    expect(tab.troubles).toEqual([]);
  });

  test("shows older pages when asked, and keeps them", async () => {
    const all = Array.from({ length: 120 }, (_, index) => person(100 + index));
    await using server = openTestServer({
      listConversations: async ({ before, limit }) => {
        const start = before === null ? 0 : all.findIndex(({ id }) => id === before.id) + 1;
        return all.slice(start, start + limit);
      },
    });
    await using tab = await openTab(browser, server.url, "/", { width: 390, dark: true });
    const { page } = tab;
    await page.locator(".row").nth(49).waitFor();
    await shoot(page, "narrow");
    await page.locator("#older").click();
    await page.locator(".row").nth(99).waitFor();
    await page.locator("#older").click();
    await page.locator(".row").nth(119).waitFor();
    await page.locator("#older").waitFor({ state: "hidden" });
    await Bun.sleep(2500);
    expect(await page.locator(".row").count()).toBe(120);
    expect(tab.troubles).toEqual([]);
  });

  test("asks for the API key where the server has keys", async () => {
    await using server = openTestServer({ listConversations: async () => [person(10)] }, { apiKeys: ["k-1"] });
    await using tab = await openTab(browser, server.url, "/");
    const { page } = tab;
    await page.locator("#key").fill("wrong");
    await page.locator("#key").press("Enter");
    await page.locator("#trouble", { hasText: "not one of the server's" }).waitFor();
    await shoot(page, "key");
    await page.locator("#key").fill("k-1");
    await page.locator("#key").press("Enter");
    await page.locator(".row").first().waitFor();
    expect(await page.locator("#trouble").isVisible()).toBe(false);
  });

  test("keeps what it shows and says so while the server is away", async () => {
    let away = false;
    await using server = openTestServer({
      listConversations: async () => {
        if (away) throw new Error("bug");
        return [person(10)];
      },
    });
    await using tab = await openTab(browser, server.url, "/");
    await tab.page.locator(".row").first().waitFor();
    away = true;
    await tab.page.locator("#trouble", { hasText: "Something went wrong" }).waitFor();
    expect(await tab.page.locator(".row").count()).toBe(1);
    away = false;
    await tab.page.locator("#trouble").waitFor({ state: "hidden" });
  });
});

describe("the page to browse the API", () => {
  test("draws every operation and loads nothing from another host", async () => {
    await using server = openTestServer();
    await using tab = await openTab(browser, server.url, "/docs");
    await tab.page.locator("#operations-conversations-listConversations").waitFor();
    expect(await tab.page.locator(".opblock").count()).toBe(server.app.routes.length);
    await tab.page.locator("#operations-conversations-listConversations button").first().click();
    await tab.page.getByRole("button", { name: "Try it out" }).click();
    await tab.page.getByRole("button", { name: "Execute" }).click();
    await tab.page.locator(".responses-table.live-responses-table .response-col_status", { hasText: "200" }).waitFor();
    await shoot(tab.page, "docs");
    expect(tab.strangers).toEqual([]);
    expect(tab.troubles).toEqual([]);
  });
});
