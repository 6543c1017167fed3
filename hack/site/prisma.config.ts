import { defineConfig } from 'prisma/config';

// `prisma generate` wants the schema engine to be there although it never runs it. Naming any program keeps Prisma from
// downloading one, so that the site builds from npm's packages alone.
process.env.PRISMA_SCHEMA_ENGINE_BINARY ??= '/bin/true';

export default defineConfig({ schema: 'prisma/schema.prisma' });
