package store

import (
	"context"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store/pg"
)

// matches is what was found of a person.
type matches struct {
	ids    []identity
	rows   []RowKey
	events []received
}

// search begins with what a person is known by, and goes on, as if all of that had
// been erased, until nothing leads any further. For an erasure from one store only
// what is there of the person is returned. progress is called after each part of
// the inbox.
func search(ctx context.Context, tx pgx.Tx, seeds []identity, x erasure, progress func(done, all int64) error) (
	m matches, err error) {
	ts, found := &tombstones{known: map[identity]*tombstone{}}, discoveries{}
	for _, i := range seeds {
		found[i] = x.tombstone()
	}
	var end int64
	if err := tx.QueryRow(ctx, `SELECT coalesce(max(id), 0) FROM webhook_events`).Scan(&end); err != nil {
		return m, err
	}
	for len(found) > 0 {
		fresh, err := m.searchRows(ctx, tx, ts, found)
		if err != nil {
			return m, err
		}
		found = discoveries{}
		for from := int64(0); from < end; from += eventsPerSearch {
			events, err := eventsNaming(ctx, tx, fresh, from, from+eventsPerSearch)
			if err != nil {
				return m, err
			}
			for _, v := range events {
				ts.discover(found, v.set, at(v.set.At))
				ts.discoverObjects(found, v.about, v.set.At)
			}
			m.events = append(m.events, events...)
			if err := progress(min(from+eventsPerSearch, end), end); err != nil {
				return m, err
			}
		}
	}
	m.rows, m.events = distinct(m.rows), distinctEvents(m.events)
	slices.SortFunc(m.ids, compareIdentities)
	if x.store == "" {
		return m, nil
	}
	if m.rows, err = rowsInStore(ctx, tx, x.store, m.ids); err != nil {
		return m, err
	}
	m.events, err = eventsOfStoreOnly(ctx, tx, m.events, x.store, x.person)
	return m, err
}

// searchRows finds what rows, for which there are indexes, show of the identities
// found, and returns all that are new.
func (m *matches) searchRows(ctx context.Context, tx pgx.Tx, ts *tombstones, found discoveries) (
	fresh []identity, err error) {
	for len(found) > 0 {
		ids := slices.Collect(maps.Keys(found))
		for i, t := range found {
			ts.known[i] = &t
		}
		rows, err := rowsNaming(ctx, tx, ids)
		if err != nil {
			return nil, err
		}
		if found, err = ts.discoverInRows(ctx, tx, ids, rows); err != nil {
			return nil, err
		}
		fresh, m.rows = append(fresh, ids...), append(m.rows, rows...)
	}
	m.ids = append(m.ids, fresh...)
	return fresh, nil
}

func distinctEvents(all []received) []received {
	slices.SortFunc(all, func(a, b received) int { return int(a.id - b.id) })
	return slices.CompactFunc(all, func(a, b received) bool { return a.id == b.id })
}

// has reports whether an identity is the person's.
func (m matches) has(i identity) bool {
	_, found := slices.BinarySearchFunc(m.ids, i, compareIdentities)
	return found
}

// names are all that the person is known by, in lower case; ids of what they
// bought are not among them.
func (m matches) names() (names []string) {
	for _, i := range m.ids {
		if i.kind != anObject {
			names = append(names, strings.ToLower(i.id()))
		}
	}
	return names
}

// rowsInStore finds the rows of a store that are of a person: those of the
// customers at their addresses, and those on no list that name them.
func rowsInStore(ctx context.Context, q pg.Querier, store string, ids []identity) (found []RowKey, err error) {
	defer pg.Wrap(&err, "store.rowsInStore(%q)", store)
	return keysOfRows(ctx, q, `
		SELECT kind, a, b
		FROM facts
		WHERE customer_id IN (SELECT id FROM customers WHERE store_id = $1 AND email = ANY($2))
		UNION `+UnionAll(func(k FactKind) string {
		return `
		SELECT '` + k.Name + `', ` + k.KeySQL("f") + `
		FROM ` + k.Table + ` f
		WHERE f.store_id = $1
		  AND f.customer_id IS NULL
		  AND (f.leans && $3::text[] OR ` + NamesAddress(k.Table, "f", "$2::text[]") + `)`
	}), store, valuesOf(anAddress, ids), dependencies(ids))
}

