// One worker process of a rival: takes no-op jobs until it is told to end. Started by run.js.
"use strict";
const [kind, connectionString] = process.argv.slice(2);

async function graphile() {
  const { run, Logger } = require("graphile-worker");
  const silent = new Logger(() => () => {});
  const runner = await run({
    connectionString, concurrency: 24, pollInterval: 100, logger: silent, noHandleSignals: true,
    taskList: { noop: async () => {} },
  });
  return () => runner.stop();
}

async function pgboss() {
  const PgBoss = require("pg-boss");
  const boss = new PgBoss({ connectionString, noSupervisor: true, noScheduling: true });
  await boss.start();
  await boss.work("noop", { teamSize: 100, teamConcurrency: 100, newJobCheckInterval: 100 }, async () => {});
  return () => boss.stop({ graceful: false });
}

(async () => {
  const stop = await { graphile, pgboss }[kind]();
  process.send("ready");
  process.on("message", async () => {
    await stop();
    process.exit(0);
  });
})();
