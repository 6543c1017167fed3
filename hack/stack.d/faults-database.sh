# shellcheck shell=bash
# What can go wrong with the database while it runs.
# shellcheck disable=SC2154,SC2015,SC2016,SC2034,SC2317,SC2329  # variables and functions of the other parts

FAULTS+='
postgres-full      every connection that PostgreSQL has is taken by somebody else; lasts until cleared
postgres-wrong-password  the password of the site in PostgreSQL is another one than in its .env; lasts until cleared
'

pg_say() { as postgres psql -q -h "$live/pg" -v ON_ERROR_STOP=1 -d postgres >/dev/null; }

# One session takes all that is left, through dblink, and ends the site's own until the site has none.
fault_postgres_full() {
  mark postgres-full
  as postgres mkfifo "$live/pg/full" || die "the pipe to PostgreSQL's guest could not be made"
  # shellcheck disable=SC2016 # what stands in single quotes is for the inner shell
  spawn pg-full postgres "$live/pg" bash -c 'exec 3<>full; exec psql -q -h "$0" -d postgres <full' "$live/pg"
  cat >"$live/pg/full" <<'EOT'
CREATE EXTENSION IF NOT EXISTS dblink;
DO $$
DECLARE taken int := 0; clear int := 0;
BEGIN
  FOR round IN 1..500 LOOP
    BEGIN
      PERFORM dblink_connect('c' || taken, 'host=' || current_setting('unix_socket_directories') || ' dbname=postgres');
      taken := taken + 1;
    EXCEPTION WHEN OTHERS THEN
      PERFORM pg_stat_clear_snapshot();
      IF NOT EXISTS (SELECT FROM pg_stat_activity WHERE usename = 'bbyatch') THEN RETURN; END IF;
      PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'bbyatch';
      PERFORM pg_sleep(0.05);
    END;
  END LOOP;
END $$;
\! touch filled
EOT
  wait_for 20 test -e "$live/pg/filled" || die "PostgreSQL is not full, see $logs/pg-full.log"
}
clear_postgres_full() {
  kill_mark pg-full
  rm -f "$live/pg/full" "$live/pg/filled"
}

# what is connected stays so; so the site's connections are ended, too
fault_postgres_wrong_password() {
  mark postgres-wrong-password
  pg_say <<'EOT' || die "the password could not be changed"
ALTER ROLE bbyatch PASSWORD 'not-the-one-in-the-file';
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'bbyatch';
EOT
}
clear_postgres_wrong_password() { pg_say <<<"ALTER ROLE bbyatch PASSWORD '$(cat "$live/pg-password")';" || true; }
