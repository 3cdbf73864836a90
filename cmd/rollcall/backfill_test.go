package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/store"
	"rollcall/store/pg"
)

func ptrTo[T any](v T) *T { return &v }

var noon = time.Date(2026, 1, 12, 12, 0, 0, 0, time.UTC)

// TestBackfillLines: the lines of courses and subscriptions are as they always
// were, and every kind has its own.
func TestBackfillLines(t *testing.T) {
	run := store.Backfill{ID: 3, Expected: ptrTo[int64](1250), Seen: 1250, Created: 980, Updated: 20, Unchanged: 250,
		Customers: 40, Status: "completed"}
	for _, c := range []struct {
		kind             string
		opening, closing string
	}{
		{"courses", "Found 1250 course purchases to process", "Backfill complete: 980 created, 270 updated, 0 errors"},
		{"subscriptions", "Found 1250 active subscriptions to process",
			"Subscription backfill complete: 980 created, 270 updated, 0 errors"},
		{"stripe", "Found 1,250 objects to read",
			"Stripe backfill complete: 1,250 objects read, 980 created, 20 updated, 250 unchanged, 0 errors; 40 new customers"},
		{"clerk", "Found 1,250 users to read",
			"Clerk backfill complete: 1,250 users read, 980 created, 20 updated, 250 unchanged, 0 errors; 40 new customers"},
		{"convex", "Found 1,250 rows to read",
			"Convex backfill complete: 1,250 rows read, 980 created, 20 updated, 250 unchanged, 0 errors; 40 new customers"},
		{"stripe-events", "Found 1,250 events to read", "Stripe events backfill complete: 1,250 events read, 980 created, " +
			"20 updated, 250 unchanged, 0 errors; 40 new customers"},
	} {
		run.Kind = c.kind
		if diff := cmp.Diff([]string{c.opening, c.closing}, []string{opening(run), closing(run)}); diff != "" {
			t.Errorf("%s: %s", c.kind, diff)
		}
	}
	for _, k := range store.BackfillKinds {
		if k.Title == "" || k.Objects == "" || k.Found == "" {
			t.Errorf("there are no words for %s", k.Name)
		}
	}
}

