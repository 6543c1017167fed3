export const dynamic = 'force-dynamic';

export default function Home() {
  return (
    <main>
      <h1>BB Yacht</h1>
      <p>Served by process {process.pid}, up {Math.round(process.uptime())} s.</p>
    </main>
  );
}
