// graphile-worker with one serial queue per user, tuned as its page on performance says: a local queue of 500, batched
// completion; and a short poll, for it waits that long whenever fewer users are free than the local queue holds. Jobs of
// one queue run in the order of (priority, run_at); rows that tie on run_at fall back to a random id, so each gets a
// millisecond of its own.

import { makeWorkerUtils, run } from "graphile-worker";
import pg from "pg";
import { Deliveries, items, spec, until } from "./work.mjs";

const pool = new pg.Pool({ connectionString: spec.postgres, max: 12 });
const preset = {
  worker: {
    concurrentJobs: spec.concurrency,
    localQueue: { size: Math.max(500, spec.concurrency) },
    completeJobBatchDelay: 0,
    pollInterval: 10,
  },
};
const logger = new (await import("graphile-worker")).Logger(() => () => {});
const utils = await makeWorkerUtils({ pgPool: pool, preset, logger });
await utils.migrate();

const all = items();
const start = Date.now() - all.length - 1000;
for (let from = 0; from < all.length; from += 1000) {
  await utils.addJobs(
    all.slice(from, from + 1000).map((item) => ({
      identifier: "deliver",
      payload: { ...item, text: "hello" },
      queueName: item.user,
      runAt: new Date(start + item.index),
    })),
  );
}
await pool.query("ANALYZE");
if (!spec.keep) await pool.query("CHECKPOINT").catch(() => {});

const deliveries = new Deliveries();
const runner = await run({
  pgPool: pool,
  preset,
  logger,
  noHandleSignals: true,
  taskList: { deliver: async (payload) => deliveries.attempt(payload) },
});
await until(() => deliveries.done >= all.length);
await until(async () => (await pool.query("SELECT FROM graphile_worker._private_jobs LIMIT 1")).rowCount === 0);
deliveries.report(performance.now());
await runner.stop();
await utils.release();
process.exit(0);
