import type { Forecast } from "../usecases/forecast.ts";
import { renderTable } from "./text-table.ts";
import { renderCount, renderDuration } from "./text-values.ts";

/** A dry run for people: candidates by reason, then the calls and the time they take. */
export function renderForecast({
  total,
  byReason,
  calls,
  requests,
  allowance,
  windowMs,
  durationMs,
}: Forecast): string {
  const counts = Object.entries(byReason).map(([reason, people]) => [renderCount(people), reason.replaceAll("_", " ")]);
  const width = Math.max(...counts.map(([count = ""]) => count.length));
  const rows = counts.map(([count = "", reason = ""]) => [`  ${count.padStart(width)}`, reason]);
  const found = Object.values(byReason).reduce((sum, people) => sum + people, 0);
  const limited = total < found ? ` (of ${renderCount(found)}, by --limit)` : "";
  const shared = requests.profile < calls.profile ? ` in ${renderCount(requests.profile)} requests` : "";
  const time =
    durationMs === null || allowance === null
      ? "no limit of Instagram's is known yet: as long as Instagram takes to answer"
      : `about ${renderMinutes(durationMs)} at a budget of ${renderCount(allowance)} calls in ${renderDuration(windowMs)}`;
  return `${renderTable(null, rows)}${renderCount(total)} people${limited}: ${renderCount(calls.profile)} profile calls${shared}; ${time}.\n`;
}

/** In whole minutes: a forecast is no promise. */
const renderMinutes = (ms: number): string => {
  const minutes = Math.ceil(ms / 60_000);
  return minutes <= 1 ? "a minute" : `${renderCount(minutes)} minutes`;
};
