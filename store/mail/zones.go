package mail

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/mail"
	"rollcall/store/pg"
)

// theirZones are the zones that the platform names of users, and until when it is quiet in each. Go knows their clocks:
// Postgres would fail at a name that it does not know.
type theirZones struct {
	names []string
	open  []*time.Time // nil: it is not quiet there
}

// zonesOfUsers reads which zones there are, with one look into an index for each. Names of no zone are left out.
func zonesOfUsers(ctx context.Context, db pg.Querier, h mail.Hours, at time.Time) (z theirZones, err error) {
	if h.From == h.To {
		return z, nil
	}
	names, err := pgx.CollectRows(pg.Query(ctx, db, `
		WITH RECURSIVE z AS (
			SELECT min(time_zone) AS name FROM users WHERE time_zone IS NOT NULL
			UNION ALL
			SELECT (SELECT min(u.time_zone) FROM users u WHERE u.time_zone > z.name) FROM z WHERE z.name IS NOT NULL
		)
		SELECT name
		FROM z
		WHERE name IS NOT NULL`), pgx.RowTo[string])
	for _, name := range names {
		if zone, known := zoneNamed(name); known {
			z.names, z.open = append(z.names, name), append(z.open, after(h.Next(at, zone), at))
		}
	}
	return z, err
}

// after is a time if it is after another; else nil.
func after(t, at time.Time) *time.Time {
	if t.After(at) {
		return &t
	}
	return nil
}

// quiet fills in until when m waits for quiet hours to end: those of the recipient's zone, else of the store's.
func (z theirZones) quiet(w *wait, store *time.Time, args *pg.Arguments) {
	w.zone, w.zones = "NULL::integer", "NULL::text[]"
	open := args.Add(store) + "::timestamptz"
	if len(z.names) > 0 {
		w.zones = args.Add(z.names) + "::text[]"
		w.zone = `(
				SELECT array_position(` + w.zones + `, u.time_zone)
				FROM users u
				WHERE u.email = m.email
				  AND u.time_zone = ANY(` + w.zones + `)
				ORDER BY ` + whose + `
				LIMIT 1
			)`
		open = `CASE WHEN z.nth IS NULL THEN ` + open + ` ELSE (` + args.Add(z.open) + `::timestamptz[])[z.nth] END`
	}
	w.quiet = `CASE WHEN m.class <> 'test' THEN ` + open + ` END`
}

// whose is SQL for which of several users u of an address counts: who is there still, and who was told of last.
const whose = `u.deleted_version = '' DESC, u.version DESC, u.id`

// TheirZone is the zone that the platform names of who has an address; empty: it names none.
func (m *Mails) TheirZone(ctx context.Context, email string) (_ string, err error) {
	defer pg.Wrap(&err, "mail.TheirZone")
	names, err := pgx.CollectRows(pg.Query(ctx, m.Pool, `
		SELECT u.time_zone
		FROM users u
		WHERE u.email = $1
		  AND u.time_zone IS NOT NULL
		ORDER BY `+whose, email), pgx.RowTo[string])
	for _, name := range names {
		if _, known := zoneNamed(name); known {
			return name, err
		}
	}
	return "", err
}

// zoneNamed is the zone of a name; known is false if there is none.
func zoneNamed(name string) (zone *time.Location, known bool) {
	zone, err := time.LoadLocation(name)
	return zone, err == nil && name != "" && name != "Local"
}

// Why is a reason in words, and until when it is quiet in a zone; without one the hours are the store's.
func Why(reason, zone string, until *time.Time) string {
	if reason != "quiet" || zone == "" || until == nil {
		return mail.ReasonText(reason)
	}
	city := strings.ReplaceAll(zone[strings.LastIndexByte(zone, '/')+1:], "_", " ")
	return fmt.Sprintf("%s: until %s %s time, theirs", mail.ReasonText(reason), until.In(mail.Zone(zone)).Format("15:04"),
		city)
}
