// A cache of the site's own, as many sites have one. Like many, it trusts what it finds there.
import fs from 'node:fs';
import path from 'node:path';

const files = ['.next/cache/site-index.json', 'node_modules/.cache/site/index.json'];

export function readIndex() {
  for (const name of files) {
    const file = path.join(/* turbopackIgnore: true */ process.cwd(), name);
    let text;
    try {
      text = fs.readFileSync(file, 'utf8');
    } catch {
      text = JSON.stringify({ version: 1, pages: ['/', '/yachts'], built: new Date().toISOString() }, null, 2);
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, text);
    }
    try {
      JSON.parse(text);
    } catch (err) {
      console.error(`The site's index cannot be read: ${name}`);
      console.error(err);
      process.exit(1);
    }
  }
}
