/** A moment as the sentences name it, in UTC: `2026-11-22 22:34:25 UTC`. */
export function describeMoment(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}
