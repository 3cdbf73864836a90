package store

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"rollcall/facts"
)

// How facts of one table merge, as one statement.

// A FactTable defines how the facts of one table merge. Every rule is a maximum, so
// the resulting row does not depend on the order of the facts.
type FactTable struct {
	Name         string
	Keys         []string
	Main         string            // column of the message's version
	keepsEarlier bool              // column earlier has versions of column sets; without it every message names all
	columnSets   []columnSet       // each keeps the values of the newest message that names it
	Groups       []versioned       // columns with a version of their own
	merges       map[string]string // columns with a rule of their own: OR, GREATEST, LEAST, or SQL of t and e
	upsertSQL    string            // upserts
	// outcomesSQL upserts and returns the rows that are new or changed.
	outcomesSQL string
}

// versioned is a version column and the columns that it guards. In contexts (JSON)
// each member keeps the value of the newest message that names it.
type versioned struct {
	Version  string
	columns  []string
	contexts []string
}

// columnSet is columns that messages name together. A message without any of them
// leaves their values as they are. Column earlier holds the version of these values
// under the first column's name, unless it is the row's newest.
type columnSet struct {
	columns []string
	always  bool // every message names it
}

// columnSets parses "a b, c": a and b are one set, c is another.
func columnSets(list string) (all []columnSet) {
	for part := range strings.SplitSeq(list, ",") {
		all = append(all, columnSet{columns: strings.Fields(part)})
	}
	return all
}

// alwaysNamed is a set that every message names.
func alwaysNamed(list string) []columnSet { return []columnSet{{strings.Fields(list), true}} }

// upsertStatement builds the statement. Its parameter is a JSON array of facts with
// distinct keys. It upserts in the order of keys, so that transactions do not deadlock.
func (t FactTable) upsertStatement(columns []string) string {
	var set, changed []string
	assign := func(column, value string) { set = append(set, column+" = "+t.withRowNames(value)) }
	differs := func(condition string) { changed = append(changed, t.withRowNames(condition)) }
	for _, g := range t.Groups {
		newer := fmt.Sprintf("e.%[1]s > t.%[1]s", g.Version)
		differs(newer)
		for _, c := range g.columns {
			assign(c, fmt.Sprintf("CASE WHEN %[2]s THEN e.%[1]s ELSE t.%[1]s END", c, newer))
		}
		for _, c := range g.contexts {
			merged := fmt.Sprintf("merge_context(t.%[1]s, t.%[2]s, e.%[1]s, e.%[2]s)", c, g.Version)
			assign(c, merged)
			differs(merged + " IS DISTINCT FROM t." + c)
		}
		assign(g.Version, fmt.Sprintf("GREATEST(t.%[1]s, e.%[1]s)", g.Version))
	}
	for _, c := range slices.Sorted(maps.Keys(t.merges)) { // one text in every process
		rule := t.merges[c]
		switch rule {
		case "OR":
			rule = fmt.Sprintf("t.%[1]s OR e.%[1]s", c)
		case "GREATEST", "LEAST":
			rule = fmt.Sprintf("%[2]s(t.%[1]s, e.%[1]s)", c, rule)
		}
		rule = t.withVersions(rule)
		assign(c, rule)
		differs(fmt.Sprintf("(%s) IS DISTINCT FROM t.%s", rule, c))
	}
	differs(fmt.Sprintf("e.%[1]s > t.%[1]s", t.Main))
	var kept []string
	for _, n := range t.columnSets {
		newer := t.versionSQL(n, "e") + " > " + t.versionSQL(n, "t")
		differs(newer)
		for _, c := range n.columns {
			if t.merges[c] == "" {
				assign(c, fmt.Sprintf("CASE WHEN %[2]s THEN e.%[1]s ELSE t.%[1]s END", c, newer))
			}
		}
		kept = append(kept, fmt.Sprintf("'%s', GREATEST(%s, %s)", n.columns[0], t.versionSQL(n, "t"), t.versionSQL(n, "e")))
	}
	assign(t.Main, fmt.Sprintf("GREATEST(t.%[1]s, e.%[1]s)", t.Main))
	if t.keepsEarlier {
		assign("earlier", fmt.Sprintf("earlier_of(GREATEST(t.%[1]s, e.%[1]s), jsonb_build_object(%[2]s))", t.Main,
			strings.Join(kept, ", ")))
	}
	list := strings.Join(columns, ", ")
	return fmt.Sprintf(`
		INSERT INTO %[1]s (%[2]s)
		SELECT %[2]s FROM json_populate_recordset(NULL::%[1]s, $1) ORDER BY %[3]s
		ON CONFLICT (%[3]s) DO UPDATE SET
			%[4]s
		WHERE %[5]s`,
		t.Name, list, strings.Join(t.Keys, ", "), strings.Join(set, ",\n\t\t\t"), strings.Join(changed, " OR "))
}

// versionSQL is SQL for the version of a column set in row t or e; empty if it is
// not named.
func (t FactTable) versionSQL(n columnSet, row string) string {
	if !t.keepsEarlier {
		return row + "." + t.Main
	}
	version := fmt.Sprintf("coalesce(%[1]s.earlier ->> '%[2]s', %[1]s.%[3]s) COLLATE \"C\"", row, n.columns[0], t.Main)
	if n.always {
		return version
	}
	var nulls []string
	for _, c := range n.columns {
		nulls = append(nulls, row+"."+c+" IS NULL")
	}
	return fmt.Sprintf("CASE WHEN %s THEN '' ELSE %s END", strings.Join(nulls, " AND "), version)
}

// withVersions replaces COLUMN_said in a rule by the version of that column set.
func (t FactTable) withVersions(rule string) string {
	for _, n := range t.columnSets {
		for _, row := range []string{"t", "e"} {
			rule = strings.ReplaceAll(rule, row+"."+n.columns[0]+"_said", t.versionSQL(n, row))
		}
	}
	return rule
}

// withRowNames replaces t, the stored row, and e, the row to merge, by their names in
// the statement.
func (t FactTable) withRowNames(sql string) string {
	return rowNames.ReplaceAllStringFunc(sql, func(m string) string {
		if m == "t." {
			return t.Name + "."
		}
		return "EXCLUDED."
	})
}

var rowNames = regexp.MustCompile(`\b[te]\.`)

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
			said, _ := v.(string)
			versions[set] = facts.Version(said)
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
		if v, ok := earlier[column].(string); ok {
			return facts.Version(v)
		}
		column = t.Main
	}
	version, _ := row[column].(string)
	return facts.Version(version)
}
