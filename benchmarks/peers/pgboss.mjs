// pg-boss with the policy key_strict_fifo and the user as the key; a loop of its own over fetch() and complete(), which
// its polling workers cannot keep up with. Order is (created_on, id): rows of one insert share created_on, so the ids
// are made to increase.

import pg from "pg";
import { PgBoss } from "pg-boss";
import { Deliveries, items, sleep, spec, until } from "./work.mjs";

const boss = new PgBoss({ connectionString: spec.postgres, max: 12, supervise: false, schedule: false });
boss.on("error", (error) => console.error(error));
await boss.start();
await boss.createQueue("deliver", { policy: "key_strict_fifo", retryLimit: 0 });

const all = items();
const id = (index) => `00000000-0000-7000-8000-${index.toString(16).padStart(12, "0")}`;
for (let from = 0; from < all.length; from += 1000) {
  await boss.insert(
    "deliver",
    all.slice(from, from + 1000).map((item) => ({ id: id(item.index), data: { ...item, text: "hello" }, singletonKey: item.user })),
  );
}
const client = new pg.Client({ connectionString: spec.postgres });
await client.connect();
await client.query("ANALYZE");
await client.query("CHECKPOINT").catch(() => {});
await client.end();

const deliveries = new Deliveries();
let completed = [];
let flying = 0;
async function complete() {
  while (deliveries.done < all.length || completed.length) {
    const batch = completed;
    completed = [];
    if (batch.length) {
      await boss.complete("deliver", batch);
      flying -= batch.length;
    } else await sleep(1);
  }
}
async function fetch() {
  while (deliveries.done < all.length) {
    const room = spec.concurrency - flying;
    const jobs = room > 0 ? await boss.fetch("deliver", { batchSize: Math.min(room, 500) }) : [];
    flying += jobs.length;
    for (const job of jobs) deliveries.attempt(job.data).then(() => completed.push(job.id));
    if (!jobs.length) await sleep(1);
  }
}
await Promise.all([fetch(), complete()]);
await until(() => deliveries.done >= all.length);
deliveries.report(performance.now());
await boss.stop({ graceful: false });
process.exit(0);
