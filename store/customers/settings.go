package customers

import (
	"context"
	"slices"
	"strings"

	"rollcall/store/pg"
)

// Settings are how a store's people want to read times and money.
type Settings struct {
	TimeZone   string   // name in the IANA database; empty: none is set
	Currencies []string // in lower case, in the order to show; others follow
}

// mostCurrencies is the longest order of currencies.
const mostCurrencies = 30

// ParseCurrencies reads codes in any case, with commas or spaces between them. The error
// is a *pg.BadParam.
func ParseCurrencies(text string) (codes []string, err error) {
	codes = []string{}
	for _, code := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return r == ',' || r == ' ' }) {
		switch {
		case Currency.Check("", code) != nil:
			return nil, pg.Refuse("currencies", "%q is not a currency; write codes of three letters, as USD EUR", code)
		case len(codes) == mostCurrencies:
			return nil, pg.Refuse("currencies", "are more than %d", mostCurrencies)
		case !slices.Contains(codes, code):
			codes = append(codes, code)
		}
	}
	return codes, nil
}

// SaveSettings replaces a store's settings. A time zone that Postgres does not know is
// a *pg.BadParam.
func (s *Reader) SaveSettings(ctx context.Context, store string, set Settings) (err error) {
	defer pg.Wrap(&err, "customers.SaveSettings(%q)", store)
	if !pg.Storable(store) {
		return pg.ErrNotFound
	}
	zones, err := s.TimeZones(ctx)
	if err != nil {
		return err
	}
	if set.TimeZone != "" && !slices.Contains(zones, set.TimeZone) {
		return pg.Refuse("time_zone", "is not in the list")
	}
	_, err = s.Pool.Exec(ctx, `
		INSERT INTO store_settings (store_id, time_zone, currencies)
		VALUES ($1, $2, $3)
		ON CONFLICT (store_id) DO UPDATE
		SET time_zone = EXCLUDED.time_zone, currencies = EXCLUDED.currencies`, store, set.TimeZone, set.Currencies)
	return err
}

// TimeZones are the names of places in the IANA database, as Postgres has it.
func (s *Reader) TimeZones(ctx context.Context) (_ []string, err error) {
	defer pg.Wrap(&err, "customers.TimeZones")
	return pg.Column[string](ctx, s.Pool, `
		SELECT name
		FROM pg_timezone_names
		WHERE name ~ '^(Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Europe|Indian|Pacific)/' OR name = 'UTC'
		ORDER BY name`)
}

// Member is a person who may see a store.
type Member struct {
	ID    string // Clerk's
	Name  string // may be empty
	Email string // may be empty
	Owner bool
}

// mostMembers is the longest list of Members.
const mostMembers = 500

// Members are the owner and the members of a store, as the platform reported them.
func (s *Reader) Members(ctx context.Context, store string) (_ []Member, err error) {
	defer pg.Wrap(&err, "customers.Members(%q)", store)
	if !pg.Storable(store) {
		return nil, nil
	}
	return pg.Structs[Member](ctx, s.Pool, `
		SELECT
			m.id,
			coalesce(u.name, ''),
			coalesce(u.email, ''),
			m.owner
		FROM stores s
		CROSS JOIN LATERAL (
			SELECT s.owner_user_id AS id, true AS owner
			UNION ALL
			SELECT id, false
			FROM unnest(s.member_user_ids) id
			WHERE id IS DISTINCT FROM s.owner_user_id
		) m
		LEFT JOIN users u ON u.id = m.id
		WHERE s.id = $1
		  AND m.id IS NOT NULL
		ORDER BY m.owner DESC, lower(u.name), m.id
		LIMIT $2`, store, mostMembers)
}
