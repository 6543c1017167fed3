# shellcheck shell=bash
# The checks that hack/test and hack/prove are made of; each is a function for section.
# shellcheck disable=SC2154  # what hack/lib/sections.sh sets is used here

# unit_packages: all but the end-to-end suite.
unit_packages() { go list ./... | grep -v '/hack/e2e$'; }

check_gofmt() {
  local wrong
  wrong=$(git_files '*.go' | xargs -0 gofmt -l)
  [[ -z $wrong ]] || {
    printf 'not gofmt-ed:\n%s\n' "$wrong"
    return 1
  }
}

# git_files PATTERN…: the project's files, NUL-separated, whether committed yet or not. Without git, all that are there.
git_files() {
  if git -c safe.directory='*' rev-parse --git-dir >/dev/null 2>&1; then
    git -c safe.directory='*' ls-files -z --cached --others --exclude-standard -- "$@" | while IFS= read -r -d '' file; do
      [[ -f $file ]] && printf '%s\0' "$file"
    done
    return
  fi
  local pattern args=()
  for pattern in "$@"; do args+=(-o -path "./$pattern"); done
  find . \( -name node_modules -o -name .git -o -name .next \) -prune -o -type f \( "${args[@]:1}" \) -print0
}

check_generated() { hack/generate --check; }

check_vet() {
  go vet ./...
  go vet -tags e2e ./hack/e2e/...
  go vet -tags load ./hack/load/...
  go vet -tags vps ./hack/service
  go vet -tags vps,qemu ./hack/service
  (cd hack/package && go vet ./...)
}

check_lint() { nice golangci-lint run ./...; }

check_shell() {
  local file line files=()
  while IFS= read -r -d '' file; do
    line=''
    IFS= read -r line <"$file" || true
    case $file:$line in *.sh:* | *:'#!'*/bash* | *:'#!'*' bash'* | *:'#!/bin/sh'*) files+=("$file") ;; esac
  done < <(git_files 'hack/*' '.ci/*' | grep -zv '^hack/site/')
  printf '%s files\n' "${#files[@]}"
  shellcheck -x "${files[@]}"
}

# check_unit [FLAG]…
check_unit() {
  local packages
  mapfile -t packages < <(unit_packages)
  logged 1-unit env -u SIM_SECONDS -u SIM_SEED -u SIM_FULL go test -race -timeout 15m "$@" "${packages[@]}"
}

# check_schema: the CRD, as an API server reads it, and evenkeel itself give the same verdict over one corpus. It is a module of its own.
check_schema() { (cd hack/schema && logged 1-schema go test -count=1 -v ./...); }

# check_load [SECONDS]: many applications at once; how late passes are is printed, and asserted with LOAD_ASSERT=1.
check_load() { LOAD_SECONDS=${LOAD_SECONDS:-${1:-15}} logged 2-load go test -tags load -count=1 -v -timeout 30m ./hack/load; }

# check_tour [TIMES]: the demo breaks its site in every way it knows, and compares what is made of it with what should be.
check_tour() {
  local times=${1:-1} i out=$section_logs/tour
  CGO_ENABLED=0 go build -trimpath -o "$section_logs/evenkeel" .
  for ((i = 1; i <= times; i++)); do
    "$section_logs/evenkeel" demo --tour >"$out" 2>&1 || {
      cat "$out"
      return 1
    }
    ((i == times)) && sed -n '/SCENE/,$p' "$out"
    ((times == 1)) || printf 'tour %s of %s: %s\n' "$i" "$times" "$(tail -n 1 "$out")"
  done
}

# commit_seed: a seed that goes with the commit, so that the same commit meets the same dice again, and the next one others.
commit_seed() {
  local commit
  commit=$(git -c safe.directory='*' rev-parse --short=7 HEAD 2>/dev/null) || commit=$RANDOM
  printf '%s\n' "$((16#$commit))"
}

# check_sim [SECONDS [SEED]]: the simulator for SIM_SECONDS from SIM_SEED, which is printed.
check_sim() {
  logged 1-sim env SIM_SECONDS="${SIM_SECONDS:-${1:-30}}" SIM_SEED="${SIM_SEED:-${2:-$(commit_seed)}}" go test -count=1 -v -timeout 60m -run '^TestCampaign$' ./hack/sim
}

# check_planted: every planted bug is found by the simulator, every old schedule breaks without its mend, and every record that
# can be reached leads on.
check_planted() {
  logged 1-planted env SIM_FULL=1 go test -count=1 -v -timeout 120m -run '^TestPlantedBugsAreFound$|^TestSchedulesBreakWithoutTheirMends$|^TestEveryReachableRecord$' ./hack/sim
}

# check_mutants: every small change to what decides is noticed, or docs/mutants.md says why not.
check_mutants() { logged 1-mutants go run ./hack/mutants; }

# packages_of: the packages of the files on standard input, as go test takes them.
packages_of() { xargs -n1 dirname | sort -u | sed 's,^\(\./\)\?,./,'; }

