// What an owner of such a site writes: PM2 runs Next.js' own binary, in fork mode.
module.exports = {
  apps: [
    {
      name: 'bbyatch',
      cwd: __dirname,
      script: 'node_modules/next/dist/bin/next',
      args: 'start -p 3003',
      node_args: '--require ./faults.cjs', // only for the test faults below
      exec_mode: 'fork',
      env: { NODE_ENV: 'production', NEXT_TELEMETRY_DISABLED: '1', SITE_FAULTS: '1' },
    },
  ],
};
