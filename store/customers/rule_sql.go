package customers

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/internal/moment"
	"rollcall/store"
	"rollcall/store/mail"
	"rollcall/store/pg"
)

// cond is a condition of SQL on a customer c and their entry i in customer_index.
type cond struct {
	sql    string
	each   string // the same for one customer at a time; empty: sql is that
	ids    string // if an index finds all by it: a SELECT of their ids
	args   []any  // of each $? in sql, in each, and in ids
	entry  bool   // whether it reads i
	found  bool   // whether an index of i finds all of whom it holds
	ofRow  string // the same of c's row alone; empty: it cannot be
	except string // the same as an anti-join, if it holds but for those whom an index of i finds
	key    string
	facet  int      // as in Part; 0: not about the facet
	column string   // of i, if it is that one of values is in it; empty: it is another condition
	values []string // of facet or column
}

// compiler makes conditions of a store's rules.
type compiler struct {
	store  string
	now    time.Time
	sought map[string]sought // by search
}

// sought is what a search looks for.
type sought struct {
	patterns []string // its words, for LIKE
	titled   []string // entries in customer_index.has whose title has all those words
}

// all are the conditions that together are r.
func (k compiler) all(r Rule) (conds []cond) {
	switch r.Group {
	case "all":
		for _, one := range r.Rules {
			conds = append(conds, k.all(one)...)
		}
		return conds
	case "any":
		return []cond{k.any(r.Rules)}
	case "none":
		for _, one := range r.Rules {
			conds = append(conds, not(and(k.all(one))))
		}
		return conds
	}
	return k.leaf(r)
}

// any is the condition that one of rules holds. What is looked up in one column of the
// index is looked up at once.
func (k compiler) any(rules []Rule) cond {
	var kinds []cond
	for _, r := range rules {
		one := and(k.all(r))
		same := slices.IndexFunc(kinds, func(c cond) bool { return c.column != "" && c.column == one.column })
		if same < 0 {
			kinds = append(kinds, one)
		} else {
			kinds[same] = inColumn(one.column, append(slices.Clone(kinds[same].values), one.values...))
		}
	}
	return k.either(kinds)
}

// either is the condition that one of conds holds. Postgres joins what it finds by the indexes
// of one table by itself; of several tables, the ids are looked up.
func (k compiler) either(conds []cond) cond {
	if !slices.ContainsFunc(conds, func(c cond) bool { return c.ids != "" }) {
		return join(conds, " OR ", "false")
	}
	for i, c := range conds {
		if c.column != "" {
			conds[i] = k.lookup("customer_index i", c)
		}
	}
	all := join(conds, " OR ", "false")
	if len(conds) > 1 && !slices.ContainsFunc(conds, func(c cond) bool { return c.ids == "" }) {
		var found []string
		for _, c := range conds {
			found = append(found, c.ids)
		}
		all.ids = strings.Join(found, " UNION ALL ")
		all.sql = "c.id IN (" + all.ids + ")"
	}
	return all
}

// lookup is the condition that a customer's row in a table, which is called by one
// letter, meets where. OFFSET 0 keeps the one for each customer a look-up.
func (k compiler) lookup(table string, where cond) cond {
	name := table[len(table)-1:]
	from := " FROM " + table + " WHERE " + name + ".store_id = $? AND " + where.sql
	ids := "SELECT " + name + ".customer_id" + from
	return cond{sql: "c.id IN (" + ids + ")", ids: ids, args: append([]any{k.store}, where.args...),
		each: "EXISTS (SELECT" + from + " AND " + name + ".customer_id = c.id OFFSET 0)"}
}

func and(conds []cond) cond { return join(conds, " AND ", "true") }

// join joins conditions to one; of none it is otherwise.
func join(conds []cond, by, otherwise string) cond {
	switch len(conds) {
	case 0:
		return cond{sql: otherwise}
	case 1:
		return conds[0]
	}
	var all cond
	var parts, each, rows []string
	found := 0
	for _, c := range conds {
		parts, each = append(parts, c.sql), append(each, c.ofOne())
		if rows = append(rows, c.sql); c.entry {
			rows[len(rows)-1] = c.ofRow
		}
		all.args = append(all.args, c.args...)
		all.entry = all.entry || c.entry
		if c.found {
			found++
		}
	}
	all.sql = "(" + strings.Join(parts, by) + ")"
	all.found = found == len(conds) || found > 0 && by == " AND "
	if all.entry && !slices.Contains(rows, "") {
		all.ofRow = "(" + strings.Join(rows, by) + ")"
	}
	if slices.ContainsFunc(conds, func(c cond) bool { return c.each != "" }) {
		all.each = "(" + strings.Join(each, by) + ")"
	}
	return all
}

// ofOne is the condition as it is asked of one customer at a time.
func (c cond) ofOne() string { return cmp.Or(c.each, c.sql) }

