/** A page of a replay may meet a slow disk or a long conversation; beyond this it is a database that hangs. */
export const replayDeadlineMs = 60_000;
