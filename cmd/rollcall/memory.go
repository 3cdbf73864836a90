package main

import "github.com/KimMachineGun/automemlimit/memlimit"

// memoryShare is how much of a container's memory Go may take before it collects
// garbage harder. The rest is for what Go does not count, such as the buffers of
// connections.
const memoryShare = 0.8

// limitMemory makes Go's memory limit follow that of the container, unless
// GOMEMLIMIT sets it. Without a limit there is nothing to follow.
func limitMemory(ofContainer memlimit.Provider) {
	// It fails where there is no limit.
	_, _ = memlimit.SetGoMemLimitWithOpts(memlimit.WithRatio(memoryShare), memlimit.WithProvider(ofContainer))
}
