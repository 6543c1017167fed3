// Package e2e holds the end-to-end tests: the built program on the real stack of hack/stack, as root:
//
//	go test -tags e2e -timeout 60m ./hack/e2e/...                     a choice that fits into about 12 minutes
//	E2E_FULL=1 go test -tags e2e -timeout 90m ./hack/e2e/...          everything
//	go test -tags e2e -timeout 60m -run 'TestE2E/hang' ./hack/e2e/    what is named
//
// What goes wrong and what must follow is one table, package table, from which docs/failures.md is made; a row that needs
// more than the table can say has a test of its own here. The mission's six failures are always run. What else is run is
// drawn with E2E_SEED, which is printed, and so are E2E_PAIRS (2) random pairs of faults; with a shorter -timeout less is
// drawn. TestSoak breaks the site in one way after the other for SOAK_SECONDS (60). After every test all that evenkeel wrote, told and printed is searched for the site's secrets. EVENKEEL_STACK_DIR names another stack, so that two runs may go on side by side.
package e2e