# check_fuzz [SECONDS]: every fuzz target for FUZZTIME, or, where that is not set, for its share of the seconds; as many at once as
# there are processors. One that is red does not end the others.
check_fuzz() {
  local package target name targets=() each red=0 lanes
  lanes=$(nproc)
  while IFS= read -r package; do
    while IFS= read -r name; do targets+=("$package $name"); done < <(go test -list '^Fuzz' "$package" | grep '^Fuzz')
  done < <(git_files '*_test.go' | xargs -0 grep -l '^func Fuzz' | packages_of)
  each=${FUZZTIME:-$((${1:-0} / ${#targets[@]} + 1))s}
  printf '%s targets, each for %s, %s at once\n' "${#targets[@]}" "$each" "$lanes"
  for target in "${targets[@]}"; do
    while (($(jobs -rp | wc -l) >= lanes)); do wait -n || red=1; done
    fuzz_target "${target% *}" "${target#* }" "$each" &
  done
  while (($(jobs -p | wc -l))); do wait -n || red=1; done
  return $red
}

# fuzz_target PACKAGE NAME TIME: one fuzz target; what it says is printed when it is done.
fuzz_target() {
  local package=$1 name=$2 each=$3 log code=0
  log=$section_logs/2-fuzz-$(basename "$package")-$name.log
  go test -run '^$' -fuzz "^$name\$" -fuzztime "$each" -fuzzminimizetime 1s -parallel 1 "$package" >"$log" 2>&1 || code=$?
  # Until Go 1.27 a run whose time is up may end with this error and nothing else, whatever it found: golang/go#75804.
  if ((code)) && [[ $(sed -n '/^--- FAIL: /,$p' "$log" | sed -n 2,3p) == $'    context deadline exceeded\nFAIL' ]]; then
    code=0
    sed -i -e '/^--- FAIL: /,$d' "$log"
    printf 'ok  \t%s\t(its time was up; golang/go#75804)\n' "$package" >>"$log"
  fi
  printf '%s %s: %s\n' "$package" "$name" "$(if ((code)); then cat "$log"; else grep '^fuzz: ' "$log" | tail -n 1; fi)"
  return "$code"
}

# check_repeated VARIABLE TIMES: the tests that VARIABLE says how often to repeat something, such as RACE_ROUNDS; those of the
# files that name it.
check_repeated() {
  local variable=$1 times=$2 files packages names
  mapfile -d '' files < <(git_files '*_test.go' | xargs -0 grep -lZ "\"$variable\"")
  mapfile -t packages < <(printf '%s\n' "${files[@]}" | packages_of)
  names=$(grep -hoP '^func \KTest\w+' "${files[@]}" | paste -sd'|')
  printf '%s=%s: %s\n' "$variable" "$times" "${names//|/, }"
  logged "1-repeated-$variable" env "$variable=$times" go test -count=1 -v -timeout 300m -run "^($names)\$" "${packages[@]}"
}

# stack_down ends the stack if it was we who began it; what was built stays.
stack_down() {
  [[ -e $section_logs/stack ]] || return 0
  printf '\n=== hack/stack down\n'
  as_root hack/stack down && rm -f "$section_logs/stack"
}

# check_e2e: the end-to-end tests that are chosen.
check_e2e() { run_e2e e2e -skip '^TestSoak$'; }

# run_e2e NAME FLAG…: end-to-end tests; it says how to run the same again.
run_e2e() {
  local name=$1
  shift
  as_root hack/stack status >/dev/null 2>&1 || touch "$section_logs/stack"
  as_root hack/stack up
  export E2E_SEED=${E2E_SEED:-$(commit_seed)} E2E_FULL=${E2E_FULL:-0} E2E_PAIRS=${E2E_PAIRS:-2}
  printf 'again: E2E_SEED=%s E2E_FULL=%s E2E_PAIRS=%s hack/%s %s\n' "$E2E_SEED" "$E2E_FULL" "$E2E_PAIRS" "${0##*/}" "$name"
  logged "3-$name" as_root go test -tags e2e -p 1 -v -count=1 -timeout "${E2E_TIMEOUT:-20m}" "$@" ./hack/e2e/...
}

# check_vps [PATTERN]: evenkeel as a service, on a machine with systemd of its own; the tests that PATTERN names, or all. Where a
# machine cannot have another one inside (a container without its rights) that is said, and nothing is shown.
check_vps() {
  if ! as_root hack/vps able; then
    printf 'NOT RUN: this machine cannot boot another one\n'
    return
  fi
  logged 4-vps as_root go test -tags vps -v -count=1 -timeout 40m -run "${1:-.}" ./hack/service
}

# check_qemu: what wants a kernel of its own, on an emulated machine: a reboot, and swap that is cleared. Where a machine cannot
# emulate another one that is said, and nothing is shown.
check_qemu() {
  local code=0
  if ! as_root hack/vps --qemu able; then
    printf 'NOT RUN: this machine cannot emulate another one\n'
    return
  fi
  logged 4-qemu as_root go test -tags vps,qemu -v -count=1 -timeout 90m -run '^(TestARecoveryClearsSwapThroughTheHelper|TestAReboot)$' \
    ./hack/service || code=$?
  as_root hack/vps --qemu down # a test that was ended by its time limit leaves it
  return "$code"
}

# check_soak [SECONDS]: one fault after the other on the real stack, for SOAK_SECONDS.
check_soak() {
  export SOAK_SECONDS=${SOAK_SECONDS:-${1:-60}}
  run_e2e soak -run '^TestSoak$'
}
