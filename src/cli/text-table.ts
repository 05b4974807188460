import { plainText, widthOf } from "./text-values.ts";

const gap = "  ";

/** A calm table: columns as wide as what they hold, no lines, no trailing blanks. Empty columns are left out. */
export function renderTable(head: readonly string[] | null, rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map(plainText));
  const count = Math.max(head?.length ?? 0, ...cells.map((row) => row.length));
  const shown = Array.from({ length: count }, (_, column) => column).filter((column) =>
    cells.some((row) => (row[column] ?? "") !== ""),
  );
  const all = head === null ? cells : [head, ...cells];
  const widths = shown.map((column) => Math.max(...all.map((row) => widthOf(row[column] ?? ""))));
  return all
    .map((row) => {
      const parts = shown.map((column, place) => {
        const cell = row[column] ?? "";
        return cell + " ".repeat(Math.max(0, (widths[place] ?? 0) - widthOf(cell)));
      });
      return `${parts.join(gap).trimEnd()}\n`;
    })
    .join("");
}
