/** How a backfill looks while it runs: state and columns in, lines out. Pure; `live-screen.ts` puts them up. */
import type { NamesTotals, RunPhase } from "../domain/run.ts";
import { paint } from "./terminal-style.ts";
import { cutText, plainText, renderCount, renderDuration, renderMany, widthOf } from "./text-values.ts";

export type ProgressView = {
  readonly accountName: string;
  readonly phase: RunPhase;
  /** Of the phase: people whose lookup has ended, or conversations that the inbox has listed. */
  readonly done: number;
  /** null: nobody knows how many there are. */
  readonly total: number | null;
  /** null while too little has happened to tell. */
  readonly ratePerSecond: number | null;
  /** To the end of the phase. */
  readonly etaMs: number | null;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly names: NamesTotals;
  /** After the names come the profiles. */
  readonly profilesFollow: boolean;
  /** How long Instagram's limit still holds everything up; null while working. */
  readonly pausedForMs: number | null;
  /** The first Ctrl-C has come: only what is in hand is finished. */
  readonly stopping: boolean;
};

export type ViewStyle = { readonly columns: number; readonly unicode: boolean; readonly colors: boolean };

/** A bar longer than this tells no more. */
const barColumnsMax = 40;
/** A bar shorter than this tells nothing: the numbers say it better. */
const barColumnsMin = 5;
/** The part of a bar without an end that moves along it. */
const movingShare = 0.2;
/** The name may take at most this part of the first line. */
const nameShare = 0.3;
/** A narrower terminal gets lines of this width: there is nothing left to leave out. */
const columnsMin = 16;

const signs = {
  unicode: { full: "█", rest: "░", between: " · ", cut: "…" },
  ascii: { full: "#", rest: "-", between: ", ", cut: "~" },
} as const;

/** One or two lines, each narrower than the terminal: the last column stays free, since some wrap when it is filled. */
export function renderProgress(view: ProgressView, style: ViewStyle): string[] {
  const columns = Math.max(style.columns, columnsMin) - 1;
  const details = renderDetails(view, columns, style);
  return [renderBar(view, columns, style), ...(details === "" ? [] : [details])];
}

/** How far it is, in one line of plain text, for a log. */
export function renderProgressSentence(view: ProgressView): string {
  const { between } = signs.ascii;
  const parts = [`${view.accountName}: ${view.phase} ${renderNumbers(view)}`, ...listDetails(view)];
  return parts.join(between);
}

function renderBar(view: ProgressView, columns: number, style: ViewStyle): string {
  const { full, rest, cut } = style.unicode ? signs.unicode : signs.ascii;
  const color = paint(style.colors);
  const numbers = renderNumbers(view);
  const name = cutText(asciiWhere(!style.unicode, view.accountName), Math.floor(columns * nameShare), cut);
  const long = `${name} ${view.phase}`;
  // What is counted in the names' phase are no people of the run, so there the word stays.
  for (const title of view.phase === "names" ? [long] : [long, name]) {
    const room = Math.min(barColumnsMax, columns - widthOf(title) - numbers.length - 2);
    if (room < barColumnsMin) continue;
    const { before, filled } = fillBar(view, room);
    const after = rest.repeat(room - before - filled);
    const bar = `${color("gray", rest.repeat(before))}${color("green", full.repeat(filled))}${color("gray", after)}`;
    return `${title} ${bar} ${numbers}`;
  }
  const fits = widthOf(long) + 1 + numbers.length <= columns;
  return cutText(`${fits ? long : name} ${numbers}`, columns, cut);
}

/** The filled part of a bar of `room` columns. Where nobody knows the end, a piece of it goes to and fro with the calls. */
function fillBar({ done, total, names }: ProgressView, room: number): { before: number; filled: number } {
  if (total !== null) return { before: 0, filled: total === 0 ? room : Math.floor((done / total) * room) };
  const filled = Math.max(1, Math.floor(room * movingShare));
  const way = room - filled;
  const step = names.calls % (2 * way);
  return { before: step <= way ? step : 2 * way - step, filled };
}

function renderNumbers({ done, total }: ProgressView): string {
  if (total === null) return `${renderCount(done)} listed`;
  const percent = total === 0 ? 100 : Math.floor((done / total) * 100);
  return `${renderCount(done)}/${renderCount(total)} ${percent}%`;
}

function renderDetails(view: ProgressView, columns: number, style: ViewStyle): string {
  const { between, cut } = style.unicode ? signs.unicode : signs.ascii;
  const [first = "", ...further] = listDetails(view);
  let line = cutText(first, columns, cut);
  for (const detail of further) {
    const longer = `${line}${between}${detail}`;
    if (widthOf(longer) > columns) break;
    line = longer;
  }
  const urgent = view.pausedForMs !== null || view.stopping;
  return paint(style.colors)(urgent ? "yellow" : "gray", line);
}

/** The most urgent first: what does not fit is left out from the end. */
function listDetails(view: ProgressView): string[] {
  const { phase, ratePerSecond, etaMs, names, profilesFollow, pausedForMs, stopping } = view;
  const head: string[] = [];
  if (stopping) head.push("finishing the batch in hand");
  else if (pausedForMs !== null) head.push(`waiting for Instagram: ${renderDuration(pausedForMs)}`);
  else if (ratePerSecond !== null) head.push(renderRate(ratePerSecond));
  if (etaMs !== null && !stopping)
    head.push(
      phase === "names" && profilesFollow ? `profiles in ${renderDuration(etaMs)}` : `ETA ${renderDuration(etaMs)}`,
    );
  return [...head, ...(phase === "names" ? listNames(names) : listOutcomes(view))];
}

function listOutcomes({ outcomes }: Pick<ProgressView, "outcomes">): string[] {
  return Object.entries(outcomes)
    .sort(([, left], [, right]) => right - left)
    .map(([name, count]) => `${renderCount(count)} ${plainText(name).replaceAll("_", " ")}`);
}

/** What reading the inbox has come to, in short. */
export function listNames({ calls, named, imported }: NamesTotals): string[] {
  return [
    renderMany(named, "username"),
    ...(imported === 0 ? [] : [`${renderCount(imported)} imported`]),
    renderMany(calls, "call"),
  ];
}

function renderRate(perSecond: number): string {
  return `${perSecond >= 10 ? renderCount(Math.round(perSecond)) : perSecond.toFixed(1)}/s`;
}

function asciiWhere(ascii: boolean, text: string): string {
  const plain = plainText(text);
  return ascii ? plain.replace(/[^\x20-\x7e]/gu, "?") : plain;
}
