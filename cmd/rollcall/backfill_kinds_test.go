package main

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/jackc/pgx/v5"

	"rollcall/history"
	"rollcall/internal/testing/testdb"
	"rollcall/store"
)

// TestBackfillKinds: the kinds of the registry are those that the database takes,
// that the API describes, that commands start, that docs tell of, and that workers
// can open.
func TestBackfillKinds(t *testing.T) {
	want := []string{}
	for _, k := range store.BackfillKinds {
		want = append(want, k.Name)
		if k.Label == "" || k.Title == "" || k.Objects == "" || k.Found == "" || k.Chunk < 1 || k.Most < k.Chunk {
			t.Errorf("%+v lacks something", k)
		}
		access := history.Access{StripeKey: "sk_test_1", ClerkKey: "sk_test_1"}
		if _, err := access.Open(store.Backfill{Kind: k.Name, Options: store.BackfillOptions{File: "/a.zip"}}); err != nil {
			t.Errorf("%s: %v", k.Name, err)
		}
	}
	slices.Sort(want)
	for where, got := range map[string][]string{
		"the database": kindsOfDatabase(t), "openapi.json": kindsOfAPI(t), "the commands": kindsOfCommands(t),
		"docs/backfills.md": kindsOfDocs(t),
	} {
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s has %q, the registry %q", where, got, want)
		}
	}
}

// TestBackfillFields: each option of a kind has a field of the page's form, which
// shows where a kind is chosen that takes it.
func TestBackfillFields(t *testing.T) {
	form, style := read(t, "../../web/templates/backfills.html"), read(t, "../../web/assets/admin.css")
	for _, k := range store.BackfillKinds {
		for _, option := range append(k.Takes, k.Needs, k.Scope) {
			if option == "" {
				continue
			}
			if !slices.Contains(k.Takes, option) {
				t.Errorf("%s does not take its own %s", k.Name, option)
			}
			if !strings.Contains(form, "for-"+option+`"`) || !strings.Contains(form, `name="`+option+`"`) ||
				!strings.Contains(style, `[data-takes~="`+option+`"]:checked)) .for-`+option+":") {
				t.Errorf("the form has no field for %s of %s, or no rule that shows it", option, k.Name)
			}
		}
	}
}

func read(t *testing.T, path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func kindsOfDatabase(t *testing.T) (kinds []string) {
	db, err := pgx.Connect(t.Context(), testdb.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(t.Context())
	var check string
	if err := db.QueryRow(t.Context(), `SELECT pg_get_constraintdef(oid) FROM pg_constraint
		WHERE conname = 'backfills_kind_check'`).Scan(&check); err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`'([^']+)'`).FindAllStringSubmatch(check, -1) {
		kinds = append(kinds, m[1])
	}
	return kinds
}

func kindsOfAPI(t *testing.T) []string {
	var api struct {
		Components struct {
			Schemas map[string]struct{ Enum []string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "../../web/api/openapi.json")), &api); err != nil {
		t.Fatal(err)
	}
	return api.Components.Schemas["BackfillKind"].Enum
}

func kindsOfCommands(t *testing.T) (kinds []string) {
	for _, node := range kong.Must(&backfillStartCmd{}).Model.Children {
		kinds = append(kinds, node.Name)
	}
	return kinds
}

func kindsOfDocs(t *testing.T) (kinds []string) {
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)( FILE)?` \\|.*\\|.*\\|$").FindAllStringSubmatch(
		read(t, "../../docs/backfills.md"), -1) {
		kinds = append(kinds, m[1])
	}
	return kinds
}
