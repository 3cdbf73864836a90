package worker

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	svix "github.com/svix/svix-webhooks/go"

	"rollcall/store/status"
	"rollcall/watch"
)

// loopback are the networks of the tests' own servers.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

const alertSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// listener is somebody who is told of changes, and does not always listen.
type listener struct {
	t      *testing.T
	url    string
	mu     sync.Mutex
	deaf   int      // how many tellings fail yet
	tries  []string // ids, of all tellings
	heard  []string // ids and states, of those that were answered 200
	always *svix.Webhook
}

func newListener(t *testing.T, deaf int) *listener {
	t.Helper()
	verifier, err := svix.NewWebhook(alertSecret)
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{t: t, deaf: deaf, always: verifier}
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	l.url = server.URL
	return l
}

func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = l.always.VerifyIgnoringTimestamp(body, r.Header) // the clock of the test is ahead
	}
	var said struct {
		Type string
		Data struct{ Watch, State, Was string }
	}
	if err == nil {
		err = json.Unmarshal(body, &said)
	}
	if err != nil || said.Type != "watch.changed" {
		l.t.Errorf("%s: %v", body, err)
	}
	id := r.Header.Get("webhook-id")
	l.tries = append(l.tries, id)
	if l.deaf > 0 {
		l.deaf--
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	l.heard = append(l.heard, id+" "+said.Data.Was+"→"+said.Data.State)
}

// wants checks what was heard and how often it was tried.
func (l *listener) wants(tries int, heard ...string) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.tries) != tries || !slices.Equal(l.heard, heard) {
		l.t.Errorf("tried %v, heard %v; want %d tries, and %v", l.tries, l.heard, tries, heard)
	}
}

// watched is a site whose workers look at the watches all the time, by a clock
// that can be put on.
type watched struct {
	*site
	ahead atomic.Int64 // of the real clock
}

func newWatched(t *testing.T, url string) *watched {
	s := &watched{site: newSite(t, nil)}
	s.config.Watch = 20 * time.Millisecond
	s.config.Now = func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }
	if url != "" {
		alert, err := watch.NewAlert(url, alertSecret, loopback)
		if err != nil {
			t.Fatal(err)
		}
		s.config.Alert = alert
	}
	return s
}

func (s *watched) putOn(d time.Duration) { s.ahead.Add(int64(d)) }

// fails puts an event into the inbox that could not be applied.
func (s *watched) fails() {
	s.exec(`INSERT INTO webhook_events (source, event_id, type, occurred_at, payload, status, last_error)
		VALUES ('stripe', 'evt_1', 'invoice.paid', now(), '{}', 'failed', 'it cannot be read')`)
}

const theWatch = "events_failing/stripe/invoice.paid"

// A change is told once: again and again until somebody listens, and not again
// after that, whoever starts anew. So is its end.
func TestChangesAreToldOnce(t *testing.T) {
	t.Parallel()
	ear := newListener(t, 2)
	s := newWatched(t, ear.url)
	stop := s.run(New(s.config))
	s.fails()
	s.until(`leaning = 'problem' FROM watches WHERE name = '` + theWatch + `'`)
	s.is(`NOT EXISTS (SELECT FROM watch_changes)`)
	s.putOn(3 * time.Minute)
	s.until(`alert = 'delivered' AND attempts = 3 FROM watch_changes`)
	ear.wants(3, theWatch+":1 ok→problem")

	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s.run(New(s.config))
	}
	s.putOn(time.Minute)
	s.exec(`UPDATE webhook_events SET status = 'processed', last_error = NULL, processed_at = now()`)
	s.until(`leaning = 'ok' FROM watches WHERE name = '` + theWatch + `'`)
	ear.wants(3, theWatch+":1 ok→problem")
	s.putOn(11 * time.Minute)
	s.until(`count(*) = 2 AND bool_and(alert = 'delivered') FROM watch_changes`)
	ear.wants(4, theWatch+":1 ok→problem", theWatch+":2 problem→ok")
	s.is(`state = 'ok' AND changes = 2 FROM watches WHERE name = '` + theWatch + `'`)
}

