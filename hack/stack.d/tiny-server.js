// node tiny-server.js PORT TEXT: a web server that has nothing to do with the site
'use strict';
const [port, text] = process.argv.slice(2);

function listen() {
  const server = require('node:http').createServer((req, res) => res.end(`${text}\n`));
  server.on('error', (err) => {
    if (err.code !== 'EADDRINUSE') throw err;
    setTimeout(listen, 50);
  });
  server.listen(Number(port));
}

listen();
