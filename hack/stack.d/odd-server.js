// What stands in for others: `clients PORT N` holds so many connections and says nothing; `silent PORT` takes connections and answers nothing; `dns RCODE` is a name server on
// 127.0.0.1:53 that gives every question that code (3 no such name, 2 failure of its own); `edge STATUS CERT KEY` is a delivery
// network on port 443 that says that it did not get the site; `proxy HOST:PORT CERT KEY` is a proxy on another machine, and `nat HOST:PORT` is
// one that passes on what comes to its port 443 as it is.
const [, , mode, ...args] = process.argv;

if (mode === 'silent') {
  require('node:net').createServer(() => {}).listen(Number(args[0]), '127.0.0.1');
} else if (mode === 'clients') {
  const [port, count] = args.map(Number);
  const hold = () => {
    const again = () => setTimeout(hold, 300);
    require('node:net').connect(port, '127.0.0.1').on('error', () => {}).on('close', again);
  };
  for (let n = 0; n < count; n++) hold();
} else if (mode === 'dns') {
  const server = require('node:dgram').createSocket('udp4');
  server.on('message', (question, from) => {
    const answer = Buffer.from(question);
    answer[2] = 0x81; // an answer to a question that asked for recursion
    answer[3] = 0x80 | Number(args[0]);
    server.send(answer, from.port, from.address);
  });
  server.bind(53, '127.0.0.1');
} else if (mode === 'nat') {
  const net = require('node:net');
  const [host, port] = args[0].split(':');
  net
    .createServer((from) => {
      const to = net.connect(Number(port), host);
      from.pipe(to).pipe(from);
      for (const [one, other] of [[from, to], [to, from]]) one.on('error', () => other.destroy()).on('close', () => other.destroy());
    })
    .listen(443, '0.0.0.0');
} else {
  const fs = require('node:fs');
  const http = require('node:http');
  const [what, cert, key] = args;
  const answer = (req, res) => {
    if (mode === 'edge') {
      res.writeHead(Number(what), { server: 'cloudflare', 'cf-ray': '0-TEST' });
      res.end('error');
      return;
    }
    const [host, port] = what.split(':');
    const on = http.request({ host, port, path: req.url, method: req.method, headers: req.headers }, (got) => {
      res.writeHead(got.statusCode, got.headers);
      got.pipe(res);
    });
    on.on('error', () => res.writeHead(502).end());
    req.pipe(on);
  };
  require('node:https').createServer({ cert: fs.readFileSync(cert), key: fs.readFileSync(key) }, answer).listen(443, '0.0.0.0');
}
