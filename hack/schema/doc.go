// Package schema compares two validations: that of the CRD, as an API server would do it, and evenkeel's own, which reads
// files. It is a module of its own, so that the API server's code is no dependency of evenkeel. It has no code but its test. When go.mod of
// evenkeel has changed, run "go mod tidy" here too.
package schema
