//go:build !linux

package pg

import "syscall"

// limitSilence has nothing to set here.
func limitSilence(string, string, syscall.RawConn) error { return nil }
