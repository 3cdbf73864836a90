package campaigns_test

import (
	"errors"
	"testing"

	"rollcall/store/campaigns"
	"rollcall/store/pg"
)

// Settings that are saved while a campaign is switched on do not miss each other, whichever comes first: where links
// lead is not taken away from a campaign that is on.
func TestSettingsAndSwitchesWaitForEachOther(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ first, locked, second, wrong string }{
		"switched first": {"switch", "campaigns", "save", "home_url"},
		"saved first":    {"save", "mail_settings", "switch", "not_ready"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			campaign := w.draft(campaigns.FromRecipe{Recipe: "not_started"})
			settings, _, err := w.mails().Settings(t.Context(), "s1")
			if err != nil {
				t.Fatal(err)
			}
			settings.HomeURL = ""
			ended := map[string]chan error{"save": make(chan error, 1), "switch": make(chan error, 1)}
			do := map[string]func() error{
				"save": func() error { return w.SaveSettings(t.Context(), "s1", settings) },
				"switch": func() error {
					_, err := w.Switch(t.Context(), "s1", campaign.ID, campaigns.Order{To: campaigns.On}, w.now)
					return err
				},
			}
			tx, err := w.store.Pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = tx.Rollback(t.Context()) }() // so those who wait go on, should it fail
			// What comes first has asked, and waits before it writes.
			if _, err := tx.Exec(t.Context(), `LOCK TABLE `+c.locked+` IN SHARE MODE`); err != nil {
				t.Fatal(err)
			}
			for before, which := range []string{c.first, c.second} {
				go func() { ended[which] <- do[which]() }()
				for n := 0; n <= before; {
					if err := w.store.Pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
						WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n); err != nil {
						t.Fatal(err)
					}
					if len(ended[which]) > 0 {
						t.Fatalf("%s does not wait: %v", which, <-ended[which])
					}
				}
			}
			if err := tx.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := <-ended[c.first]; err != nil {
				t.Error(err)
			}
			err = <-ended[c.second]
			var bad *pg.BadParam
			var conflict *pg.Conflict
			if !(errors.As(err, &bad) && bad.Name == c.wrong || errors.As(err, &conflict) && conflict.Code == c.wrong) {
				t.Errorf("%v, want %s", err, c.wrong)
			}
		})
	}
}
