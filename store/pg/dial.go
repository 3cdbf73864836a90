package pg

import (
	"net"
	"time"
)

// silence is after how long without a sign of life a server counts as gone, and
// what waited for its answer fails. A process that is killed says so at once; a
// machine or a network that is gone says nothing, and the system's own limits
// are a quarter of an hour.
const silence = 20 * time.Second

// newDialer returns what makes connections to Postgres.
func newDialer() *net.Dialer {
	return &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: silence / 4, Interval: silence / 4, Count: 3}, // of an answer that does not come
		Control:         limitSilence,                                                                          // of a request that does not arrive
	}
}
