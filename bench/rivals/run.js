// node run.js graphile|pgboss URL JOBS WORKERS
//
// Adds no-op jobs to a rival's queue, then has WORKERS processes work through them. Prints one JSON object.
"use strict";
const { fork } = require("child_process");
const { Client } = require("pg");
const [kind, connectionString, jobs, workers] = process.argv.slice(2);

async function addGraphile(count) {
  const { runMigrations, Logger } = require("graphile-worker");
  await runMigrations({ connectionString, logger: new Logger(() => () => {}) });
  const client = new Client({ connectionString });
  await client.connect();
  await client.query("select graphile_worker.add_job('noop') from generate_series(1, $1)", [count]);
  await client.end();
}

async function addPgBoss(count) {
  const PgBoss = require("pg-boss");
  const boss = new PgBoss({ connectionString, noSupervisor: true, noScheduling: true });
  await boss.start();
  for (let i = 0; i < count; i += 1000)
    await boss.insert(Array.from({ length: Math.min(1000, count - i) }, () => ({ name: "noop", data: {} })));
  await boss.stop({ graceful: false });
}

const left = {
  graphile: "select count(*)::int as n from graphile_worker._private_jobs",
  pgboss: "select count(*)::int as n from pgboss.job where name = 'noop' and state < 'completed'",
};

(async () => {
  const count = Number(jobs);
  await { graphile: addGraphile, pgboss: addPgBoss }[kind](count);
  const client = new Client({ connectionString });
  await client.connect();
  const children = Array.from({ length: Number(workers) }, () => fork(`${__dirname}/worker.js`, [kind, connectionString]));
  const begun = process.hrtime.bigint();
  for (;;) {
    const { rows } = await client.query(left[kind]);
    if (rows[0].n === 0) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
  for (const child of children) child.send("end");
  await client.end();
  console.log(JSON.stringify({ jobs: count, jobs_per_second: Math.round(count / seconds) }));
})();
