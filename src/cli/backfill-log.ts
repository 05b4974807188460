import { type Log, type LogLevel, logLevels } from "../lib/log.ts";

/** Rooms that tell of single people: the bar sums them up, thousands of lines above it would hide everything else. */
const peopleContexts = new Set(["ConversationService", "InstagramApiService"]);

/** The log without the lines about single people, for a terminal with a bar. Errors stay. */
export function withoutPeople(log: Log): Log {
  return mapLog(log, (level, _, context) => level === "error" || !peopleContexts.has(context));
}

/** The log with a backfill's final sentence held back, so that it can stand last, below the table. */
export function holdFinalSentence(log: Log, runId: string): { log: Log; release: () => string | null } {
  let sentence: string | null = null;
  let write = () => {};
  return {
    log: mapLog(log, (level, message, context, fields) => {
      if (!message.startsWith(`Backfill job ${runId} completed`)) return true;
      sentence = message;
      write = () => log[level](message, context, fields);
      return false;
    }),
    /** Logs what was held and answers it; null where the run did not come to its end. */
    release() {
      write();
      return sentence;
    },
  };
}

type Passes = (level: LogLevel, ...line: Parameters<Log[LogLevel]>) => boolean;

function mapLog(log: Log, passes: Passes): Log {
  const line =
    (level: LogLevel): Log[LogLevel] =>
    (...parts) => {
      if (passes(level, ...parts)) log[level](...parts);
    };
  return { error: line("error"), warn: line("warn"), log: line("log"), debug: line("debug") };
}

/** Whether a log at `level` shows its ordinary lines. */
export const showsOrdinary = (level: LogLevel): boolean => logLevels.indexOf(level) >= logLevels.indexOf("log");
