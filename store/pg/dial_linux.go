package pg

import (
	"errors"
	"strings"
	"syscall"
)

// TCPUserTimeout is TCP_USER_TIMEOUT of tcp(7), in milliseconds.
const TCPUserTimeout = 18

// limitSilence makes the system give up a connection on which what was sent has
// not been confirmed for so long.
func limitSilence(network, _ string, c syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, TCPUserTimeout, int(silence.Milliseconds()))
	})
	return errors.Join(err, failed)
}
