package inbox

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store"
	"rollcall/store/pg"
	"rollcall/store/reasons"
)

// What an event changed: its facts, whether its values still stand, and the lists that
// the facts are on. Applying an event records nothing of this: the payload is read
// again and compared with the stored rows.

// EventFact is a fact that an event contains.
type EventFact struct {
	Kind      string         `json:"kind"` // payment, enrollment, user, …: the table, in the singular
	Ref       string         `json:"ref"`
	Says      map[string]any `json:"says"`     // the event's values
	Standing  string         `json:"standing"` // see the constants
	Newer     *store.Origin  `json:"newer"`    // origin of a newer value, if one stands
	StoreID   *string        `json:"store_id"` // of the store it belongs to
	Customers []CustomerRef  `json:"customers"`
	More      bool           `json:"more"`   // there are further customers
	Reason    *string        `json:"reason"` // why it is missing from every list, if it could be on one
	Meaning   *string        `json:"meaning"`

	table *store.FactTable
	said  map[string]facts.Version // versions in the event, by their columns
	row   map[string]any           // as stored; nil if it is not
}

// Standings of an event's values of a fact.
const (
	Stands  = "stands"   // all of them are current
	Partly  = "partly"   // some are current, the others have newer values
	Newer   = "newer"    // newer values stand
	Named   = "named"    // the event says only that the fact exists
	NotKept = "not_kept" // the event was not applied, or not yet
)

// CustomerRef refers to a customer that a fact belongs to.
type CustomerRef struct {
	ID      string `json:"id"`
	StoreID string `json:"store_id"`
	Email   string `json:"email"`
}

// maxCustomers is how many customers of a fact are listed.
const maxCustomers = 20

// EventFacts reads an event again and compares its facts with the stored rows. Notes
// name the fields that were skipped. The reader's errors (*facts.Ignored,
// *facts.Malformed) are returned as they are: such an event contains no facts.
func (s *Reader) EventFacts(ctx context.Context, e store.Event, read store.Reader) (
	out []EventFact, notes []string, err error) {
	set, err := read(e.Told())
	if err != nil {
		return nil, nil, err
	}
	defer pg.Wrap(&err, "inbox.EventFacts(%d)", e.ID)
	for _, t := range store.TablesOf(set) {
		for i := range t.Rows {
			f, err := newEventFact(t, i)
			if err != nil {
				return nil, nil, err
			}
			out = append(out, f)
		}
	}
	err = s.Snapshot(ctx, func(tx pgx.Tx) error {
		if err := readStored(ctx, tx, out); err != nil {
			return err
		}
		for i := range out {
			out[i].compare()
		}
		if err := findCustomers(ctx, tx, out); err != nil {
			return err
		}
		return store.LookUp(ctx, tx, newerOf(out)...)
	})
	return out, set.Notes, err
}

// newEventFact is the fact in row i of the event.
func newEventFact(t store.TableRows, i int) (EventFact, error) {
	f := EventFact{Kind: strings.TrimSuffix(t.Table.Name, "s"), Customers: []CustomerRef{}, table: t.Table,
		said: map[string]facts.Version{}}
	f.Ref = f.Kind + ":" + strings.TrimPrefix(t.Keys[i].Key, "/")
	text, err := json.Marshal(t.Rows[i])
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal(text, &f.Says); err != nil {
		return f, err
	}
	f.said = t.Table.NamedVersions(f.Says)
	for _, g := range t.Table.Groups {
		if version, _ := f.Says[g.Version].(string); version != "" {
			f.said[g.Version] = facts.Version(version)
		}
		delete(f.Says, g.Version)
	}
	delete(f.Says, t.Table.Main)
	delete(f.Says, "earlier")
	return f, nil
}

// readStored reads the stored rows of the facts, one query for each table.
func readStored(ctx context.Context, tx pgx.Tx, all []EventFact) error {
	keys := map[*store.FactTable][]map[string]any{}
	for _, f := range all {
		key := map[string]any{}
		for _, k := range f.table.Keys {
			key[k] = f.Says[k]
		}
		keys[f.table] = append(keys[f.table], key)
	}
	for t, keys := range keys {
		text, err := json.Marshal(keys)
		if err != nil {
			return err
		}
		kept, err := pg.Column[map[string]any](ctx, tx, fmt.Sprintf(`
			SELECT to_jsonb(t)
			FROM (SELECT DISTINCT %[2]s FROM json_populate_recordset(NULL::%[1]s, $1)) k
			JOIN %[1]s t USING (%[2]s)`, t.Name, strings.Join(t.Keys, ", ")), string(text))
		if err != nil {
			return err
		}
		for i := range all {
			if all[i].table == t {
				all[i].find(kept)
			}
		}
	}
	return nil
}

// find sets f.row to the stored row of the fact, if there is one.
func (f *EventFact) find(kept []map[string]any) {
	for _, row := range kept {
		if !slices.ContainsFunc(f.table.Keys, func(k string) bool { return row[k] != f.Says[k] }) {
			f.row = row
		}
	}
}