// A change whose job is lost, or whose worker died in the middle of telling it,
// is found by the sweep.
func TestLostAlerts(t *testing.T) {
	t.Parallel()
	ear := newListener(t, 0)
	s := newWatched(t, ear.url)
	s.exec(`INSERT INTO watches (name, since, checked_at, changes) VALUES ('w/1', now(), now(), 2)`)
	s.exec(`INSERT INTO watch_changes (watch, number, state, was, since, detail, fix, made_at, alert, held_until) VALUES
		('w/1', 1, 'problem', 'ok', now(), '', '', now() - interval '1 minute', 'due', NULL),
		('w/1', 2, 'ok', 'problem', now(), '', '', now(), 'due', now() + interval '20 seconds')`)
	s.run(New(s.config))
	s.until(`alert = 'delivered' FROM watch_changes WHERE number = 1`)
	s.is(`alert = 'due' FROM watch_changes WHERE number = 2`)
	s.putOn(40 * time.Second)
	s.until(`alert = 'delivered' FROM watch_changes WHERE number = 2`)
	ear.wants(2, "w/1:1 ok→problem", "w/1:2 problem→ok")
}

// Of workers that look at the same moment one does, and a change has one number.
func TestOneWorkerLooks(t *testing.T) {
	t.Parallel()
	s := newWatched(t, "")
	s.config.Watch = time.Minute
	now := time.Now()
	s.config.Now = func() time.Time { return now }
	s.fails()
	for range 4 {
		var looks sync.WaitGroup
		for range 6 {
			looks.Go(func() {
				w := New(s.config)
				defer w.jobs.Close()
				if _, err := w.checkWatches(t.Context(), w.cfg.Watch); err != nil {
					t.Error(err)
				}
			})
		}
		looks.Wait()
		now = now.Add(time.Minute)
	}
	s.is(`count(*) = 1 AND bool_and(number = 1 AND state = 'problem' AND alert = 'none') FROM watch_changes`)
}

// News of secrets that a failed check did not take up bring the next one.
func TestNewsOutliveAFailedCheck(t *testing.T) {
	t.Parallel()
	s := newWatched(t, "")
	s.config.Watch = time.Hour
	s.run(New(s.config))
	s.until(`count(*) > 0 FROM watches`)
	s.exec(`CREATE SEQUENCE checks`)
	s.exec(`CREATE FUNCTION fails_first() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF nextval('checks') = 1 THEN RAISE EXCEPTION 'the first fails'; END IF;
		RETURN NULL;
	END $$`)
	s.exec(`CREATE TRIGGER fails_first BEFORE INSERT ON watches EXECUTE FUNCTION fails_first()`)
	s.exec(`INSERT INTO webhook_secrets VALUES ('stripe', '0000000a', NULL, NULL, 1, now(), now())`)
	s.until(`state = 'problem' FROM watches WHERE name = '` + watch.Signatures + `/stripe'`)
	s.is(`last_value > 1 FROM checks`)
}

// A check that fails for good is tried again and again, and logged once.
func TestACheckThatFailsIsLoggedOnce(t *testing.T) {
	t.Parallel()
	s := newWatched(t, "")
	var lines bytes.Buffer
	s.config.Log = slog.New(slog.NewTextHandler(&lines, nil))
	s.exec(`CREATE SEQUENCE checks`)
	s.exec(`CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		RAISE EXCEPTION 'check % fails', nextval('checks');
	END $$`)
	s.exec(`CREATE TRIGGER fails BEFORE INSERT ON watches EXECUTE FUNCTION fails()`)
	stop := s.run(New(s.config))
	s.until(`last_value > 5 FROM checks`)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(lines.String(), "the watches could not be looked at"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, &lines)
	}
}

