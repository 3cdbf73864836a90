package campaigns_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"rollcall/facts"
	"rollcall/store/campaigns"
)

// zones are one for each hour of the day, most with clock changes, and some that are off by part of an hour.
var zones = []string{"Pacific/Midway", "Pacific/Honolulu", "America/Anchorage", "America/Los_Angeles", "America/Denver",
	"America/Chicago", "America/New_York", "America/Halifax", "America/St_Johns", "America/Sao_Paulo", "Atlantic/Azores",
	"Europe/London", "Europe/Berlin", "Europe/Helsinki", "Africa/Nairobi", "Asia/Tehran", "Asia/Karachi", "Asia/Kathmandu",
	"Asia/Dhaka", "Asia/Bangkok", "Asia/Shanghai", "Australia/Adelaide", "Australia/Lord_Howe", "Pacific/Auckland"}

// starts are days before the clocks change: of Europe, of America, of Australia, and of New Zealand alone.
var starts = []string{"2026-03-28", "2026-10-24", "2026-03-07", "2026-10-31", "2026-04-04", "2026-10-03", "2026-09-26"}

// Over both clock changes of each hemisphere, in 24 zones, a mail that becomes due at any hour goes out once: within
// two days, and at an hour of the day in which the store sends.
func TestZones(t *testing.T) {
	t.Parallel()
	for _, start := range starts {
		t.Run(start, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.now = moment(start + "T00:00:00Z")
			var changed []string
			for _, zone := range zones {
				at, err := time.LoadLocation(zone)
				if err != nil {
					t.Fatal(err)
				}
				_, before := w.now.In(at).Zone()
				if _, after := w.now.Add(2 * day).In(at).Zone(); before != after {
					changed = append(changed, zone)
				}
			}
			if len(changed) == 0 {
				t.Error("no clock changes")
			}
			w.inZones()
		})
	}
}

// inZones lets mails become due and be sent for two days in a store of each zone, and in one whose customers live in
// all of them.
func (w *world) inZones() {
	w.Helper()
	var set facts.Set
	for i, zone := range zones {
		id := fmt.Sprint("z", i)
		set.Stores = append(set.Stores, facts.Store{ID: id, Name: id, TimeZone: zone, Version: w.version(begin)})
		for hour := range 4 {
			e := w.enrolled("course_"+id, fmt.Sprintf("p%d@x.example", hour), w.now.Add(time.Duration(7*hour)*time.Hour-
				7*day), 0, w.now.Add(-7*day))
			e.StoreRef = id
			set.Enrollments = append(set.Enrollments, e)
		}
	}
	stores := append(slices.Clone(zones), "Europe/Berlin")
	set.Stores = append(set.Stores, facts.Store{ID: "z24", Name: "all", TimeZone: "Europe/Berlin",
		Version: w.version(begin)})
	for i, zone := range zones {
		email := fmt.Sprintf("u%d@x.example", i)
		set.Users = append(set.Users, facts.User{ID: email, Email: email, TimeZone: zone, Version: w.version(begin)})
		e := w.enrolled("course_z24", email, w.now.Add(time.Duration(i)*time.Hour-7*day), 0, w.now.Add(-7*day))
		e.StoreRef = "z24"
		set.Enrollments = append(set.Enrollments, e)
	}
	w.keep(set)
	w.exec(`INSERT INTO mail_settings (store_id, home_url) SELECT id, 'https://s.example' FROM stores
		ON CONFLICT DO NOTHING`)
	for i := range stores {
		id := fmt.Sprint("z", i)
		c, err := w.Make(w.Context(), id, campaigns.FromRecipe{Recipe: "not_started"}, "admin")
		if err != nil {
			w.Fatal(err)
		}
		if _, err := w.Switch(w.Context(), id, c.ID, campaigns.Order{To: campaigns.On}, w.now.Add(-time.Minute)); err != nil {
			w.Fatal(err)
		}
	}
	for range 24 {
		w.tick(2 * time.Hour)
		w.send()
	}
	w.want(`SELECT concat_ws(' ', count(*), count(DISTINCT store_id || email), min(status), max(status)) FROM mails`,
		`120 120 sent sent`)
	w.want(`SELECT concat_ws(' ', z.name, m.email, m.sent_at AT TIME ZONE z.name)
		FROM mails m
		JOIN stores s ON s.id = m.store_id
		LEFT JOIN users u ON u.email = m.email
		CROSS JOIN LATERAL (SELECT coalesce(u.time_zone, s.time_zone) AS name) z
		WHERE extract(hour FROM m.sent_at AT TIME ZONE z.name) NOT BETWEEN 9 AND 19`, ``)
}
