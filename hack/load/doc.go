// Package load watches many applications at once with the built evenkeel, and measures how late its passes are, and what it
// takes of the machine:
//
//	go test -tags load -count=1 -v ./hack/load
//
// First all are well; then a tenth of them crash, hang or answer 500 without end, and every sink hangs: webhooks, programs,
// heartbeats, and what reads standard error. Those that are well must be looked at as punctually as before. LOAD_SECONDS (20) is
// for how long each is measured, LOAD_APPS (100) how many there are; with LOAD_ASSERT=1 the delay, too, is asserted and not
// only printed: it wants a machine that nobody else uses.
package load