// ofAll is the condition as it finds all of whom it holds.
func (c cond) ofAll() string { return c.sql }

// alone is the condition without a join with i; empty: it cannot be.
func (c cond) alone() string { return cmp.Or(c.ofRow, c.except) }

// not is the condition that c does not hold, be it unknown.
func not(c cond) cond {
	all := cond{sql: "(" + c.sql + ") IS NOT TRUE", args: c.args, entry: c.entry}
	if c.each != "" {
		all.each = "(" + c.each + ") IS NOT TRUE"
	}
	if c.ofRow != "" {
		all.ofRow = "(" + c.ofRow + ") IS NOT TRUE"
	}
	if c.found {
		all.except = "NOT EXISTS (SELECT FROM customer_index i WHERE i.customer_id = c.id AND " + c.sql + ")"
	}
	return all
}

// inColumn is the condition that a column of i has one of values.
func inColumn(column string, values []string) cond {
	return cond{sql: column + " && $?::text[]", args: []any{values}, entry: true, found: true,
		ofRow: ofRow(column, values), column: column, values: values}
}

// rowOf are the columns of c of which entries of i.has with a prefix are made.
var rowOf = map[string]string{"course": "c.course_ids", "product": "c.product_ids", "country": "ARRAY[c.country]"}

// ofRow is the condition that c has one of the values of a column of i; empty: that is not in one column of c, or there
// are none, as of a progress whose least is above its most.
func ofRow(column string, values []string) string {
	if len(values) == 0 {
		return ""
	}
	prefix, _, _ := strings.Cut(values[0], ":")
	own := rowOf[prefix]
	other := func(value string) bool { return !strings.HasPrefix(value, prefix+":") }
	if column != "i.has" || own == "" || slices.ContainsFunc(values, other) {
		return ""
	}
	return own + " && ARRAY(SELECT substr(v, " + strconv.Itoa(len(prefix)+2) + ") FROM unnest($?::text[]) v)"
}

// inHas is the condition that customer_index.has has one of ids.
func inHas(prefix string, ids []string) cond {
	var values []string
	for _, id := range ids {
		values = append(values, prefix+id)
	}
	return inColumn("i.has", values)
}

// leaf are the conditions of a leaf.
func (k compiler) leaf(r Rule) []cond {
	thing := thingNamed(r.About)
	switch {
	case thing == nil: // about nothing
		return nil
	case thing.From != "":
		return k.rows(thing, r)
	}
	switch r.About {
	case "tag", "segment": // a static one; dynamic ones were expanded
		return []cond{inColumn("i.tags", r.Parts["id"])}
	case "product":
		return []cond{inHas("product:", r.Parts["id"])}
	case "spent":
		return spent(r)
	case "engagement":
		return k.engaged(r.Parts["state"])
	case "can_mail":
		return []cond{k.canMail(r.Parts["is"][0] == "yes")}
	}
	return k.customer(thing, r)
}

// customer are the conditions on the customer's row.
func (k compiler) customer(thing *Thing, r Rule) (conds []cond) {
	for _, p := range thing.Parts {
		switch values := r.Parts[p.Name]; {
		case len(values) == 0:
		case p.Name == "q":
			conds = append(conds, k.called(values[0])...)
		case p.Has != "":
			conds = append(conds, inHas(p.Has, values))
		default:
			c := k.part(p, values)
			c.key = p.Key
			if c.facet = p.Facet; c.facet > 0 {
				c.values = values
			}
			conds = append(conds, c)
		}
	}
	return conds
}

// part is the condition of a part.
func (k compiler) part(p Part, values []string) cond {
	c := cond{sql: p.SQL}
	if p.yesOrNo() && values[0] == "no" {
		c.sql = "NOT " + p.SQL
	}
	var arg any = values
	if p.Kind == pg.Moment {
		arg, _ = moment.At(values[0], k.now)
	} else if !p.Multi {
		arg = values[0]
	}
	for range strings.Count(p.SQL, "$?") {
		c.args = append(c.args, arg)
	}
	return c
}

// called is the condition of a search, if it has words: all of them in the customer's own, or all in a title.
// The words are separate conditions, because the trigram index does not support LIKE ALL.
func (k compiler) called(query string) []cond {
	var words []cond
	for _, pattern := range k.sought[query].patterns {
		words = append(words, cond{sql: "w.words LIKE $?", args: []any{pattern}})
		if letters := pg.AfterASCII(pattern); letters != "" { // what LIKE finds, for indexes that cannot look for that
			words = append(words, cond{sql: "(w.words ~ $? OR octet_length(w.words) - length(w.words) > 0)",
				args: []any{letters}})
		}
	}
	if len(words) == 0 {
		return nil
	}
	found := []cond{k.lookup("customer_words w", and(words))}
	if titled := k.sought[query].titled; len(titled) > 0 {
		found = append(found, inColumn("i.has", titled))
	}
	return []cond{k.either(found)}
}

