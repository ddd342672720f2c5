// GroupMQ (Redis) with one group per user. It keeps no row of what was delivered.

import { Queue, Worker } from "groupmq";
import Redis from "ioredis";
import { Deliveries, items, spec, until } from "./work.mjs";

const redis = new Redis(spec.redis, { maxRetriesPerRequest: null });
const queue = new Queue({ redis, namespace: `bench-${process.pid}`, jobTimeoutMs: 60_000, maxAttempts: 1 });
const all = items();
for (let from = 0; from < all.length; from += 500) {
  await Promise.all(
    all.slice(from, from + 500).map((item) => queue.add({ groupId: item.user, data: { ...item, text: "hello" }, orderMs: item.index + 1 })),
  );
}

const deliveries = new Deliveries();
const worker = new Worker({
  queue,
  concurrency: spec.concurrency,
  handler: async (job) => deliveries.attempt(job.data),
});
worker.on("error", (error) => console.error(error));
worker.run();
await until(() => deliveries.done >= all.length);
await queue.waitForEmpty(10_000);
deliveries.report(performance.now());
process.exit(0);
