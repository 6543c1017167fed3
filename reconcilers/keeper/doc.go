//go:build linux

// Package keeper is the exec runtime: evenkeel starts an application itself and keeps its process, without another process
// manager.
//
// The process lives in a session of its own, writes its output straight into a file, and so goes on living when evenkeel
// ends, however that ends. It is found again by its mark: the folder of the keeper, the App's name and the name of this
// life stand in the environment it was born with. A small record says which life is the current one; it is written before
// a process is made (what is meant) and after it (what became of it), and is never believed without a look at the process.
// So there are never two copies, wherever evenkeel was killed.
//
// Where evenkeel runs in a service of systemd's, each life is moved out of that service's control group, into a scope of its own.
// Nothing waits for that, and where it cannot be done the life stays where it was born.
//
// A process that ends unasked is started again: at once, then after growing waits. Not while the App is paused, only observed or Failed
// or being recovered: the keeper is handed every change of the App ([Keeper.Keep]), and looks for nothing itself.
package keeper
