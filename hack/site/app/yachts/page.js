import { db } from '../../lib/db.js';

export const dynamic = 'force-dynamic';

export default async function Yachts() {
  const yachts = await db.yacht.findMany({ orderBy: { length: 'asc' } });
  return (
    <main>
      <h1>Yachts</h1>
      <ul>
        {yachts.map((y) => (
          <li key={y.id}>
            {y.name}, {y.length} m
          </li>
        ))}
      </ul>
    </main>
  );
}
