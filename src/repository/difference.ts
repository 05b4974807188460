/** What a table holds, beside what the stored events say it should. */
export type Difference = {
  readonly table: "messages" | "reactions" | "read_receipts" | "conversations";
  /** The row's key, by column. */
  readonly key: Readonly<Record<string, string>>;
  /** The columns that differ; all that were derived where the row is missing. */
  readonly columns: readonly string[];
  /** Those columns as they are stored; null: the row is missing. Of what people wrote only how long it is. */
  readonly stored: ShownValues | null;
  readonly derived: ShownValues;
};

export type ShownValues = Readonly<Record<string, string | number | boolean | null>>;

/** A difference with what it takes to correct it. The row may hold what people wrote: it goes to the database alone. */
export type Found<Correction> = { readonly difference: Difference; readonly correction: Correction };

type Values = Readonly<Record<string, string | number | boolean | null>>;

/** What people wrote. */
const secretColumns = ["text", "attachments"];
const timeColumns = ["sent_at", "deleted_at", "reacted_at", "read_at", "last_message_at", "last_inbound_at"];

/** Compares `columns` of a row; null where they are the same. Pure. */
export function compareRow(
  table: Difference["table"],
  key: Difference["key"],
  columns: readonly string[],
  { stored, derived }: { readonly stored: Values | null; readonly derived: Values },
): Difference | null {
  const differing = columns.filter((column) => stored === null || stored[column] !== derived[column]);
  if (differing.length === 0) return null;
  return {
    table,
    key,
    columns: differing,
    stored: stored === null ? null : show(stored, differing),
    derived: show(derived, differing),
  };
}

function show(values: Values, columns: readonly string[]): ShownValues {
  return Object.fromEntries(columns.map((column) => [column, showValue(column, values[column] ?? null)]));
}

function showValue(column: string, value: string | number | boolean | null) {
  if (typeof value === "string" && secretColumns.includes(column)) return `${value.length} characters`;
  if (typeof value === "number" && timeColumns.includes(column)) return new Date(value).toISOString();
  return value;
}
