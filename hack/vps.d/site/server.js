// A site with the faults that the tests want: it comes up only with a sound cache, and logs every answer.
'use strict';
const fs = require('node:fs');
const http = require('node:http');

if (fs.existsSync(`${__dirname}/.next/cache/poison`)) {
  console.error('SyntaxError: Unexpected token in JSON at position 0 (.next/cache)');
  process.exit(1);
}
const server = http.createServer((req, res) => {
  console.log(`${new Date().toISOString()} ${req.method} ${req.url}`);
  res.end('hello\n');
});
server.listen(Number(process.env.PORT || 3003), () => console.log(`ready ${process.pid}`));
process.on('SIGTERM', () => process.exit(0));
process.on('SIGINT', () => process.exit(0));
