package store

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
)

// Upserts that return the outcome of each fact, for the counts of a backfill.

// keysOf lists the facts of a set.
func keysOf(set facts.Set) (keys []factKey) {
	for _, t := range TablesOf(set) {
		keys = append(keys, t.Keys...)
	}
	return keys
}

// outcomesStatement builds the statement that upserts like t.upsertSQL. For each row
// that is new or changed in more than versions it returns the key and whether it is new.
func (t FactTable) outcomesStatement(columns []string) string {
	guards := append([]string{t.Main, "earlier"}, t.Keys...)
	for _, g := range t.Groups {
		guards = append(guards, g.Version)
	}
	if t.Name == "refunds" {
		guards = append(guards, "said_at") // of an object fetched from Stripe: when it was fetched
	}
	var content, key []string
	for _, c := range columns {
		if !slices.Contains(guards, c) {
			content = append(content, c)
		}
	}
	for _, k := range t.Keys {
		key = append(key, "m."+k)
	}
	for _, g := range t.Groups {
		if strings.HasPrefix(g.Version, "deleted") { // a tombstone is content
			content = append(content, "("+g.Version+" <> '')")
		}
	}
	return fmt.Sprintf(`
		WITH old AS MATERIALIZED (
			SELECT t.*
			FROM json_populate_recordset(NULL::%[1]s, $1) i
			JOIN %[1]s t USING (%[2]s)
		), m AS (%[3]s
			RETURNING *
		)
		SELECT concat_ws('/', %[4]s), o.%[5]s IS NULL
		FROM m
		LEFT JOIN old o USING (%[2]s)
		WHERE o.%[5]s IS NULL OR (%[6]s) IS DISTINCT FROM (%[7]s)`,
		t.Name, strings.Join(t.Keys, ", "), t.upsertSQL, strings.Join(key, ", "), t.Keys[len(t.Keys)-1],
		qualify("m", content), qualify("o", content))
}

// qualify lists columns, or expressions that begin with one in brackets, of a table.
func qualify(table string, columns []string) string {
	out := make([]string, len(columns))
	for i, c := range columns {
		if expression, ok := strings.CutPrefix(c, "("); ok {
			out[i] = "(" + table + "." + expression
			continue
		}
		out[i] = table + "." + c
	}
	return strings.Join(out, ", ")
}

// recordOutcomes adds the rows that outcomesSQL returned to outcomes.
func recordOutcomes(outcomes map[factKey]outcome, table string, found pgx.Rows) error {
	k := factKey{table: table}
	var isNew bool
	_, err := pgx.ForEachRow(found, []any{&k.Key, &isNew}, func() error {
		o := updated
		if isNew {
			o = created
		}
		outcomes[k] = max(outcomes[k], o)
		return nil
	})
	return err
}

// NamedVersions are the versions of the column sets that a message names, by the
// first column of each. If it names none, it is the message's own version.
func (t FactTable) NamedVersions(message map[string]any) map[string]facts.Version {
	versions := map[string]facts.Version{}
	version, _ := message[t.Main].(string)
	if version == "" {
		return versions
	}
	for _, n := range t.columnSets {
		if n.in(message) {
			versions[n.columns[0]] = facts.Version(version)
		}
	}
	earlier, _ := message["earlier"].(map[string]any)
	for set, v := range earlier {
		if _, named := versions[set]; named {
			versions[set] = facts.Version(*EmptyIfNil(JSONString(v)))
		}
	}
	if len(versions) == 0 {
		versions[t.Main] = facts.Version(version)
	}
	return versions
}

// in reports whether a row or message names the column set.
func (n columnSet) in(row map[string]any) bool {
	return n.always || slices.ContainsFunc(n.columns, func(c string) bool { return row[c] != nil })
}

// VersionOf is the version in a row of a column set, or that in a version column.
func (t FactTable) VersionOf(row map[string]any, column string) facts.Version {
	for _, n := range t.columnSets {
		if n.columns[0] != column {
			continue
		}
		if !n.in(row) {
			return ""
		}
		earlier, _ := row["earlier"].(map[string]any)
		if v := JSONString(earlier[column]); v != nil {
			return facts.Version(*v)
		}
		column = t.Main
	}
	return facts.Version(*EmptyIfNil(JSONString(row[column])))
}

// JSONString returns a decoded JSON value if it is a string.
func JSONString(value any) *string {
	if s, ok := value.(string); ok {
		return &s
	}
	return nil
}

// EmptyIfNil returns s, or a pointer to an empty string.
func EmptyIfNil(s *string) *string {
	if s == nil {
		return new(string)
	}
	return s
}
