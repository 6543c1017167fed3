package main

// switches is the file that is added to every package with mutants in it: each mutant is in the binary, and the environment
// says which one is active. So all of them are compiled once.
const switches = `

import (
	"cmp"
	"os"
	"strconv"
)

var mutantActive, _ = strconv.Atoi(os.Getenv("EVENKEEL_MUTANT"))

type mutantInteger interface {
	~int | ~int32 | ~int64 | ~uint32 | ~uint64
}

func mutantKeeps(id int) bool { return id != mutantActive }

func mutantNot(id int, b bool) bool { return b != (id == mutantActive) }

func mutantBranch(id int, b bool) bool { return b && id != mutantActive }

func mutantAnd(id, left, right int, a bool, b func() bool) bool {
	switch mutantActive {
	case id:
		return a || b()
	case left:
		return a
	case right:
		return b()
	}
	return a && b()
}

func mutantOr(id, left, right int, a bool, b func() bool) bool {
	switch mutantActive {
	case id:
		return a && b()
	case left:
		return a
	case right:
		return b()
	}
	return a || b()
}

func mutantEdge[T cmp.Ordered](id int, op string, a, b T) bool {
	switch op {
	case "<":
		return a < b || id == mutantActive && a == b
	case "<=":
		return a < b || id != mutantActive && a == b
	case ">":
		return a > b || id == mutantActive && a == b
	}
	return a > b || id != mutantActive && a == b
}

func mutantLeft[T any](id int, left, whole T) T {
	if id == mutantActive {
		return left
	}
	return whole
}

func mutantEnd[T cmp.Ordered](id int, name string, a, b T) T {
	if (name == "min") != (id == mutantActive) {
		return min(a, b)
	}
	return max(a, b)
}

func mutantMore[T mutantInteger](id int, v T) T {
	switch {
	case id != mutantActive:
		return v
	case v > 1e6:
		return 2 * v
	}
	return v + 1
}

func mutantNumber[T mutantInteger](id int, _, v T) T {
	if id == mutantActive {
		return v + 1
	}
	return v
}

func mutantElse[T any](id int, v, other T) T {
	if id == mutantActive {
		return other
	}
	return v
}

func mutantZero[T any](id int, v T) T {
	if id == mutantActive {
		var none T
		return none
	}
	return v
}

var _ = []any{mutantKeeps, mutantNot, mutantAnd, mutantOr, mutantEdge[int], mutantLeft[int], mutantEnd[int], mutantMore[int], mutantZero[int], mutantElse[int], mutantBranch, mutantNumber[int]}
`
