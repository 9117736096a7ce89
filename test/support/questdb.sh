#!/usr/bin/env bash
# Prints the path of QuestDB's jar for tests; fetches it by its Maven coordinates if it is not there (30 MB).
# MILLRACE_QUESTDB_DIR (default ~/.cache/millrace-questdb) says where it stays. Needs Maven for that, and Java 17 or newer to run it.
set -euo pipefail
version=9.3.4                        # the newest there is, built for Java 17
sum=939bc53ab22f93dbaa6545143a6e7c536d4904c07b7f2d381e8eef10436be062
dir=${MILLRACE_QUESTDB_DIR:-$HOME/.cache/millrace-questdb}
jar=$dir/questdb-$version.jar

good () { echo "$sum  $1" | sha256sum --check --status; }
if [ ! -e "$jar" ]; then
  command -v mvn >/dev/null || { echo 'QuestDB for tests is fetched with Maven: apt-get install maven' >&2; exit 1; }
  mkdir -p "$dir"
  new=$(mktemp -d "$dir/new.XXXXXX")   # moved when whole: one that was interrupted starts over
  trap 'rm -rf "$new"' EXIT
  mvn -q -B dependency:copy -Dartifact="org.questdb:questdb:$version" -DoutputDirectory="$new" >&2
  good "$new/questdb-$version.jar" || { echo "questdb-$version.jar is not the one that was tested with" >&2; exit 1; }
  mv "$new/questdb-$version.jar" "$jar"
fi
good "$jar" || { echo "$jar is damaged: remove it" >&2; exit 1; }
echo "$jar"
