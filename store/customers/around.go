package customers

import (
	"cmp"
	"context"
	"time"

	"rollcall/internal/show"
	"rollcall/store/pg"
)

// StoreName is a store with what it is called: its id until the platform reports a name.
type StoreName struct{ ID, Name string }

// Around is what surrounds the pages of a store for one visitor.
type Around struct {
	Store  StoreName
	Person string      // the visitor's name, as Clerk reports it; may be empty
	Stores []StoreName // that the visitor owns or is a member of, by name; at most MostStores
	Owner  bool        // whether the visitor owns the store
	// Forecasts is whether something is expected of the store's customers.
	Forecasts bool
	Settings
	Reported string // the store's time zone as the platform reports it: counts if none is set; may be empty
}

// Zone is the time zone in which the store's pages are written for a reader with this one.
func (a Around) Zone(readers *time.Location) *time.Location {
	return cmp.Or(show.Zone(a.TimeZone), show.Zone(a.Reported), readers)
}

// MostStores is the longest list of a visitor's stores.
const MostStores = 200

// Around reads what surrounds a page of a store for a Clerk user; user is empty for
// other visitors, who have no stores of their own.
func (s *Reader) Around(ctx context.Context, user, store string) (a Around, err error) {
	defer pg.Wrap(&err, "customers.Around(%q, %q)", user, store)
	if !pg.Storable(user) || !pg.Storable(store) {
		a.Store = StoreName{store, printable(store)}
		return a, nil
	}
	a.Store.ID = store
	rows := pg.Query(ctx, s.Pool, `
		SELECT
			coalesce(nullif(here.name, ''), $2),
			coalesce(here.owner_user_id = $1, false) AND $1 <> '',
			coalesce((SELECT name FROM users WHERE id = $1), ''),
			coalesce(own.time_zone, ''),
			coalesce(here.time_zone, ''),
			coalesce(own.currencies, '{}'),
			EXISTS (SELECT FROM value_stores v WHERE v.store_id = $2 AND v.forecast_in IS NOT NULL),
			mine.id,
			mine.name
		FROM (SELECT) once
		LEFT JOIN stores here ON here.id = $2
		LEFT JOIN store_settings own ON own.store_id = $2
		LEFT JOIN (`+ownStores+`
		) mine ON true`, user, store, MostStores)
	var id, name *string
	err = pg.Each(rows, []any{&a.Store.Name, &a.Owner, &a.Person, &a.TimeZone, &a.Reported, &a.Currencies,
		&a.Forecasts, &id, &name},
		func() {
			if id != nil {
				a.Stores = append(a.Stores, StoreName{*id, *name})
			}
		})
	return a, err
}

// ownStores is SQL for the stores that user $1 owns or is a member of, at most $3.
const ownStores = `
			SELECT id, coalesce(nullif(name, ''), id) AS name
			FROM stores
			WHERE $1 <> '' AND (owner_user_id = $1 OR member_user_ids @> ARRAY[$1])
			ORDER BY lower(name), id
			LIMIT $3`
