import type { RunOptions } from "../domain/run.ts";
import type { Forecast } from "../usecases/forecast.ts";
import { renderTable } from "./text-table.ts";
import { renderCount, renderDuration, renderMany } from "./text-values.ts";

/** A dry run for people: candidates by reason, then the calls by kind and the time they take. */
export function renderForecast(forecast: Forecast, asked: Pick<RunOptions, "profiles" | "importMissing">): string {
  const { total, byReason, conversations, calls, requests } = forecast;
  const counts = Object.entries(byReason).map(([reason, people]) => [renderCount(people), reason.replaceAll("_", " ")]);
  const width = Math.max(0, ...counts.map(([count = ""]) => count.length));
  const rows = counts.map(([count = "", reason = ""]) => [`  ${count.padStart(width)}`, reason]);
  const found = Object.values(byReason).reduce((sum, people) => sum + people, 0);
  const limited = total < found ? ` (of ${renderCount(found)}, by --limit)` : "";
  const who = asked.profiles
    ? `${renderPeople(total)}${limited}`
    : `Names of ${renderMany(conversations, "conversation")}`;
  const shared = requests.profile < calls.profile ? ` in ${renderMany(requests.profile, "request")}` : "";
  const kinds = [
    ...(calls.list === 0 ? [] : [`about ${renderMany(calls.list, "list call")}`]),
    ...(asked.importMissing ? ["one for each conversation that only Instagram knows"] : []),
    ...(asked.profiles ? [`${renderMany(calls.profile, "profile call")}${shared}`] : []),
  ];
  const table = asked.profiles && rows.length > 0 ? renderTable(null, rows) : "";
  return `${table}${who}: ${kinds.join(", ")}; ${renderTime(forecast)}.\n`;
}

function renderTime({ calls, allowance, windowMs, lastsMs, durationMs }: Forecast): string {
  if (durationMs === null) {
    const list = calls.list === 0 ? "" : `about ${renderMinutes(lastsMs.list)} for the list, the profiles `;
    return `${list}as long as Instagram takes to answer, since no limit of its is known yet`;
  }
  const budget =
    allowance === null || calls.profile === 0
      ? ""
      : ` at a budget of ${renderCount(allowance)} calls in ${renderDuration(windowMs)}`;
  return `about ${renderMinutes(durationMs)}${budget}`;
}

const renderPeople = (count: number) => (count === 1 ? "1 person" : `${renderCount(count)} people`);

/** In whole minutes: a forecast is no promise. */
const renderMinutes = (ms: number): string => {
  const minutes = Math.round(ms / 60_000);
  return minutes <= 1 ? "a minute" : `${renderCount(minutes)} minutes`;
};
