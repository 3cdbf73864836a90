package store

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// trail is what was found of a person.
type trail struct {
	ids    []identity
	rows   []rowKey
	events []received
}

// from begins with what a person is known by, and goes on, as if all of that had
// been erased, until nothing leads any further. Of one store only what is there
// of the person is found. looked is told of each stretch of the inbox.
func (f *trail) from(ctx context.Context, tx pgx.Tx, seeds []identity, x erasure, looked func(done, all int64) error) error {
	e, found := &erased{tombs: map[identity]*tombstone{}}, ties{}
	for _, i := range seeds {
		found[i] = x.tombstone()
	}
	end, err := lastEvent(ctx, tx)
	if err != nil {
		return err
	}
	for len(found) > 0 {
		var fresh []identity
		for len(found) > 0 { // first the rows, of which there are indexes
			ids := slices.Collect(maps.Keys(found))
			for i, t := range found {
				e.tombs[i] = &t
			}
			rows, err := mentioning(ctx, tx, ids)
			if err != nil {
				return err
			}
			if found, err = e.tiesOfRows(ctx, tx, ids, rows); err != nil {
				return err
			}
			fresh, f.rows = append(fresh, ids...), append(f.rows, rows...)
		}
		f.ids, found = append(f.ids, fresh...), ties{}
		for from := int64(0); from < end; from += scanStretch {
			events, err := naming(ctx, tx, fresh, from, from+scanStretch)
			if err != nil {
				return err
			}
			for _, v := range events {
				e.ties(found, v.set)
				e.objectTies(found, v.about, v.set.At)
			}
			f.events = append(f.events, events...)
			if err := looked(min(from+scanStretch, end), end); err != nil {
				return err
			}
		}
	}
	f.rows, f.events = distinct(f.rows), distinctEvents(f.events)
	slices.SortFunc(f.ids, compareIdentities)
	if x.store == "" {
		return nil
	}
	if f.rows, err = rowsInStore(ctx, tx, x.store, f.ids); err != nil {
		return err
	}
	f.rows = distinct(f.rows)
	f.events, err = ofStoreAlone(ctx, tx, f.events, x.store, x.person)
	return err
}

func distinctEvents(all []received) []received {
	slices.SortFunc(all, func(a, b received) int { return int(a.id - b.id) })
	return slices.CompactFunc(all, func(a, b received) bool { return a.id == b.id })
}

// has tells whether an identity is the person's.
func (f trail) has(i identity) bool {
	_, found := slices.BinarySearchFunc(f.ids, i, compareIdentities)
	return found
}

// values are those of a kind.
func (f trail) values(kind string) []string {
	out := []string{}
	for _, i := range f.ids {
		if i.kind == kind {
			out = append(out, i.value)
		}
	}
	return out
}

// names are all that the person is known by, in lower case; of what they bought
// the ids stay.
func (f trail) names() (names []string) {
	for _, i := range f.ids {
		if i.kind != anObject {
			names = append(names, strings.ToLower(idOf(i)))
		}
	}
	return names
}

// rowsInStore finds the rows of a store that are of a person: those of the
// customers at their addresses, and those on no list that name them.
func rowsInStore(ctx context.Context, q querier, store string, ids []identity) (found []rowKey, err error) {
	defer wrap(&err, "store.rowsInStore(%q)", store)
	var leans, emails, persons []string
	for _, i := range ids {
		if key, ok := leanOf(i); ok {
			leans = append(leans, key)
		} else if i.kind == anAddress {
			emails, persons = append(emails, i.value), append(persons, "email:"+i.value)
		}
	}
	for kind, named := range map[string]string{
		enrollment:   "email = ANY($2) OR person = ANY($4)",
		payment:      "email = ANY($2) OR intent ->> 'email' = ANY($2) OR charge ->> 'email' = ANY($2)",
		subscription: "email = ANY($2) OR checkout ->> 'email' = ANY($2)",
	} {
		key := keyOf[kind]
		rows, err := q.Query(ctx, `
			SELECT `+key[0]+`, `+key[1]+`
			FROM `+tableOf[kind]+`
			WHERE customer_id IN (SELECT id FROM customers WHERE store_id = $1 AND email = ANY($2))
			UNION
			SELECT `+key[0]+`, `+key[1]+`
			FROM `+tableOf[kind]+`
			WHERE store_id = $1
			  AND customer_id IS NULL
			  AND (leans && $3::text[] OR `+named+`)
			  AND $4::text[] IS NOT NULL`, store, emails, leans, persons)
		if err != nil {
			return nil, err
		}
		some, err := keysOfKind(kind, rows)
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	return found, nil
}

// ofStoreAlone leaves the events that tell of rows of a store and of nothing
// else. person is what those rows may go by already.
func ofStoreAlone(ctx context.Context, q querier, events []received, store, person string) (left []received, err error) {
	var all []rowKey
	for _, v := range events {
		all = append(all, v.rows()...)
		for _, f := range v.set.Enrollments {
			all = append(all, rowKey{enrollment, f.CourseID, "user:" + person})
		}
	}
	in := map[rowKey]bool{}
	for kind, k := range keyArrays(all) {
		key := keyOf[kind]
		rows, err := q.Query(ctx, `
			SELECT k.a, k.b
			FROM unnest($1::text[], $2::text[]) AS k(a, b)
			JOIN `+tableOf[kind]+` f ON f.`+key[0]+` = k.a AND f.`+key[1]+` = k.b
			WHERE f.store_id = $3`, k[0], k[1], store)
		if err != nil {
			return nil, err
		}
		some, err := keysOfKind(kind, rows)
		if err != nil {
			return nil, err
		}
		for _, k := range some {
			in[k] = true
		}
	}
	for _, v := range events {
		if tellsOnlyOf(in, v, person) {
			left = append(left, v)
		}
	}
	return left, nil
}

// rows are those that an event tells of, or, where it says nothing, the payments
// that it is about.
func (v received) rows() []rowKey {
	keys := rowsIn(v.set)
	for _, o := range v.about.money {
		if account, id, _ := strings.Cut(o.value, "/"); len(rowsIn(v.set)) == 0 && !strings.HasPrefix(id, "ch_") {
			keys = append(keys, rowKey{payment, account, id})
		}
	}
	return keys
}

func tellsOnlyOf(in map[rowKey]bool, v received, person string) bool {
	keys := v.rows()
	if len(keys) == 0 || len(v.set.Users) > 0 {
		return false
	}
	return !slices.ContainsFunc(keys, func(k rowKey) bool {
		return !in[k] && !(k.kind == enrollment && in[rowKey{enrollment, k.a, "user:" + person}])
	})
}
