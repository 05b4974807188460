/** Letters that nobody mixes up when reading aloud: no 0/o, 1/l/i. */
const letters = "abcdefghjkmnpqrstuvwxyz23456789";
/** Tells apart the runs that start within one second: 31^4 is close to a million. */
const lettersMax = 4;

/** A run's id, short and sorted by time: `20261122-222331-k7qd` (UTC). `random` is in [0, 1). */
export function createRunId(nowMs: number, random: () => number): string {
  const time = new Date(nowMs).toISOString().replace(/[-:]/g, "").replace("T", "-").slice(0, 15);
  const tail = Array.from({ length: lettersMax }, () => letters[Math.floor(random() * letters.length)]).join("");
  return `${time}-${tail}`;
}