// Nobody was to be told: nobody is told when somebody is to be, later.
func TestChangesOfBeforeAreNotTold(t *testing.T) {
	t.Parallel()
	s := newWatched(t, "")
	s.fails()
	stop := s.run(New(s.config))
	s.until(`leaning = 'problem' FROM watches WHERE name = '` + theWatch + `'`)
	s.putOn(3 * time.Minute)
	s.until(`alert = 'none' FROM watch_changes`)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	ear := newListener(t, 0)
	alert, err := watch.NewAlert(ear.url, alertSecret, loopback)
	if err != nil {
		t.Fatal(err)
	}
	s.config.Alert = alert
	if due, err := status.New(s.config.Store).DueAlerts(t.Context(), s.config.Now().Add(time.Hour), 10); err != nil ||
		len(due) > 0 {
		t.Errorf("due %v, %v", due, err)
	}
	ear.wants(0)
}

// The watches are there for others to read; the worst come first. What is old
// is forgotten.
func TestWatchesAreKept(t *testing.T) {
	t.Parallel()
	s := newWatched(t, "")
	s.config.Watch = time.Minute
	now := time.Date(2026, 3, 18, 12, 0, 0, 0, time.UTC)
	s.config.Now = func() time.Time { return now }
	s.fails()
	s.exec(`INSERT INTO webhook_deliveries VALUES ('stripe', '2026-01-01 10:00Z', 'accepted', 1, '2026-01-01 10:00Z',
		'2026-01-01 10:00Z'), ('stripe', '2025-12-01 10:00Z', 'accepted', 1, '2025-12-01 10:00Z', '2025-12-01 10:00Z')`)
	for _, at := range []string{"'2026-03-16 11:59Z'", "'2026-03-16 13:00Z'"} {
		s.exec(`INSERT INTO webhook_minutes VALUES ('stripe', ` + at + `, 'accepted', 1)`)
		s.exec(`INSERT INTO webhook_networks VALUES ('stripe', date_trunc('hour', timestamptz ` + at + `, 'UTC'),
			'203.0.113.0/24', 'accepted', 1, ` + at + `)`)
		s.exec(`INSERT INTO event_work VALUES ('minute', ` + at + `, 'stripe', 'applied', 5, 1, 1)`)
		s.exec(`INSERT INTO inbox_samples VALUES ('minute', ` + at + `, 1, now())`)
	}
	s.exec(`INSERT INTO event_work VALUES ('hour', '2025-12-01 10:00Z', 'stripe', 'applied', 5, 1, 1),
		('hour', '2026-01-01 10:00Z', 'stripe', 'applied', 5, 1, 1)`)
	s.exec(`INSERT INTO webhook_secrets VALUES
		('stripe', '0000000a', '2025-12-01', '2025-12-01', 1, '2025-12-02', '2025-12-02'),
		('stripe', '0000000b', NULL, NULL, 1, '2025-12-01', '2025-12-01'),
		('stripe', '0000000c', NULL, NULL, 1, '2025-12-01', '2026-01-01')`)
	w := New(s.config)
	defer w.jobs.Close()
	for range 3 {
		if _, err := w.checkWatches(t.Context(), w.cfg.Watch); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Minute)
	}
	all, err := status.New(s.config.Store).Watches(t.Context())
	if err != nil || len(all) < 10 {
		t.Fatalf("%+v %v", all, err)
	}
	first, since := all[0], time.Date(2026, 3, 18, 12, 0, 0, 0, time.UTC)
	if first.Name != theWatch || first.State != status.Problem || !first.Since.Equal(since) ||
		!first.CheckedAt.Equal(since.Add(2*time.Minute)) || first.Fix == "" || first.Changes != 1 || first.Leaning != nil {
		t.Errorf("%+v", first)
	}
	s.is(`count(*) = 1 AND min(hour) = '2026-01-01 10:00Z' FROM webhook_deliveries`)
	s.is(`array_agg(secrets ORDER BY secrets) = '{0000000a,0000000c}' FROM webhook_secrets`)
	s.is(`count(*) = 2 AND min(at) = '2026-01-01 10:00Z' FROM event_work`)
	for _, of := range []string{"webhook_minutes", "webhook_networks", "inbox_samples"} { // of two days
		s.is(`count(*) = 1 FROM ` + of)
	}
}
