// Loaded before a site that is to starve itself (hack/stack fault starve-self): told by a file, it begins more endless loops
// than there are processors, below itself, and runs into one.
'use strict';
const fs = require('node:fs');
const os = require('node:os');
const { spawn } = require('node:child_process');

const told = `${process.cwd()}/../fault-busy`;
setInterval(() => {
  if (!fs.existsSync(told)) return;
  fs.rmSync(told);
  for (let n = 0; n < 2 * os.availableParallelism(); n++) spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' });
  for (;;);
}, 200).unref();
