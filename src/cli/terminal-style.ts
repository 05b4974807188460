type Environment = Readonly<Record<string, string | undefined>>;

const codes = { red: 31, green: 32, yellow: 33, cyan: 36, gray: 90 } as const;
export type ColorName = keyof typeof codes;

/** Whether colours may be used: on a terminal that is not dumb, and not where NO_COLOR is set (no-color.org). */
export function colorsOf(env: Environment, output: { readonly isTty: boolean }): boolean {
  return output.isTty && (env.NO_COLOR ?? "") === "" && env.TERM !== "dumb";
}

/** Whether the terminal shows more than ASCII: the locale says UTF-8. */
export function unicodeOf(env: Environment): boolean {
  const locale = [env.LC_ALL, env.LC_CTYPE, env.LANG].find((value) => value !== undefined && value !== "");
  return /utf-?8/i.test(locale ?? "");
}

/** Makes `color(name, text)`, which leaves the text alone where colours are off. */
export function paint(colors: boolean): (name: ColorName, text: string) => string {
  return (name, text) => (colors && text !== "" ? `\u001b[${codes[name]}m${text}\u001b[39m` : text);
}