// rows are the conditions of a leaf about a thing with rows: first those that an index
// has, then one on the rows unless the index has all.
func (k compiler) rows(thing *Thing, r Rule) (conds []cond) {
	where, from := []cond{}, thing.From
	if thing.Name == "mail" { // reads nothing that is not asked for
		from = mail.Story(r.Parts["was"]...) + " r"
	}
	if thing.Of != "" {
		where = []cond{{sql: thing.Of}}
	}
	for _, p := range thing.Parts {
		if values := r.Parts[p.Name]; len(values) > 0 && p.SQL != "" {
			where = append(where, k.part(p, values))
		}
	}
	least, most := r.times()
	if least == 0 && most < 0 {
		return nil
	}
	if indexed, all := hints(thing, r, len(where)); least > 0 {
		conds = indexed
		if all && least == 1 && most < 0 {
			return conds
		}
	} else if all && most == 0 {
		return []cond{not(and(indexed))}
	}
	if path := thing.path(r); path != "" && (most == 0 || least == 1 && most < 0) {
		met := k.kept(r, cond{sql: "jsonb_path_exists(" + thing.List + ", $?::text::jsonpath, $?::text::jsonb)",
			args: []any{path, k.vars(thing, r)}})
		if most == 0 {
			return []cond{not(met)}
		}
		return append(conds, met)
	}
	if thing.Of != "" && (least > 1 || most > 0) {
		return append(conds, k.manyOf(from, where[1:], least, most)...)
	}
	return append(conds, counted(from, and(where), least, most))
}

// hints are the conditions on i that follow from a leaf's rows, and whether they are all
// of a leaf with n conditions on a row.
func hints(thing *Thing, r Rule, n int) (conds []cond, all bool) {
	ids := r.Parts[thing.Parts[0].Name]
	if len(ids) == 0 || thing.Has == "" {
		return nil, false
	}
	completed := r.Parts["completed"]
	switch {
	case thing.Name != "enrollment":
		return []cond{inHas(thing.Has, ids)}, false
	case r.Parts["progress_min"] != nil || r.Parts["progress_max"] != nil:
		return []cond{inTenths(r, ids)}, false
	case completed == nil:
		return []cond{inHas(thing.Has, ids)}, n == 1
	case completed[0] == "yes":
		return []cond{inHas("completed:", ids)}, n == 2
	case len(ids) == 1:
		return []cond{inHas(thing.Has, ids), not(inHas("completed:", ids))}, n == 2
	}
	return []cond{inHas(thing.Has, ids)}, false
}

// inTenths is the condition that the progress in one of courses is in a tenth, from 0 to 10
// (all of it), that a leaf's limits touch.
func inTenths(r Rule, courses []string) cond {
	var entries []string
	for tenth := tenthOf(r.Parts["progress_min"], 0); tenth <= tenthOf(r.Parts["progress_max"], 10); tenth++ {
		for _, course := range courses {
			entries = append(entries, fmt.Sprintf("progress%d:%s", tenth, course))
		}
	}
	return inColumn("i.has", entries)
}

// counted is the condition that as many rows meet where.
func counted(from string, where cond, least, most int) cond {
	rows := "FROM " + from + " WHERE " + where.sql
	switch {
	case most == 0:
		where.sql = "NOT EXISTS (SELECT " + rows + ")"
	case most < 0 && least == 1:
		where.sql = "EXISTS (SELECT " + rows + ")"
	case most < 0:
		where.sql = "(SELECT count(*) " + rows + ") >= " + strconv.Itoa(least)
	default:
		where.sql = "(SELECT count(*) " + rows + ") BETWEEN " + strconv.Itoa(least) + " AND " + strconv.Itoa(most)
	}
	return where
}

// spent are the conditions on what a customer spent: in the currency in which it is most,
// or in a given one.
func spent(r Rule) (conds []cond) {
	for _, limit := range [][2]string{{"min", " >= "}, {"max", " <= "}} { // always the same statement
		values, sign := r.Parts[limit[0]], limit[1]
		switch currency := r.Parts["currency"]; {
		case len(values) == 0:
		case len(currency) == 0:
			conds = append(conds, cond{sql: onSpent + sign + asAmount, args: []any{values[0]}, key: onSpent})
		default:
			conds = append(conds, cond{sql: "coalesce((SELECT r.amount FROM jsonb_to_recordset(c.spent) AS " +
				"r(amount numeric, currency text) WHERE r.currency = $?), 0)" + sign + asAmount + " * " +
				store.UnitsSQL("$?::text"), args: []any{currency[0], values[0], currency[0], currency[0]}})
		}
	}
	return conds
}
