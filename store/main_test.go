package store_test

import (
	"context"
	"testing"

	"rollcall/internal/testing/testdb"
	"rollcall/store"
)

func TestMain(m *testing.M) { testdb.Main(m) }

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
