/** Every scenario, in the order in which they run. */
import type { Scenario } from "./scenario.ts";
import { kill9 } from "./scenarios/kill-9.ts";
import { killBetweenCommitAndAnswer } from "./scenarios/kill-between-commit-and-answer.ts";
import { poison } from "./scenarios/poison.ts";
import { sigstop } from "./scenarios/sigstop.ts";
import { sigtermUnderLoad } from "./scenarios/sigterm-under-load.ts";
import { twoDaemons } from "./scenarios/two-daemons.ts";

export const scenarios: readonly Scenario[] = [
  kill9,
  killBetweenCommitAndAnswer,
  sigtermUnderLoad,
  sigstop,
  twoDaemons,
  poison,
];

/** Rows of the fault matrix that another test holds, and which: the file must name that test. */
export const coveredElsewhere: readonly { readonly row: number; readonly file: string; readonly test: string }[] = [];
