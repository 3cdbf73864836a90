package store

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
)

// Upserts that tell what became of each fact: a backfill counts them.

// keysOf lists the facts of a set.
func keysOf(set facts.Set) (keys []factKey) {
	for _, t := range TablesOf(set) {
		keys = append(keys, t.Keys...)
	}
	return keys
}

// telling writes the statement that upserts like t.sql and returns, for each row
// that is new or differs in more than its versions, its key and whether it is new.
func (t FactTable) outcomesStatement(columns []string) string {
	guards := append([]string{t.Main, "earlier"}, t.Keys...)
	for _, g := range t.Groups {
		guards = append(guards, g.Version)
	}
	if t.Name == "refunds" {
		guards = append(guards, "said_at") // of an object that is read: when it was read
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

// learn notes what a telling statement returned.
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

// Words are the versions of the things that a message names, by the first column
// of each; of one that names none, that of the message.
func (t FactTable) NamedVersions(says map[string]any) map[string]facts.Version {
	said := map[string]facts.Version{}
	version, _ := says[t.Main].(string)
	if version == "" {
		return said
	}
	for _, n := range t.columnSets {
		if n.in(says) {
			said[n.columns[0]] = facts.Version(version)
		}
	}
	earlier, _ := says["earlier"].(map[string]any)
	for thing, v := range earlier {
		if _, named := said[thing]; named {
			said[thing] = facts.Version(*EmptyIfNil(JSONString(v)))
		}
	}
	if len(said) == 0 {
		said[t.Main] = facts.Version(version)
	}
	return said
}

// in tells whether a row, or a message, names the thing.
func (n columnSet) in(row map[string]any) bool {
	return n.always || slices.ContainsFunc(n.columns, func(c string) bool { return row[c] != nil })
}

// Kept is the version by which a row names a thing, or that in a column.
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

// Text is a value of JSON that is a text.
func JSONString(value any) *string {
	if s, ok := value.(string); ok {
		return &s
	}
	return nil
}

func EmptyIfNil(s *string) *string {
	if s == nil {
		return new(string)
	}
	return s
}