func TestBackfillClosings(t *testing.T) {
	run := func(change func(*store.Backfill)) store.Backfill {
		b := store.Backfill{ID: 3, Kind: "courses", Expected: ptrTo[int64](125), Seen: 60, Created: 50, Updated: 5,
			Unchanged: 3, Errors: 2, Status: "completed_with_errors"}
		change(&b)
		return b
	}
	for want, b := range map[string]store.Backfill{
		"Backfill complete: 50 created, 8 updated, " +
			"2 errors": run(func(b *store.Backfill) {}),
		"Backfill (dry run) complete: 50 would be created, 8 would be updated, " +
			"2 errors": run(func(b *store.Backfill) { b.DryRun = true }),
		"Clerk backfill (dry run) complete: 60 users read, 50 would be created, 5 would be updated, 3 are as they should " +
			"be, 2 errors": run(func(b *store.Backfill) { b.DryRun, b.Kind = true, "clerk" }),
		"Backfill 3 (courses) failed after 60 of 125 course purchases: the key is refused": run(
			func(b *store.Backfill) { b.Status, b.Reason = "failed", ptrTo("the key is refused") }),
		"Backfill 3 (courses) was cancelled after 60 of 125 course purchases; imported data stays": run(
			func(b *store.Backfill) { b.Status = "cancelled" }),
		"Backfill 3 (stripe) was cancelled after 60 objects; imported data stays": run(
			func(b *store.Backfill) { b.Status, b.Kind, b.Expected = "cancelled", "stripe", nil }),
	} {
		if got := closing(b); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestBackfillPassedOver(t *testing.T) {
	got := passedOver([]store.Passed{{Stream: "purchases", Reason: "not completed (pending)", Objects: 1},
		{Stream: "users", Reason: "without a Clerk id", Objects: 1300}})
	if want := "; skipped: 1 purchase not completed (pending); 1,300 users without a Clerk id"; got != want ||
		passedOver(nil) != "" {
		t.Errorf("%q", got)
	}
}

// scene is a run as it looks at one tick after another.
type scene struct {
	at   time.Duration // after the start
	b    store.Backfill
	err  error
	stop bool // Ctrl-C, after this
}

// play follows a run through its scenes, and returns what was told.
func play(t *testing.T, scenes []scene) (last store.Backfill, people, told string, err error) {
	t.Helper()
	var out, log strings.Builder
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tick := make(chan time.Time, len(scenes))
	now, i := noon, 0
	f := follower{
		get: func(context.Context, int64) (store.Backfill, error) {
			i++
			now = noon.Add(scenes[i].at)
			if scenes[i].stop {
				cancel()
			} else {
				tick <- now
			}
			return scenes[i].b, scenes[i].err
		},
		tick: tick, now: func() time.Time { return now },
		people: &out, err: &log, gauge: &lineGauge{w: &log},
	}
	tick <- now
	last, err = f.follow(ctx, scenes[0].b)
	return last, out.String(), log.String(), err
}

func at(status string, expected, seen int64) store.Backfill {
	b := store.Backfill{ID: 3, Kind: "courses", Status: status, Seen: seen, Updated: seen}
	if expected > 0 {
		b.Expected = &expected
	}
	if status == "completed" {
		b.EndedAt = &noon
	}
	return b
}

// TestFollow: every change of status is told at once, progress every two
// seconds, and how much there is to do exactly once.
func TestFollow(t *testing.T) {
	last, people, told, err := play(t, []scene{
		{b: at("queued", 0, 0)},
		{at: 250 * time.Millisecond, b: at("running", 0, 0)},
		{at: 500 * time.Millisecond, b: at("running", 125, 0)},
		{at: 750 * time.Millisecond, b: at("running", 125, 10)},
		{at: 2 * time.Second, b: at("running", 125, 40)},
		{at: 2250 * time.Millisecond, b: at("running", 125, 60)},
		{at: 2500 * time.Millisecond, b: at("paused", 125, 60)},
		{at: 60 * time.Second, b: at("paused", 125, 60)},
		{at: 61 * time.Second, b: at("running", 125, 60)},
		{at: 62 * time.Second, b: at("completed", 125, 125)},
	})
	if err != nil || last.Seen != 125 {
		t.Fatalf("%+v %v", last, err)
	}
	if want := "Found 125 course purchases to process\n"; people != want {
		t.Errorf("people are told %q, want %q", people, want)
	}
	want := strings.Join([]string{
		"running: 0 course purchases",
		"running: 60 of 125 course purchases, 60 updated", // two seconds after the one before
		"paused: 60 of 125 course purchases, 60 updated",
		"running: 60 of 125 course purchases, 60 updated", "",
	}, "\n")
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
}

// TestFollowNoWorker: after ten seconds in the queue it says so, once.
func TestFollowNoWorker(t *testing.T) {
	_, _, told, err := play(t, []scene{
		{b: at("queued", 0, 0)},
		{at: 9 * time.Second, b: at("queued", 0, 0)},
		{at: 10 * time.Second, b: at("queued", 0, 0)},
		{at: 20 * time.Second, b: at("queued", 0, 0)},
		{at: 21 * time.Second, b: at("completed", 1, 1)},
	})
	if want := "no worker has taken it yet: is `rollcall work` running?\n"; err != nil || told != want {
		t.Errorf("%q, want %q; %v", told, want, err)
	}
}

// TestFollowOutage: a database that is away is waited for; other errors are not.
func TestFollowOutage(t *testing.T) {
	away := &awayError{}
	if !pg.Unavailable(away) {
		t.Fatal("this is no error of an outage")
	}
	last, _, told, err := play(t, []scene{
		{b: at("running", 0, 0)}, {err: away}, {err: away}, {b: at("completed", 0, 9)},
	})
	if err != nil || last.Seen != 9 || strings.Count(told, "the database does not answer") != 1 {
		t.Errorf("%+v %q %v", last, told, err)
	}
	if _, _, _, err = play(t, []scene{{b: at("running", 0, 0)}, {err: pg.ErrNotFound}}); !errors.Is(err, pg.ErrNotFound) {
		t.Error(err)
	}
}

// awayError is what a connection says that cannot be made.
type awayError struct{}

func (*awayError) Error() string     { return "connection refused" }
func (*awayError) SafeToRetry() bool { return true }

// TestFollowInterrupted: it returns the run as last seen.
func TestFollowInterrupted(t *testing.T) {
	last, _, _, err := play(t, []scene{{b: at("running", 0, 0)}, {b: at("running", 0, 7), stop: true}})
	if !errors.Is(err, context.Canceled) || last.Seen != 7 {
		t.Errorf("%+v %v", last, err)
	}
}

// TestBar: on a terminal one line has a bar, the rate and the time left, and it
// bears a run that has more than was expected.
func TestBar(t *testing.T) {
	var screen strings.Builder
	g := barGauge{progress{&screen}}
	show := func(b store.Backfill) string {
		b.StartedAt = ptrTo(noon.Add(-2 * time.Second))
		screen.Reset()
		g.show(b, noon)
		return screen.String()
	}
	for want, b := range map[string]store.Backfill{
		"running: 5,000 course purchases, 5,000 updated, 2,500 " +
			"a second": at("running", 0, 5000),
		"queued: 0 of 125 course " +
			"purchases": at("queued", 125, 0),
		"[                    ] running: 0 of 125 course purchases, 0 " +
			"a second": at("running", 125, 0),
		"[=========           ] running: 60 of 125 course purchases, 60 updated, 30 a second, about " +
			"2s left": at("running", 125, 60),
		"[====================] running: 130 of 125 course purchases, 130 updated, 65 " +
			"a second": at("running", 125, 130),
		"[===============     ] running: 150,000 of 200,000 course purchases, 150,000 updated, 75,000 a second, about " +
			"1s left": at("running", 200_000, 150_000),
	} {
		if got := show(b); got != "\r\x1b[K"+want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if text := show(at("completed", 200, 200)); text != "" {
		t.Errorf("the end is told twice: %q", text)
	}
	if g.clear(); screen.String() != "\r\x1b[K" {
		t.Errorf("the bar is left on the screen: %q", screen.String())
	}
}

func TestSince(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2026-01-12":                time.Date(2026, 1, 12, 0, 0, 0, 0, time.UTC),
		"2026-01-12T10:00:00+02:00": time.Date(2026, 1, 12, 8, 0, 0, 0, time.UTC),
	} {
		var s since
		if err := s.UnmarshalText([]byte(text)); err != nil || !s.at.Equal(want) {
			t.Errorf("%s: %v %v", text, s.at, err)
		}
	}
	for text, want := range map[string]time.Duration{"90d": 90 * 24 * time.Hour, "36h": 36 * time.Hour,
		"1h30m": 90 * time.Minute} {
		var s since
		before := time.Now().Add(-want).Truncate(time.Second)
		err := s.UnmarshalText([]byte(text))
		if err != nil || s.at.Before(before) || s.at.After(time.Now().Add(-want)) {
			t.Errorf("%s: %v %v", text, s.at, err)
		}
	}
	for _, text := range []string{"", "x", "d", "0d", "-3d", "3", "-1h", "0s", "2026-13-01", "99999999999d", "1.5d"} {
		var s since
		if err := s.UnmarshalText([]byte(text)); err == nil || s.at != nil {
			t.Errorf("%q is %v", text, s.at)
		}
	}
}

func TestTook(t *testing.T) {
	began := noon.Add(-90*time.Second - 400*time.Millisecond)
	ended := began.Add(1234 * time.Millisecond)
	for want, b := range map[string]store.Backfill{"": {}, "1m30s": {StartedAt: &began},
		"1.2s": {StartedAt: &began, EndedAt: &ended}} {
		if got := took(b, noon); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestHistorySettings: what cannot be a key or an address is refused by the
// variable's name, without its value.
func TestHistorySettings(t *testing.T) {
	base := Config{StripeMode: new("any"), LogLevel: "info", LogFormat: "text", Color: "auto"}
	for _, c := range []struct {
		name  string
		set   func(*Config, *string)
		right []string
		wrong []string
	}{
		{"STRIPE_API_KEY", func(c *Config, v *string) { c.StripeAPIKey = v }, []string{"sk_test_1", "rk_live_1"},
			[]string{"", " ", "sk_", "pk_hush", "whsec_hush", "sk_test hush", "sk_hush\n"}},
		{"CLERK_SECRET_KEY", func(c *Config, v *string) { c.ClerkSecretKey = v }, []string{"sk_test_1"},
			[]string{"", "rk_hush", "pk_hush", "hush"}},
		{"STRIPE_API_BASE", func(c *Config, v *string) { c.StripeAPIBase = v },
			[]string{"https://api.stripe.com", "http://127.0.0.1:12111"},
			[]string{"", "hush", "ftp://hush", "https://", "http://hush:port", "127.0.0.1:12111"}},
		{"CLERK_API_BASE", func(c *Config, v *string) { c.ClerkAPIBase = v }, []string{"https://api.clerk.com/v1"},
			[]string{"", "//hush", "mailto:hush"}},
	} {
		for _, v := range c.right {
			cfg := base
			c.set(&cfg, &v)
			if err := cfg.check(); err != nil {
				t.Errorf("%s=%q: %v", c.name, v, err)
			}
		}
		for _, v := range c.wrong {
			cfg := base
			c.set(&cfg, &v)
			if err := cfg.check(); err == nil || !strings.Contains(err.Error(), c.name) ||
				strings.Contains(err.Error(), "hush") {
				t.Errorf("%s=%q: %v", c.name, v, err)
			}
		}
	}
}
