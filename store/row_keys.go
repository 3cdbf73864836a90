package store

import (
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
)

// RowKey identifies the row of a fact of a kind: (account, id) of a payment or subscription,
// (course, person) of an enrollment.
type RowKey struct{ Kind, A, B string }

// KeysOfKind reads rows of two columns as keys of a kind.
func KeysOfKind(kind string, rows pgx.Rows) ([]RowKey, error) {
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (RowKey, error) {
		k := RowKey{Kind: kind}
		return k, row.Scan(&k.A, &k.B)
	})
}

// KeyArrays splits row keys by kind into columns for unnest.
func KeyArrays(keys []RowKey) (out map[string][2][]string) {
	out = map[string][2][]string{}
	for _, k := range keys {
		c := out[k.Kind]
		c[0], c[1] = append(c[0], k.A), append(c[1], k.B)
		out[k.Kind] = c
	}
	return out
}

func distinct(keys []RowKey) []RowKey {
	all := map[RowKey]bool{}
	for _, k := range keys {
		all[k] = true
	}
	return slices.Collect(maps.Keys(all))
}

// splitKeys splits keys into the columns that SQL unnests for the view facts.
func splitKeys(keys []RowKey) (kinds, as, bs []string) {
	for _, k := range keys {
		kinds, as, bs = append(kinds, k.Kind), append(as, k.A), append(bs, k.B)
	}
	return kinds, as, bs
}

// givenFacts is SQL for the facts f of kinds $1 with the keys $2 and $3.
const givenFacts = `
	FROM unnest($1::text[], $2::text[], $3::text[]) AS k(kind, a, b)
	JOIN facts f ON f.kind = k.kind AND f.a = k.a AND f.b = k.b`
