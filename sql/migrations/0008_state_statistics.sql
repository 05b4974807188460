-- What the planner should know of conversations: which states go together.

-- An account's people are mostly in one state, and in one run. Taken for independent of each other, these let the planner
-- expect a fraction of the backfill's candidates, and sort all of them for each page instead of walking their index.
create statistics conversations_states (mcv) on account_id, profile_status, reason_code, run_number from conversations;
