# shellcheck shell=bash
# What can go wrong with the database while it runs.
# shellcheck disable=SC2154,SC2015,SC2016,SC2034,SC2317,SC2329  # variables and functions of the other parts

FAULTS+='
postgres-full      every connection that PostgreSQL has is taken by somebody else; lasts until cleared
postgres-wrong-password  the password of the site in PostgreSQL is another one than in its .env; lasts until cleared
mariadb            MariaDB runs, too, on 127.0.0.1:3306, with its address in mariadb.env in the folder of the site (no fault yet)
mariadb-stop       that MariaDB is stopped
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

# --- MariaDB, which runs only where it is asked for -------------------------------------------------------------------

fault_mariadb() {
  local my=$live/mariadb user=other pw
  mark mariadb
  pw=$(cat "$live/pg-password")
  # the password is that of the other database, for which everything is searched
  if [[ ! -e $my/.complete ]]; then
    rm -rf "$my"
    install -d -m 755 -o "$user" -g "$(id -gn "$user")" "$my"
    as "$user" mkdir "$my/data"
    # as mariadb-install-db does it, which wants programs of the client's package
    {
      printf 'CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n'
      cat /usr/share/m*/mysql_system_tables.sql /usr/share/m*/mysql_performance_tables.sql /usr/share/m*/mysql_system_tables_data.sql
    } | as "$user" mariadbd --no-defaults --bootstrap --datadir="$my/data" >"$logs/mariadb-install.log" 2>&1 ||
      die "the data of MariaDB could not be made, see $logs/mariadb-install.log"
    touch "$my/.complete"
  fi
  put "$my/init.sql" 600 "$user" <<EOT
CREATE DATABASE IF NOT EXISTS yachts;
CREATE OR REPLACE USER bbyatch@'%' IDENTIFIED BY '$pw';
GRANT ALL ON yachts.* TO bbyatch@'%';
EOT
  mariadb_start
  put "$(host_app)/mariadb.env" 600 deploy <<EOT
MARIADB_URL="mysql://bbyatch:$pw@127.0.0.1:3306/yachts"
EOT
}
mariadb_start() {
  local my=$live/mariadb
  live_pid "$run/mariadb" >/dev/null && return 0
  end_stray mariadbd
  spawn mariadb other "$my" mariadbd --no-defaults --datadir="$my/data" --socket="$my/socket" --pid-file="$my/pid" --port=3306 \
    --bind-address=127.0.0.1 --init-file="$my/init.sql" --max-connect-errors=5 --innodb-buffer-pool-size=8M --innodb-flush-method=fsync
  wait_for 20 mariadb_listens || die "MariaDB did not start, see $logs/mariadb.log"
}
mariadb_listens() { [[ $(listener 3306) ]]; }
mariadb_stop() {
  local p
  p=$(live_pid "$run/mariadb") || return 0
  kill -TERM "$p"
  wait_for 10 gone "$p" || kill -KILL "$p"
}
clear_mariadb() {
  mariadb_stop
  rm -f "$(host_app)/mariadb.env"
}
fault_mariadb_stop() {
  mark mariadb-stop
  mariadb_stop
}
clear_mariadb_stop() { [[ ! -e $run/faults/mariadb ]] || mariadb_start; }
