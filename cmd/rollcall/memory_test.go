package main

import (
	"os"
	"runtime/debug"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// Go's memory limit follows the container's; GOMEMLIMIT goes before it, and where
// there is no limit nothing changes.
func TestMemoryLimit(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	container := memlimit.Limit(500 << 20)
	t.Setenv("GOMEMLIMIT", "100MiB")
	limitMemory(container)
	if got := debug.SetMemoryLimit(-1); got != before {
		t.Errorf("GOMEMLIMIT is set, and the limit is %d", got)
	}
	os.Unsetenv("GOMEMLIMIT") // t.Setenv brings back what was there
	limitMemory(func() (uint64, error) { return 0, memlimit.ErrNoLimit })
	if got := debug.SetMemoryLimit(-1); got != before {
		t.Errorf("without a container's limit it is %d", got)
	}
	limitMemory(container)
	if got := debug.SetMemoryLimit(-1); got != 400<<20 {
		t.Errorf("in a container of 500 MiB it is %d", got)
	}
}
