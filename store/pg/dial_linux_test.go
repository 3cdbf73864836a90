package pg

import (
	"net"
	"syscall"
	"testing"
)

// A connection that says nothing is given up after a while, whichever side waits.
func TestSilenceIsLimited(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := newDialer().DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		option := func(number int) int {
			value, err := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, number)
			if err != nil {
				t.Error(err)
			}
			return value
		}
		if got := option(tcpUserTimeout); got != int(silence.Milliseconds()) {
			t.Errorf("what is sent may stay unconfirmed for %d ms", got)
		}
		if got := option(syscall.TCP_KEEPIDLE) + option(syscall.TCP_KEEPCNT)*option(syscall.TCP_KEEPINTVL); got != int(
			silence.Seconds()) {
			t.Errorf("a silent server counts as gone after %d s", got)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}
