import fs from 'node:fs';
import path from 'node:path';
import { NextResponse } from 'next/server';
import { enabled, state } from './lib/faults.js';

const broken = (code, why) => {
  console.error(`Error: ${why}`);
  return new NextResponse('Internal Server Error\n', { status: code });
};

export async function proxy(request) {
  if (!enabled()) return NextResponse.next();
  if (fs.existsSync(path.join(/* turbopackIgnore: true */ process.cwd(), '..', 'fault-500'))) {
    return broken(500, 'fault-500: every page fails');
  }
  if (request.nextUrl.pathname === '/') {
    if (fs.existsSync(path.join(/* turbopackIgnore: true */ process.cwd(), '..', 'fault-redirect'))) {
      return NextResponse.redirect(new URL('/yachts', request.url));
    }
    if (state.slow > 0) {
      const ms = state.slow;
      state.slow = 0;
      await new Promise((done) => setTimeout(done, ms));
    }
    if (Date.now() < state.until) return broken(state.code, `the front page answers ${state.code}`);
  }
  return NextResponse.next();
}

export const config = { matcher: ['/', '/yachts'] };
