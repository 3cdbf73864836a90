package pg

import (
	"net"
	"time"
)

// silence is how long an unresponsive server may take before its connection is
// dropped. A killed process closes its connections; a lost machine or network does
// not, and the system's own limits are a quarter of an hour.
const silence = 20 * time.Second

// newDialer returns a dialer for connections to Postgres.
func newDialer() *net.Dialer {
	return &net.Dialer{
		// for missing answers
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: silence / 4, Interval: silence / 4, Count: 3},
		Control:         limitSilence, // for undelivered requests
	}
}