// eventsOfStoreOnly leaves the events that tell of rows of a store and of nothing
// else. person is the pseudonym under which enrollments may be kept already.
func eventsOfStoreOnly(ctx context.Context, q pg.Querier, events []received, store, person string) (
	left []received, err error) {
	var all []RowKey
	for _, v := range events {
		all = append(all, v.rows()...)
		for _, f := range v.set.Enrollments {
			all = append(all, RowKey{Enrollment, f.CourseID, "user:" + person})
		}
	}
	kinds, as, bs := splitKeys(all)
	ofStore, err := keysOfRows(ctx, q, `SELECT f.kind, f.a, f.b`+givenFacts+` WHERE f.store_id = $4`, kinds, as, bs, store)
	in := map[RowKey]bool{}
	for _, k := range ofStore {
		in[k] = true
	}
	return slices.DeleteFunc(events, func(v received) bool {
		if v.saysIn(store) {
			return false
		}
		keys := v.rows()
		return len(keys) == 0 || len(v.set.Users) > 0 || slices.ContainsFunc(keys, func(k RowKey) bool {
			return !in[k] && !(k.Kind == Enrollment && in[RowKey{Enrollment, k.A, "user:" + person}])
		})
	}), err
}

// saysIn tells whether an event is what someone said about mail of a store.
func (v received) saysIn(store string) bool {
	return len(v.set.Consents) > 0 && !slices.ContainsFunc(v.set.Consents, func(c facts.Consent) bool {
		return c.StoreID != store
	})
}

// rows are those that an event tells of or, if it has no facts, the payments that
// it is about.
func (v received) rows() []RowKey {
	keys := rowsIn(v.set)
	for _, o := range v.about.money {
		if account, id, _ := strings.Cut(o.value, "/"); len(rowsIn(v.set)) == 0 && !strings.HasPrefix(id, "ch_") {
			keys = append(keys, RowKey{Payment, account, id})
		}
	}
	return keys
}

// eventsPerSearch is how many ids of the inbox one statement searches: no index
// leads to payloads that name a person.
const eventsPerSearch = 5000

// maxNeedles is how many words are looked for in each payload.
const maxNeedles = 100

// received is an event that names a person who is searched for.
type received struct {
	id     int64
	status string
	event  facts.Event
	set    facts.Set // empty where it cannot be read
	about  about
	named  []identity // whom and what its text and its facts name
}

// eventsNaming returns the events with ids above from, up to to, that name any of the
// identities and have their payloads: in their text, headers included, or in
// their facts.
func eventsNaming(ctx context.Context, q pg.Querier, ids []identity, from, to int64) (found []received, err error) {
	defer pg.Wrap(&err, "store.eventsNaming(%d, %d)", from, to)
	sought := map[identity]bool{}
	var needles []string
	for _, i := range ids {
		sought[i] = true
		for _, spelled := range spellingsOf(i) {
			needles = append(needles, strings.ToLower(longestASCII(identity{i.kind, spelled}.id())))
		}
	}
	if len(needles) > maxNeedles { // to read all is cheaper than to look for each
		needles = []string{""}
	}
	all, err := readEvents(ctx, q, from, to, needles)
	return slices.DeleteFunc(all, func(r received) bool {
		return !slices.ContainsFunc(r.named, func(i identity) bool { return sought[i] })
	}), err
}

// readEvents reads the events with ids above from, up to to, whose payload or headers
// may name one of the needles. What is written with escapes is read, too.
func readEvents(ctx context.Context, q pg.Querier, from, to int64, needles []string) ([]received, error) {
	return queryAll(ctx, q, func(row pgx.CollectableRow) (r received, err error) {
		var headers []byte
		e := &r.event
		if err := row.Scan(&r.id, &r.status, &e.Source, &e.ID, &e.Type, &e.Account, &e.Livemode, &e.OccurredAt, &e.Payload,
			&headers); err != nil {
			return r, err
		}
		r.set, _ = facts.Read(*e)
		r.set.At = e.OccurredAt
		r.about = aboutOf(*e, r.set)
		r.named = slices.Concat(namedIn(e.Payload, e.Account), namedIn(headers, e.Account), identitiesOf(r.set),
			r.about.objects)
		return r, nil
	}, `
		SELECT e.id, e.status, e.source, e.event_id, e.type, e.account, e.livemode, e.occurred_at, e.payload, e.headers
		FROM webhook_events e
		CROSS JOIN LATERAL (SELECT lower(concat(e.payload::text, ' ', e.headers::text)) AS text OFFSET 0) t
		WHERE e.id > $1
		  AND e.id <= $2
		  AND e.payload IS NOT NULL
		  AND (strpos(t.text, '\u') > 0
			OR strpos(t.text, '%40') > 0
			OR EXISTS (SELECT FROM unnest($3::text[]) AS n(needle) WHERE strpos(t.text, n.needle) > 0))
		ORDER BY e.id`, from, to, needles)
}

// longestASCII is the part of a text that looks the same in whatever case
// Postgres and Go take letters beyond ASCII to have.
func longestASCII(text string) (longest string) {
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) {
		if len(part) > len(longest) {
			longest = part
		}
	}
	return longest
}