// compare sets the standing, from the versions of the event and the stored row.
func (f *EventFact) compare() {
	f.StoreID = textOrNil(f.row["store_id"])
	if f.table.Name == "stores" {
		f.StoreID = textOrNil(f.Says["id"])
	}
	var stands, overtaken int
	var newest facts.Version
	for column, mine := range f.said {
		kept := f.table.VersionOf(f.row, column)
		switch {
		case kept == mine:
			stands++
		case kept > mine:
			overtaken++
			newest = max(newest, kept)
		}
	}
	switch {
	case f.row == nil:
		f.Standing = NotKept
	case len(f.said) == 0 && f.table.Name == "users": // sign-ins: the latest counts, from any source
		f.Standing = f.latest()
	case len(f.said) == 0:
		f.Standing, f.Says = Named, map[string]any{}
	case stands+overtaken < len(f.said):
		f.Standing = NotKept
	case overtaken == 0:
		f.Standing = Stands
	default:
		f.Standing = Partly
		if stands == 0 {
			f.Standing = Newer
		}
		f.Newer = f.origin(newest)
	}
}

// latest is the standing of a fact without versions.
func (f *EventFact) latest() string {
	kept, said := textOrNil(f.row["last_seen_at"]), textOrNil(f.Says["last_seen_at"])
	switch {
	case kept == nil || said == nil || store.MomentTime(*kept).Before(store.MomentTime(*said)):
		return NotKept
	case store.MomentTime(*kept).After(store.MomentTime(*said)):
		return Newer
	}
	return Stands
}

// origin is the origin of a version.
func (f *EventFact) origin(v facts.Version) *store.Origin {
	source := "platform"
	if f.table.Name == "users" {
		source = "clerk"
	} else if f.table.Keys[0] == "account" && f.row["kind"] != "purchase" {
		source = "stripe"
	}
	origins := store.Versions{f.Kind: v}.Origins(source)
	if len(origins) == 0 {
		return nil
	}
	return &origins[0]
}

// newerOf are the origins of newer values, for lookUp.
func newerOf(all []EventFact) (origins [][]store.Origin) {
	for _, f := range all {
		if f.Newer != nil {
			origins = append(origins, []store.Origin{*f.Newer})
		}
	}
	return origins
}

// findCustomers sets the customers of the facts, or why they have none.
func findCustomers(ctx context.Context, tx pgx.Tx, all []EventFact) (err error) {
	for i := range all {
		f := &all[i]
		if f.row == nil {
			continue
		}
		if reason := textOrNil(f.row["unattached"]); reason != nil {
			why, _ := reasons.Find(*reason)
			f.Reason, f.Meaning = &why.Code, &why.Means
			continue
		}
		sql, args := f.customersSQL()
		if sql == "" {
			continue
		}
		rows := pg.Query(ctx, tx, `
			SELECT
				c.id::text,
				c.store_id,
				c.email
			FROM (`+sql+`) f
			CROSS JOIN LATERAL (SELECT id, store_id, email FROM customers WHERE id = f.customer_id OFFSET 0) c
			ORDER BY c.id
			LIMIT `+fmt.Sprint(maxCustomers+1), args...)
		if f.Customers, err = pgx.CollectRows(rows, pgx.RowToStructByPos[CustomerRef]); err != nil {
			return err
		}
		if f.More = len(f.Customers) > maxCustomers; f.More {
			f.Customers = f.Customers[:maxCustomers]
		}
	}
	return nil
}

// customersSQL finds the ids of a fact's customers, or of a person's. For stores and
// products it finds none: there are too many to be of interest.
func (f *EventFact) customersSQL() (string, []any) {
	if id, ok := f.row["customer_id"]; ok {
		return `SELECT $1::bigint AS customer_id`, []any{id}
	}
	switch f.table.Name {
	case "refunds", "disputes":
		return `
				SELECT p.customer_id
				FROM payments i
				JOIN payments p ON p.account = i.account AND p.id IN (i.id, i.invoice)
				WHERE i.account = $1 AND i.id = $2 AND p.customer_id IS NOT NULL`, []any{f.row["account"], f.row["payment_intent"]}
	case "users":
		return store.DependentCustomersSQL, []any{[]string{"user:" + text(f.row["id"])}}
	case "stripe_customers":
		return store.DependentCustomersSQL, []any{[]string{store.CustomerLock(text(f.row["account"]), text(f.row["id"]))}}
	}
	return "", nil
}

// textOrNil is a decoded JSON value if it is a string.
func textOrNil(value any) *string {
	if s, ok := value.(string); ok {
		return &s
	}
	return nil
}

func text(value any) string {
	s, _ := value.(string)
	return s
}

// Words lists the event's values by name, as text.
func (f EventFact) Words() (words [][2]string) {
	for _, name := range slices.Sorted(maps.Keys(f.Says)) {
		value := f.Says[name]
		if value == nil || value == "" {
			continue
		}
		said, ok := value.(string)
		if !ok {
			raw, err := json.Marshal(value)
			if err != nil {
				panic(err) // it came from JSON
			}
			said = string(raw)
		}
		words = append(words, [2]string{name, said})
	}
	return words
}
