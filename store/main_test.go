package store_test

import (
	"context"
	"flag"
	"testing"

	"rollcall/internal/testing/testdb"
	"rollcall/store"
)

// TestMain lowers how many cases a law draws: here each is a story in a database,
// told in many orders. The seeds are new in every run; -rapid.checks=300 draws more.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "25"); err != nil {
		panic(err)
	}
	testdb.Main(m)
}

// platformTypes is the default of PLATFORM_PRODUCT_TYPES.
var platformTypes = []string{"ppr_pro", "creator_plan", "credit_package"}

// open returns a store on a fresh database.
func open(t testing.TB) *store.Store {
	t.Helper()
	s, _ := openURL(t)
	return s
}

// openURL returns the database's URL as well, for a test to look inside.
func openURL(t testing.TB) (*store.Store, string) {
	t.Helper()
	url := testdb.Postgres(t)
	s, err := store.Open(context.Background(), url, store.Options{PlatformTypes: platformTypes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, url
}
