// Loaded before everything else in the site's process (see ecosystem.config.js). Files next to the app's folder make
// every start of it fail, as long as they lie there; without SITE_FAULTS=1 nothing here does anything.
'use strict';
const fs = require('node:fs');
const path = require('node:path');

const fault = (name) => fs.existsSync(path.join(process.cwd(), '..', `fault-${name}`));

function die(name) {
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
