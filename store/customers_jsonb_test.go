package store

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"rollcall/internal/testing/testdb"
)

// Whatever is in the lists, as Postgres writes it: encoding/json reads the same.
func TestFlatListReadsAsJSON(t *testing.T) {
	conn, err := pgx.Connect(t.Context(), testdb.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	word := rapid.OneOf(rapid.SampledFrom([]any{"", "course_1", "usd", `a "b" \ c`, "{[,]}: ", "Żaneta\n", "null", "2026-01-02T03:04:05Z"}),
		rapid.Just[any](nil), rapid.Map(rapid.StringMatching(`[ -~]*`), func(s string) any { return s }))
	when := rapid.SampledFrom([]any{nil, "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000006+02:00"})
	number := rapid.OneOf(rapid.Map(rapid.Int64(), func(n int64) any { return n }), rapid.SampledFrom([]any{0, -1, nil}))
	other := rapid.SampledFrom([]any{true, false, []any{}, map[string]any{"id": "x"}, []any{1, "]"}})
	object := rapid.Custom(func(t *rapid.T) map[string]any {
		out := map[string]any{}
		for name, values := range map[string]*rapid.Generator[any]{
			"id": word, "product_id": word, "kind": word, "currency": word, "status": word, "plan": word,
			"amount": number, "refunded": number, "progress": number, "cancel_at_period_end": other,
			"enrolled_at": when, "completed_at": when, "purchased_at": when, "current_period_end": when,
		} {
			if rapid.Bool().Draw(t, "has "+name) {
				out[name] = values.Draw(t, name)
			}
		}
		return out
	})
	rapid.Check(t, func(rt *rapid.T) {
		text, err := json.Marshal(rapid.SliceOfN(object, 0, 4).Draw(rt, "list"))
		if err == nil {
			err = conn.QueryRow(t.Context(), `SELECT $1::jsonb::text`, string(text)).Scan(&text)
		}
		if err != nil {
			rt.Fatal(err)
		}
		sameAsJSON(rt, text, (*Money).set)
		sameAsJSON(rt, text, (*Course).set)
		sameAsJSON(rt, text, (*Purchase).set)
		sameAsJSON(rt, text, (*listedSubscription).set)
	})
}

// sameAsJSON checks that a text is read, or refused, as encoding/json would.
func sameAsJSON[T any](t interface{ Errorf(string, ...any) }, text []byte, set func(*T, []byte, scalar) bool) {
	var want, got []T
	wrong := json.Unmarshal(text, &want)
	err := flatList[T]{&got, set}.ScanBytes(text)
	if (err == nil) != (wrong == nil) {
		t.Errorf("%s: %v, encoding/json says %v", text, err, wrong)
	}
	if diff := cmp.Diff(want, got); wrong == nil && diff != "" {
		t.Errorf("%s: -want +got\n%s", text, diff)
	}
}

// What it would not write, or cut off, is read all the same, or refused.
func TestFlatListElse(t *testing.T) {
	for _, text := range []string{
		"", "null", "[", "]", "[]", "[] ", " []", "[,]", "[{}]", "[{}, {}]", "[{},{}]", "[{} {}]", "[{]", "[{}", "[{}}", "{}", "7", `"x"`,
		`[{"id"}]`, `[{"id": }]`, `[{"id": "x"]`, `[{"id": "x",}]`, `[{"id": "x" "kind": "y"}]`, `[{"id:"x"}]`, `[{"id": "x}]`, `[{id: "x"}]`,
		`[{"amount": "7"}]`, `[{"amount": 7.5}]`, `[{"amount": 1e3}]`, `[{"amount": 99999999999999999999}]`,
		`[{"progress": 33.5}]`, `[{"progress": "33"}]`,
		`[{"enrolled_at": "yesterday"}]`, `[{"enrolled_at": 7}]`, `[{"id": 7}]`, `[{"id": null}]`, `[{"x": {"id": "y"}}]`, `[{"x": [1, 2]}]`, `[[]]`,
	} {
		sameAsJSON(t, []byte(text), (*Money).set)
		sameAsJSON(t, []byte(text), (*Course).set)
	}
	if err := (flatList[Money]{new([]Money), (*Money).set}).ScanBytes([]byte(`[{"amount": "7"}]`)); err == nil || !strings.Contains(fmt.Sprint(err), "amount") {
		t.Errorf("%v", err)
	}
}
