package main

import (
	"errors"
	"testing"

	"rollcall/history"
	"rollcall/store"
)

// A file that a page named is read by no worker that has no folder for it. One
// that the command line named is.
func TestWorkersReadWhereTheyMay(t *testing.T) {
	run := func(file string) store.Backfill {
		return store.Backfill{Kind: "convex", Options: store.BackfillOptions{File: file}}
	}
	var refused *history.Refused
	if _, err := (history.Access{}).Open(run("etc/passwd")); !errors.As(err, &refused) {
		t.Errorf("%v", err)
	}
	for _, s := range []history.Access{{}, {ImportDir: "/exports"}} {
		if _, err := s.Open(run("/exports/a.zip")); err != nil {
			t.Errorf("%v", err)
		}
	}
	for _, bad := range []string{"", "exports"} {
		if err := (&Config{ImportDir: &bad}).checkImportDir(); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
}
