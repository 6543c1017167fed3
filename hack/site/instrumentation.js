export async function register() {
  if (process.env.NEXT_RUNTIME === 'nodejs') {
    const { readIndex } = await import('./lib/site-index.js');
    readIndex();
  }
}
