//go:build !linux

package store

import "syscall"

// limitSilence has nothing to set here.
func limitSilence(string, string, syscall.RawConn) error { return nil }
