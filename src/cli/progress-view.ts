/** How a backfill looks while it runs: state and columns in, lines out. Pure; `live-screen.ts` puts them up. */
import { paint } from "./terminal-style.ts";
import { cutText, plainText, renderCount, renderDuration, widthOf } from "./text-values.ts";

export type ProgressView = {
  readonly accountName: string;
  readonly done: number;
  readonly total: number;
  /** null while too little has happened to tell. */
  readonly ratePerSecond: number | null;
  readonly etaMs: number | null;
  readonly outcomes: Readonly<Record<string, number>>;
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
  return `${view.accountName}: ${renderNumbers(view)}${between}${listDetails(view).join(between)}`.replace(/, $/, "");
}

function renderBar(view: ProgressView, columns: number, style: ViewStyle): string {
  const { full, rest, cut } = style.unicode ? signs.unicode : signs.ascii;
  const color = paint(style.colors);
  const numbers = renderNumbers(view);
  const name = cutText(asciiWhere(!style.unicode, view.accountName), Math.floor(columns * nameShare), cut);
  const room = Math.min(barColumnsMax, columns - widthOf(name) - numbers.length - 2);
  if (room < barColumnsMin) return cutText(`${name} ${numbers}`, columns, cut);
  const filled = view.total === 0 ? room : Math.floor((view.done / view.total) * room);
  return `${name} ${color("green", full.repeat(filled))}${color("gray", rest.repeat(room - filled))} ${numbers}`;
}

function renderNumbers({ done, total }: ProgressView): string {
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
function listDetails({ ratePerSecond, etaMs, outcomes, pausedForMs, stopping }: ProgressView): string[] {
  const head: string[] = [];
  if (stopping) head.push("finishing the batch in hand");
  else if (pausedForMs !== null) head.push(`waiting for Instagram: ${renderDuration(pausedForMs)}`);
  else if (ratePerSecond !== null) head.push(renderRate(ratePerSecond));
  if (etaMs !== null && !stopping) head.push(`ETA ${renderDuration(etaMs)}`);
  const counted = Object.entries(outcomes)
    .sort(([, left], [, right]) => right - left)
    .map(([name, count]) => `${renderCount(count)} ${plainText(name).replaceAll("_", " ")}`);
  return [...head, ...counted];
}

function renderRate(perSecond: number): string {
  return `${perSecond >= 10 ? renderCount(Math.round(perSecond)) : perSecond.toFixed(1)}/s`;
}

function asciiWhere(ascii: boolean, text: string): string {
  const plain = plainText(text);
  return ascii ? plain.replace(/[^\x20-\x7e]/gu, "?") : plain;
}
