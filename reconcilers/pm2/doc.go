//go:build linux

// Package pm2 is the runtime PM2 (5, 6 and 7): it looks at PM2's list, stops and starts processes through PM2, and reads in
// PM2's own log how they ended.
//
// Rules that hold everywhere here:
//
//   - Looking never brings a PM2 daemon into being. Every `pm2` command would do that where none runs, `jlist` and `ping`
//     included, and that daemon would live in our cgroup and die with us. So PM2's socket is asked first, always; looking,
//     stopping and starting speak PM2's own protocol over it, which cannot start anything. The command is the way out for
//     a PM2 whose protocol is not understood, and for adding to the list what it does not hold (see [Manager.Start]).
//   - A daemon that is gone is brought back by [Manager.Start] alone, and never beside a living one: by PM2's own service,
//     or by `pm2 resurrect`, in a unit of its own where we run in a service.
//   - PM2's answers hold every application's whole environment, secrets included. Only named fields are decoded, the bytes
//     are wiped, and no answer is ever part of an error or a log line.
//   - An answer of PM2 is a claim. Whether its pid lives, and is PM2's own child, is asked of the kernel.
//   - Never `pm2 save`, never `--update-env`.
package pm2
