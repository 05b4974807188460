/** Every scenario, in the order in which they run. */
import type { Scenario } from "./scenario.ts";
import { backfillCrowd } from "./scenarios/backfill-crowd.ts";
import { backfillFaults } from "./scenarios/backfill-faults.ts";
import { backfillKills } from "./scenarios/backfill-kills.ts";
import { diskFull } from "./scenarios/disk-full.ts";
import { diskSpoolDamage } from "./scenarios/disk-spool-damage.ts";
import { durabilityOrder } from "./scenarios/durability-order.ts";
import { erasure } from "./scenarios/erasure.ts";
import { faultPoints } from "./scenarios/fault-points.ts";
import { fdExhaustion } from "./scenarios/fd-exhaustion.ts";
import { graphAnswers } from "./scenarios/graph-answers.ts";
import { graphChaos } from "./scenarios/graph-chaos.ts";
import { graphLimits } from "./scenarios/graph-limits.ts";
import { hostileBodies } from "./scenarios/hostile-bodies.ts";
import { hostileSignatures } from "./scenarios/hostile-signatures.ts";
import { hostileWire } from "./scenarios/hostile-wire.ts";
import { kill9 } from "./scenarios/kill-9.ts";
import { killBetweenCommitAndAnswer } from "./scenarios/kill-between-commit-and-answer.ts";
import { memoryLimit } from "./scenarios/memory-limit.ts";
import { overload } from "./scenarios/overload.ts";
import { permutations } from "./scenarios/permutations.ts";
import { poison } from "./scenarios/poison.ts";
import { postgresAwayLong } from "./scenarios/postgres-away-long.ts";
import { postgresBlackHoles } from "./scenarios/postgres-black-holes.ts";
import { postgresConflicts } from "./scenarios/postgres-conflicts.ts";
import { postgresConnections } from "./scenarios/postgres-connections.ts";
import { postgresFreezes } from "./scenarios/postgres-freezes.ts";
import { postgresReadOnly } from "./scenarios/postgres-read-only.ts";
import { postgresRestarts } from "./scenarios/postgres-restarts.ts";
import { postgresSlow } from "./scenarios/postgres-slow.ts";
import { postgresStalePlans } from "./scenarios/postgres-stale-plans.ts";
import { queueFile } from "./scenarios/queue-file.ts";
import { redisMisbehaves } from "./scenarios/redis-misbehaves.ts";
import { redisOutages } from "./scenarios/redis-outages.ts";
import { replayAfterRetention } from "./scenarios/replay-after-retention.ts";
import { sigstop } from "./scenarios/sigstop.ts";
import { sigtermUnderLoad } from "./scenarios/sigterm-under-load.ts";
import { spoolUnwritable } from "./scenarios/spool-unwritable.ts";
import { twoDaemons } from "./scenarios/two-daemons.ts";

export const scenarios: readonly Scenario[] = [
  kill9,
  killBetweenCommitAndAnswer,
  sigtermUnderLoad,
  sigstop,
  twoDaemons,
  poison,
  faultPoints,
  queueFile,
  overload,
  hostileWire,
  hostileSignatures,
  hostileBodies,
  permutations,
  replayAfterRetention,
  erasure,
  graphAnswers,
  graphLimits,
  graphChaos,
  durabilityOrder,
  postgresRestarts,
  postgresFreezes,
  postgresBlackHoles,
  postgresSlow,
  postgresReadOnly,
  postgresConnections,
  postgresConflicts,
  postgresStalePlans,
  postgresAwayLong,
  diskFull,
  diskSpoolDamage,
  spoolUnwritable,
  fdExhaustion,
  memoryLimit,
  redisOutages,
  redisMisbehaves,
  backfillFaults,
  backfillKills,
  backfillCrowd,
];

/** Rows of the fault matrix that another test holds, and which: the file must name that test. */
export const coveredElsewhere: readonly { readonly row: number; readonly file: string; readonly test: string }[] = [
  { row: 34, file: "test/budget/budget.test.ts", test: "does not care about the wall clock" },
  { row: 34, file: "test/usecases/clock-steps.test.ts", test: "is neither lost nor stolen where a clock is set" },
];
