/** The levels of spec §8, loudest first. `log` is the ordinary one. */
export const logLevels = ["error", "warn", "log", "debug"] as const;
export type LogLevel = (typeof logLevels)[number];
export type LogFields = Readonly<Record<string, unknown>>;
/** One line: what happened, in which room, with which values. Never a secret, never a message's text. */
export type LogLine = (message: string, context: string, fields?: LogFields) => void;
export type Log = Readonly<Record<LogLevel, LogLine>>;

/** Makes a log that hands every line at or above `level` to `write`. */
export function createLog(
  level: LogLevel,
  write: (level: LogLevel, message: string, context: string, fields: LogFields) => void,
): Log {
  const loudest = logLevels.indexOf(level);
  const line =
    (of: LogLevel): LogLine =>
    (message, context, fields = {}) => {
      if (logLevels.indexOf(of) <= loudest) write(of, message, context, fields);
    };
  return { error: line("error"), warn: line("warn"), log: line("log"), debug: line("debug") };
}
