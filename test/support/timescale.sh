#!/usr/bin/env bash
# A real TimescaleDB (Apache edition) for tests: Debian 13's build in a folder of its own, on loopback, on any Debian.
#   test/support/timescale.sh start     installs it if need be, starts it if need be, prints its URL
#   test/support/timescale.sh stop      stops it; the folder stays
# MILLRACE_TIMESCALE_DIR (default /opt/millrace-timescale) and MILLRACE_TIMESCALE_PORT (default 54317) say where.
# Needs root or sudo, debootstrap, and a Debian mirror on the first start (about a minute, 400 MB).
set -euo pipefail
dir=${MILLRACE_TIMESCALE_DIR:-/opt/millrace-timescale}
port=${MILLRACE_TIMESCALE_PORT:-54317}
url=postgres://postgres@127.0.0.1:$port/postgres

root () { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
# The server's own tools, as its own user: nothing that looks into /proc, which the folder does not have.
inside () {
  local user; user=$(awk -F: '$1 == "postgres" { print $3 ":" $4 }' "$dir/etc/passwd")
  root chroot --userspec="$user" "$dir" /usr/bin/env -i PATH=/usr/lib/postgresql/17/bin:/usr/bin:/bin LC_ALL=C.UTF-8 "$@"
}
data=/var/lib/postgresql/17/main
running () { inside pg_ctl status -D "$data" >/dev/null 2>&1; }

install () {
  [ ! -e "$dir/.installed" ] || return 0
  command -v debootstrap >/dev/null || [ -x /usr/sbin/debootstrap ] || { echo 'TimescaleDB for tests needs debootstrap: apt-get install debootstrap' >&2; exit 1; }
  [ ! -e "$dir" ] || { echo "$dir is there and was not made by this script: remove it, or set MILLRACE_TIMESCALE_DIR" >&2; exit 1; }
  local new=$dir.new                 # renamed when whole: one that was interrupted starts over
  root rm -rf --one-file-system "$new"
  root env PATH="/usr/sbin:$PATH" debootstrap --variant=minbase --include=postgresql-17,postgresql-17-timescaledb trixie "$new" "${MILLRACE_DEBIAN_MIRROR:-}" >"${TMPDIR:-/tmp}/millrace-debootstrap.log" ||
    { tail -n 20 "${TMPDIR:-/tmp}/millrace-debootstrap.log" >&2; exit 1; }
  root tee "$new/etc/postgresql/17/main/conf.d/millrace.conf" >/dev/null <<CONF
shared_preload_libraries = 'timescaledb'
listen_addresses = '127.0.0.1'
timescaledb.telemetry_level = off
fsync = off
max_locks_per_transaction = 256
CONF
  root tee "$new/etc/postgresql/17/main/pg_hba.conf" >/dev/null <<CONF
local all all peer
host all all 127.0.0.1/32 trust
CONF
  root touch "$new/.installed"
  root mv "$new" "$dir"
}

start () {
  install
  if ! running; then
    [ -e "$dir/dev/null" ] || root mknod -m 666 "$dir/dev/null" c 1 3
    [ -e "$dir/dev/urandom" ] || root mknod -m 666 "$dir/dev/urandom" c 1 9
    root mkdir -p -m 1777 "$dir/run/postgresql"
    inside pg_ctl start -w -t 60 -D "$data" -l /var/log/postgresql/server.log -o "-c config_file=/etc/postgresql/17/main/postgresql.conf -p $port" >&2
  fi
  for _ in $(seq 100); do
    if inside pg_isready -q -h 127.0.0.1 -p "$port"; then echo "$url"; return; fi
    sleep 0.1
  done
  echo "TimescaleDB does not answer at $url" >&2
  exit 1
}

stop () {
  if [ -e "$dir/.installed" ] && running; then inside pg_ctl stop -w -m fast -D "$data" >&2; fi
}

case ${1:-start} in
  start) start ;;
  stop) stop ;;
  *) echo "usage: $0 start | stop" >&2; exit 2 ;;
esac
