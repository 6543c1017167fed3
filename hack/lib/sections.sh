# shellcheck shell=bash
# Runs named sections one after the other, with a heading and a time for each, stops at the first that is red, and always
# ends with a summary. For hack/test and hack/prove.

section_names=() section_results=() section_seconds=()
section_logs='' # the folder that keeps what go test says
section_ends=() # functions that are called before the summary, whatever happens

say() { printf '%s: %s\n' "${0##*/}" "$*"; }
die() {
  say "$*" >&2
  exit 1
}

# section NAME FUNCTION [ARG]…: runs a function, and exits if it fails. It runs in a shell of its own with set -e.
section() {
  local name=$1 start=$SECONDS code
  shift
  printf '\n=== %s\n' "$name"
  set +e
  (
    set -euo pipefail
    "$@"
  )
  code=$?
  set -e
  section_names+=("$name")
  section_seconds+=($((SECONDS - start)))
  if ((code)); then
    section_results+=(FAILED)
    printf -- '--- %s: FAILED after %s s (exit %s)\n' "$name" $((SECONDS - start)) "$code"
    exit "$code"
  fi
  section_results+=(ok)
  printf -- '--- %s: ok, %s s\n' "$name" $((SECONDS - start))
}

# sections_begin [EXTRA]…: what is called at the end, before the summary.
sections_begin() {
  section_ends=("$@")
  section_logs=$(mktemp -d "${TMPDIR:-/tmp}/evenkeel-test.XXXXXX")
  trap sections_end EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

sections_end() {
  local code=$? i
  trap '' INT TERM
  trap - EXIT
  set +e
  for i in "${section_ends[@]}"; do "$i" || code=$((code ? code : 1)); done
  printf '\n=== summary\n'
  for i in "${!section_names[@]}"; do
    printf '%-12s %-7s %5s s\n' "${section_names[i]}" "${section_results[i]}" "${section_seconds[i]}"
  done
  printf '%-12s %-7s %5s s\n' total "$( ((code)) && echo FAILED || echo ok)" "$SECONDS"
  # The last lines are go test's own, so that whoever reads the end of a log sees which tests ran.
  if compgen -G "$section_logs/*.log" >/dev/null; then
    printf '\n=== what go test said\n'
    cat "$section_logs"/*.log | grep -E '^(ok|FAIL|panic:|--- FAIL|    --- FAIL|WARNING: DATA RACE)' | grep -v 'no test files'
  fi
  rm -rf "$section_logs"
  exit "$code"
}

# logged NAME COMMAND…: runs a command, and keeps what it says for the end.
logged() {
  local name=$1
  shift
  "$@" 2>&1 | tee "$section_logs/$name.log"
}
