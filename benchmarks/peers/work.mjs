// What all peers do alike: the items of a shape, one attempt at each, and the check of the order per user.
//
// Started as `node PEER.mjs '{"shape": "dense", "count": 20000, "users": 1000, "work": "null", …}'`; prints one line of
// JSON: deliveries per second from the first attempt to the last settle, and how many attempts were out of order.

import { Agent, request } from "undici";

export const spec = JSON.parse(process.argv[2]);

// In the order produced: whose item it is, and its number among that user's. In "hot" the first user holds a tenth.
export function items() {
  const next = new Map();
  return Array.from({ length: spec.count }, (_, index) => {
    const number = spec.shape === "hot" ? (index % 10 ? 1 + (index % (spec.users - 1)) : 0) : index % spec.users;
    const user = `user-${number}`;
    const n = next.get(user) ?? 0;
    next.set(user, n + 1);
    return { user, n, index };
  });
}

const receiver = new Agent({ connections: spec.connections ?? 64, pipelining: 1 });

async function act(item) {
  if (spec.slow && item.user === "user-0") await sleep(500);
  else if (spec.work === "sleep") await sleep(spec.ms);
  else if (spec.work === "http") {
    const answer = await request(spec.receiver, {
      method: "POST",
      dispatcher: receiver,
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ user_id: item.user, n: item.n }),
    });
    await answer.body.dump();
    if (answer.statusCode !== 200) throw new Error(`the receiver answered ${answer.statusCode}`);
  }
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Deliveries {
  constructor() {
    this.done = 0;
    this.violations = 0;
    this.expected = new Map();
    this.busy = new Set();
    this.began = undefined;
    this.of = new Map();
  }

  // One attempt; out of order when it is not this user's next one, or the one before has not ended.
  async attempt(item) {
    this.began ??= performance.now();
    if (this.busy.has(item.user) || item.n !== (this.expected.get(item.user) ?? 0)) this.violations++;
    this.busy.add(item.user);
    if (spec.work !== "null" || spec.slow) await act(item);
    this.expected.set(item.user, item.n + 1);
    this.busy.delete(item.user);
    this.done++;
    this.ended = performance.now();
    this.of.set(item.user, this.ended);
  }

  // All but those of the hot or slow user, when there is one.
  report(settled) {
    const single = spec.shape === "hot" || spec.slow;
    const mine = this.expected.get("user-0") ?? 0;
    const others = Math.max(...[...this.of].filter(([user]) => user !== "user-0").map(([, at]) => at));
    const line = {
      rate: (1000 * this.done) / (settled - this.began),
      done: this.done,
      violations: this.violations,
    };
    if (single) {
      line.others = (1000 * (this.done - mine)) / (others - this.began);
      line.one = (1000 * mine) / (this.of.get("user-0") - this.began);
    }
    console.log(JSON.stringify(line));
  }
}

export async function until(fact) {
  while (!(await fact())) await sleep(5);
}
