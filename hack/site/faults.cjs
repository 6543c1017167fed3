// Loaded before everything else in the site's process (see ecosystem.config.js). Files next to the app's folder make
// every start of it fail, as long as they lie there; without SITE_FAULTS=1 nothing here does anything.
'use strict';
const fs = require('node:fs');
const path = require('node:path');

const fault = (name) => fs.existsSync(path.join(process.cwd(), '..', `fault-${name}`));

// told: the secrets, as a site writes them that prints its settings when it dies
function told() {
  const secret = /^(DATABASE_URL|NEXTAUTH_SECRET)=/;
  for (const line of fs.readFileSync('.env', 'utf8').split('\n').filter((line) => secret.test(line))) console.error(line);
  console.error(`settings: ${JSON.stringify(Object.fromEntries(fs.readFileSync('.env', 'utf8').split('\n').map((l) => l.split('=', 2))))}`);
}

function die(name) {
  if (fs.readFileSync(path.join(process.cwd(), '..', `fault-${name}`), 'utf8') === 'telling') told();
  console.error(`Error: fault-${name}: this site was told to exit`);
  process.exit(1);
}

if (process.env.SITE_FAULTS === '1' && process.env.SITE_FAULTS_IGNORE_FILES !== '1') {
  // Stand still before anything is loaded: lets a test put something else on the port first.
  const nap = new Int32Array(new SharedArrayBuffer(4));
  for (let n = 0; fault('hold') && n < 600; n++) Atomics.wait(nap, 0, 0, 50);
  if (fault('die')) die('die');
  const rest = Math.max(0, 1200 - process.uptime() * 1000);
  if (fault('exit-silent')) {
    Atomics.wait(nap, 0, 0, rest);
    die('exit-silent');
  }
  if (fault('exit')) setTimeout(() => die('exit'), rest);
}
