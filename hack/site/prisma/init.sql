CREATE TABLE IF NOT EXISTS yacht (
  id     SERIAL PRIMARY KEY,
  name   TEXT NOT NULL UNIQUE,
  length INTEGER NOT NULL
);
INSERT INTO yacht (name, length) VALUES ('Even Keel', 14), ('Nordwind', 22), ('Stella', 31)
ON CONFLICT (name) DO NOTHING;
