/**
 * Who writes next, and what: people in the world's order, each with a plain message first; after that anything.
 * Remembers the last message of everybody, so that reactions, edits and replies are about something real.
 */
import { type Chance, createChance, hashText } from "./chance.ts";
import type { AccountState, Platform } from "./platform.ts";
import { buildEvent, inboundKinds, isOwnMessage, type SandboxEvent, type SandboxEventKind } from "./webhook-item.ts";
import { phrases, replies } from "./wording.ts";
import type { SandboxPerson } from "./world.ts";

/** Of the events that are nobody's first, this many bring a newcomer while there are any. */
const newcomerShare = 0.5;
/** Ids as long as the captured ones (about 165 characters). */
const midLength = 160;
/** Last messages remembered; beyond it a reaction is about a message nobody has seen, which happens on Meta too. */
const rememberedMax = 200_000;

export type EventSource = ReturnType<typeof createEventSource>;

/** Makes the source of one box's events. */
export function createEventSource(platform: Platform) {
  const { world, accounts, openedAtMs } = platform;
  const chance: Chance = createChance(world.seed ^ 0x5eed);
  const lastMessages = new Map<string, { mid: string; edits: number }>();
  const nextPeople = accounts.map(() => 0);
  // A box that is opened again must not repeat ids, or its messages would be taken for duplicates.
  const run = `${world.seed.toString(36)}x${Math.floor(openedAtMs).toString(36)}`;
  let serial = 0;

  const createMid = (): string => {
    serial += 1;
    const filler = hashText(serial, run).toString(36).repeat(30);
    return `aWdfZAG1fc2FuZGJveA_${run}_${serial.toString(36).padStart(8, "0")}_${filler}`.slice(0, midLength);
  };

  const createEvent = (
    state: AccountState,
    person: Pick<SandboxPerson, "id" | "username">,
    kind: SandboxEventKind,
    timestampMs: number,
  ): SandboxEvent => {
    const mid = createMid();
    const earlier = lastMessages.get(person.id) ?? { mid: createMid(), edits: 0 };
    if (kind === "edit") earlier.edits += 1;
    const text = chance.pick(kind === "echo" || kind === "self" ? replies : phrases);
    const about = { earlierMid: earlier.mid, edits: earlier.edits };
    const event = buildEvent({ account: state.account, person, kind, mid, ...about, timestampMs, text });
    if (kind === "delete") lastMessages.delete(person.id);
    if (isOwnMessage(kind) && (lastMessages.size < rememberedMax || lastMessages.has(person.id))) {
      lastMessages.set(person.id, { mid, edits: 0 });
    }
    if (event.channel !== "changes") platform.noteEvent(state, person.id, event);
    return event;
  };

  /** The next person of an account who has not been heard of; after the last, the first again. */
  const nextPerson = (state: AccountState): SandboxPerson | null => {
    const { population } = state.account;
    const at = nextPeople[state.index] ?? 0;
    nextPeople[state.index] = at + 1;
    return population.count === 0 ? null : population.at(at % population.count);
  };

  /** An event of the stream: a newcomer's plain message, or anything from somebody who has written before. */
  const nextStreamed = (state: AccountState, timestampMs: number, newcomer: boolean): SandboxEvent | null => {
    const { population } = state.account;
    const met = Math.min(nextPeople[state.index] ?? 0, population.count);
    const isNewcomer = met < population.count && (newcomer || met === 0 || chance.next() < newcomerShare);
    if (isNewcomer || met === 0) {
      const person = nextPerson(state);
      return person && createEvent(state, person, "text", timestampMs);
    }
    const person = population.at(chance.below(met));
    const kind = chance.next() < 0.5 ? "text" : chance.next() < 0.2 ? "echo" : chance.pick(inboundKinds);
    return createEvent(state, person, kind, timestampMs);
  };

  return { createEvent, nextPerson, nextStreamed };
}
