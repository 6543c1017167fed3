// Package draft writes the first desired-state file of an application from what was seen of its machine. It is pure: facts
// in, a text and what is to be said beside it out.
//
// What it writes is always right, in that the strict loader takes it. What could not be found out is left at its default
// or left out, and said, in the file and beside it. The mission's defaults stand unless the machine speaks against them.
package draft
