import net from 'node:net';
import { enabled, state } from '../../../../lib/faults.js';

export const dynamic = 'force-dynamic';

const later = (fn) => setTimeout(fn, 50);

const faults = {
  // mb=N: N MB of memory, touched and kept
  leak(q) {
    for (let left = q('mb', 100); left > 0; left -= 16) state.kept.push(Buffer.alloc(Math.min(left, 16) << 20, 1));
  },
  // ms=N: the next answer of / comes N ms late
  slow(q) {
    state.slow = q('ms', 3000);
  },
  // code=N, ms=N: / answers with this code for so long; ms=0: until the process ends
  status(q) {
    const ms = q('ms', 3000);
    state.code = q('code', 500);
    state.until = ms > 0 ? Date.now() + ms : Infinity;
  },
  exit(q) {
    const code = q('code', 1);
    later(() => process.exit(code));
  },
  loop() {
    later(() => {
      for (;;);
    });
  },
  throw() {
    later(() => {
      throw new Error('an exception that nobody caught');
    });
  },
  heap() {
    later(() => {
      for (;;) state.kept.push(Array.from({ length: 1000 }, (_, n) => ({ n, text: `${n} of ${state.kept.length}` })));
    });
  },
  // the process lives on, but listens no more
  unlisten() {
    later(() => {
      setInterval(() => {}, 60_000);
      for (const h of process._getActiveHandles()) {
        if (h instanceof net.Server && h.address()?.port) h.close();
      }
    });
  },
};

export async function GET(request, { params }) {
  const { kind } = await params;
  if (!enabled() || !(kind === 'state' || Object.hasOwn(faults, kind))) return new Response('Not found\n', { status: 404 });
  if (kind === 'state') return Response.json({ touched: state.touched, pid: process.pid });
  state.touched = true;
  const search = new URL(request.url).searchParams;
  faults[kind]((name, otherwise) => {
    const n = Number(search.get(name) ?? NaN);
    return Number.isFinite(n) ? n : otherwise;
  });
  return Response.json({ fault: kind, pid: process.pid });
}
