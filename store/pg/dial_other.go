//go:build !linux

package pg

import "syscall"

// limitSilence does nothing on other systems.
func limitSilence(string, string, syscall.RawConn) error { return nil }
