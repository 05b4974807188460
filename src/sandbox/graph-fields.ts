/**
 * The `fields` language of Graph: `id,username,messages.limit(20).after(X){id,from}`. Shared by every node and edge.
 */

export type GraphField = {
  readonly name: string;
  /** `limit` and `after` of `messages.limit(5).after(X)`. */
  readonly arguments: ReadonlyMap<string, string>;
  readonly fields: readonly GraphField[];
};

/** Nobody's query is longer; a fields text is kept while it is remembered. */
export const fieldsLengthMax = 4096;
/** Queries of programs are few: this many different ones are remembered ready-made. */
const rememberedMax = 256;
const depthMax = 8; // Meta refuses deep nesting too; this bounds the recursion.
const remembered = new Map<string, readonly GraphField[] | null>();

/** Parses a `fields` text. `null` where it is malformed (Meta: code 2500, "Syntax error"). */
export function parseFields(text: string): readonly GraphField[] | null {
  const known = remembered.get(text);
  if (known !== undefined) return known;
  if (text.length > fieldsLengthMax) return null;
  const cursor = { text, at: 0 };
  const fields = readList(cursor, 0);
  const parsed = fields !== null && cursor.at === text.length ? fields : null;
  if (remembered.size >= rememberedMax) remembered.clear();
  remembered.set(text, parsed);
  return parsed;
}

type Cursor = { readonly text: string; at: number };
const namePattern = /[A-Za-z_][A-Za-z0-9_]*/y;
const modifierPattern = /\.([a-z_]+)\(([^(){}]*)\)/y;

function readList(cursor: Cursor, depth: number): GraphField[] | null {
  const fields: GraphField[] = [];
  if (depth > depthMax) return null;
  for (;;) {
    const name = readPattern(cursor, namePattern)?.[0];
    if (name === undefined) return null;
    const modifiers = new Map<string, string>();
    for (let found = readPattern(cursor, modifierPattern); found; found = readPattern(cursor, modifierPattern)) {
      modifiers.set(found[1] ?? "", found[2] ?? "");
    }
    let nested: GraphField[] | null = [];
    if (cursor.text[cursor.at] === "{") {
      cursor.at += 1;
      nested = readList(cursor, depth + 1);
      if (nested === null || cursor.text[cursor.at] !== "}") return null;
      cursor.at += 1;
    }
    fields.push({ name, arguments: modifiers, fields: nested });
    if (cursor.text[cursor.at] !== ",") return fields;
    cursor.at += 1;
  }
}

function readPattern(cursor: Cursor, pattern: RegExp): RegExpExecArray | null {
  pattern.lastIndex = cursor.at;
  const found = pattern.exec(cursor.text);
  if (found) cursor.at = pattern.lastIndex;
  return found;
}
