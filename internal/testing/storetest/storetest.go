// Package storetest opens stores for the tests of the packages that read them.
package storetest

import (
	"testing"

	"rollcall/internal/testing/testdb"
	"rollcall/store"
)

// Open opens a store on a database of its own, after running statements in it.
func Open(t testing.TB, sql ...string) *store.Store {
	t.Helper()
	s := OpenAt(t, testdb.Postgres(t))
	for _, q := range sql {
		if _, err := s.Pool.Exec(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	return s
}

// OpenAt opens a store on the database at url.
func OpenAt(t testing.TB, url string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), url, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}
