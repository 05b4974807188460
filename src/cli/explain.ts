import { SyncError } from "../domain/error.ts";
import { type ConversationId, parseConversationId, parseParticipantId } from "../domain/ids.ts";
import { buildStoryJson } from "../http/story-json.ts";
import type { Runtime } from "../runtime.ts";
import { defineCliCommand } from "./command.ts";
import { exitCodes } from "./io.ts";
import { renderStory } from "./story-text.ts";
import { showWord } from "./strict-arguments.ts";
import { withRuntime } from "./with-runtime.ts";

/** Version of the lines that `explain --json` prints. */
export const storyLineVersion = 1;
/** Conversations of one person's id that are told: ids are scoped to an account, so more than one is rare. */
const conversationsMax = 20;

/** `social-sync explain <conversation or participant>` */
export const explainCommand = defineCliCommand({
  name: "explain",
  summary: "tell why a profile looks as it does, and what happens next",
  args: {
    id: { type: "positional", description: "a conversation's id, or a person's Instagram-scoped id", required: true },
    json: { type: "boolean", description: "as JSON, one conversation a line" },
  },
  examples: ["social-sync explain 17841400000000001_5551234567890123", "social-sync explain 5551234567890123 --json"],
  onStop: "leave",
  run: ({ id, json }, io) =>
    withRuntime(io, async (runtime) => {
      const stories = [];
      for (const conversationId of await findConversations(runtime, id.trim())) {
        const explained = await runtime.explain.explain(conversationId);
        if (explained !== null) stories.push(explained);
      }
      if (stories.length === 0)
        throw new SyncError(
          "conversation_unknown",
          `Cannot find '${showWord(id)}': there is no such conversation or person`,
        );
      io.stdout.write(
        json
          ? stories.map((one) => `${JSON.stringify({ v: storyLineVersion, ...buildStoryJson(one) })}\n`).join("")
          : stories.map((one) => renderStory(one, io.stdout.columns())).join("\n"),
      );
      return exitCodes.done;
    }),
});

/** The conversation that `text` names, or those of the person it names. Throws `usage_invalid` where it can be neither. */
async function findConversations({ conversations }: Runtime, text: string): Promise<ConversationId[]> {
  const conversation = parseConversationId(text);
  if (conversation !== null) return [conversation.conversationId];
  const person = parseParticipantId(text);
  if (person !== null) return await conversations.listConversationsOfPerson(person, conversationsMax);
  throw new SyncError(
    "usage_invalid",
    `Cannot run explain: '${showWord(text)}' is neither a conversation's id (<account>_<person>) nor a person's`,
  );
}
