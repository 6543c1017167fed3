# shellcheck shell=bash
# Runs named sections one after the other, with a heading and a time for each, stops at the first that is red (unless told
# to go on), and always ends with a summary. For hack/test and hack/prove.

section_names=() section_results=() section_seconds=()
section_logs='' # the folder that keeps what go test says; one that is set before sections_begin is not removed
section_ends=() # functions that are called before the summary, whatever happens
section_litter='' # the folder that is removed at the end
sections_go_on='' # if set, a section that is red does not end the others
sections_kept=''  # if set, the file that keeps how sections ended: what stands in it is not run again

say() { printf '%s: %s\n' "${0##*/}" "$*"; }
die() {
  say "$*" >&2
  exit 1
}

# section NAME FUNCTION [ARG]…: runs a function, and exits if it fails. It runs in a shell of its own with set -e.
section() {
  local name=$1 start=$SECONDS code was
  shift
  if was=$(section_was "$name"); then
    section_names+=("$name")
    section_results+=("${was% *}")
    section_seconds+=("${was#* }")
    printf '\n=== %s: %s, as it was run before\n' "$name" "${was% *}"
    return
  fi
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
    [[ $sections_go_on ]] || exit "$code"
  else
    section_results+=(ok)
    printf -- '--- %s: ok, %s s\n' "$name" $((SECONDS - start))
  fi
  [[ ! $sections_kept ]] || printf '%s %s %s\n' "$name" "${section_results[-1]}" "${section_seconds[-1]}" >>"$sections_kept"
}

# section_was NAME: how a section ended that was run before, and how many seconds it took.
section_was() {
  [[ -f $sections_kept ]] && sed -n "s/^$1 //p" "$sections_kept" | grep -m 1 .
}

# sections_begin [EXTRA]…: what is called at the end, before the summary.
sections_begin() {
  section_ends=("$@")
  if [[ ! $section_logs ]]; then
    section_logs=$(mktemp -d "${TMPDIR:-/tmp}/evenkeel-test.XXXXXX")
    section_litter=$section_logs
  fi
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
  for i in "${section_results[@]}"; do [[ $i == ok ]] || code=$((code ? code : 1)); done
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
  [[ ! $section_litter ]] || rm -rf "$section_litter"
  exit "$code"
}

# logged NAME COMMAND…: runs a command, and keeps what it says for the end.
logged() {
  local name=$1
  shift
  "$@" 2>&1 | tee "$section_logs/$name.log"
}
