// Package service holds the tests of evenkeel as a service: the built program on the machine of hack/vps, which has systemd as
// process 1, as root:
//
//	go test -tags vps -timeout 30m ./hack/service
//
// Each test gets a freshly booted machine, with a site under PM2 behind Nginx. EVENKEEL_VPS_DIR names another one. With the tag
// qemu beside it the machine is an emulated one, with a kernel and swap of its own (hack/vps --qemu).
package service
