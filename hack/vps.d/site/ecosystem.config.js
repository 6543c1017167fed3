module.exports = { apps: [{ name: 'site', cwd: __dirname, script: 'server.js', env: { PORT: 3003 } }] };
