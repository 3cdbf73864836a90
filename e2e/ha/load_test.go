package ha

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"rollcall/facts"
	"rollcall/internal/testing/testdb"
	"rollcall/store"
	"rollcall/webhooks"
)

const (
	people    = 60
	perSecond = 150
	// before is how many events are applied before something fails, after how
	// many of those that came later are applied before it counts as survived.
	before = 150
	after  = 150
	// mostPending is how many events may be pending before the senders wait.
	mostPending, checkBacklog = 600, 50
)

// event is one that its sender signs anew for each try.
type event struct {
	source, id string
	body       []byte
}

// nth is the nth event of a story in which people sign up, are enrolled, make
// progress, buy, and are given some of it back.
func nth(n int) event {
	person, at := n/4%people, time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC).Add(time.Duration(n)*time.Minute)
	switch n % 4 {
	case 0:
		return event{webhooks.Clerk, fmt.Sprintf("msg_%05d", n),
			fmt.Appendf(nil, `{"object":"event","type":"user.updated","timestamp":%d,"data":{"id":"user_%d","object":"user",
			"first_name":"Person","last_name":"%d of %d","primary_email_address_id":"idn_%[2]d","created_at":%[1]d,
			"updated_at":%[1]d,
			"email_addresses":[{"id":"idn_%[2]d","email_address":"person%[2]d@x.example",
			"verification":{"status":"verified"}}]}}`, at.UnixMilli(), person, person, n)}
	case 1:
		return event{webhooks.Platform, fmt.Sprintf("evt_%05d", n),
			fmt.Appendf(
				nil, `{"type":"enrollment.upserted","timestamp":"%s","data":{"course_id":"course_%d","store_id":"store_%d",`+
					`"user_id":"user_%d","progress":%d}}`,
				at.Format(time.RFC3339), n%7, person%3, person, n%100)}
	case 2:
		return event{webhooks.Stripe, fmt.Sprintf("evt_%05d", n),
			fmt.Appendf(nil, `{"id":"evt_%05d","object":"event","type":"checkout.session.completed","created":%d,"livemode":true,
			"api_version":"2023-10-16",
			"data":{"object":{"id":"cs_%[1]d","object":"checkout.session","mode":"payment","payment_status":"paid",
			"amount_total":%[3]d,"currency":"usd","payment_intent":"pi_%[1]d",
			"metadata":{"storeId":"store_%[4]d","productId":"pack_%[5]d","userId":"user_%[6]d"}}}}`, n, at.Unix(), 1000+n,
				person%3, n%5, person)}
	}
	return event{webhooks.Stripe, fmt.Sprintf("evt_%05d", n),
		fmt.Appendf(nil,
			`{"id":"evt_%05d","object":"event","type":"charge.refunded","created":%d,"livemode":true,"api_version":"2023-10-16",
		"data":{"object":{"id":"ch_%d","object":"charge","amount":%d,"amount_refunded":100,"currency":"usd",
		"payment_intent":"pi_%[3]d"}}}`, n, at.Unix(), n-1, 1000+n-1)}
}

// request signs the event and addresses it to a receiver.
func (e event) request(base string) (*http.Request, error) {
	var header http.Header
	var err error
	switch now := time.Now(); e.source {
	case webhooks.Stripe:
		header = webhooks.SignStripe(secret, e.body, now)
	case webhooks.Clerk:
		header, err = webhooks.SignClerk(secret, e.id, e.body, now)
	default:
		header, err = webhooks.SignPlatform(secret, e.id, e.body, now)
	}
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(http.MethodPost, base+"/webhooks/"+e.source, bytes.NewReader(e.body))
	if err != nil {
		return nil, err
	}
	req.Header = header
	return req, nil
}

// senders post the story, each event again and again until it is answered 2xx,
// as Stripe and Clerk do.
type senders struct {
	base   string
	pool   *pgxpool.Pool
	client *http.Client
	stop   chan struct{}
	ended  chan error
	sent   int // the number of the event to come next

	mu      sync.Mutex
	answers []time.Time // of 2xx
	broken  []error     // tries that no answer came to
	refused atomic.Int64
}

// send begins with an event of a number.
func send(base string, pool *pgxpool.Pool, first int) *senders {
	s := &senders{base: base, pool: pool, sent: first, stop: make(chan struct{}), ended: make(chan error, 1)}
	s.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}, Timeout: time.Minute}
	go func() { s.ended <- s.all() }()
	return s
}

func (s *senders) all() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	pace := rate.NewLimiter(perSecond, 1)
	var inFlight errgroup.Group
	inFlight.SetLimit(32)
	for ; ; s.sent++ {
		select {
		case <-s.stop:
			return inFlight.Wait()
		default:
		}
		if err := pace.Wait(ctx); err != nil {
			return err
		}
		if s.sent%checkBacklog == 0 {
			s.letWorkersCatchUp(ctx)
		}
		e := nth(s.sent)
		inFlight.Go(func() error { return s.deliver(ctx, e) })
	}
}

// letWorkersCatchUp waits while much is pending. A person of the story has more rows with each event, so
// workers that fall behind on a busy machine would never see the end.
func (s *senders) letWorkersCatchUp(ctx context.Context) {
	for {
		look, cancel := context.WithTimeout(ctx, time.Second)
		var pending int
		err := s.pool.QueryRow(look, `SELECT count(*) FROM webhook_events WHERE status = 'pending'`).Scan(&pending)
		cancel()
		if err != nil || pending < mostPending { // what fails may be Postgres
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-s.stop:
			return
		case <-ctx.Done():
			return
		}
	}
}

// deliver is a sender with one event.
func (s *senders) deliver(ctx context.Context, e event) error {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		acknowledged, err := s.try(e)
		if err != nil {
			s.mu.Lock()
			s.broken = append(s.broken, err)
			s.mu.Unlock()
		}
		if acknowledged {
			return nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("event %s is not acknowledged", e.id)
		}
	}
}

func (s *senders) try(e event) (acknowledged bool, err error) {
	req, err := e.request(s.base)
	if err != nil {
		return false, err
	}
	answer, err := s.client.Do(req)
	if err != nil {
		return false, err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return false, err
	}
	if answer.StatusCode != http.StatusOK {
		s.refused.Add(1)
		return false, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = append(s.answers, time.Now())
	return true, nil
}

// end lets the senders finish what they have begun.
func (s *senders) end(t *testing.T) {
	t.Helper()
	close(s.stop)
	if err := <-s.ended; err != nil {
		t.Fatal(err)
	}
}

// silence is the longest time without an acknowledgement from a moment on.
func (s *senders) silence(from time.Time) (longest time.Duration) {
	slices.SortFunc(s.answers, time.Time.Compare)
	for i := 1; i < len(s.answers); i++ {
		if s.answers[i].After(from) {
			longest = max(longest, s.answers[i].Sub(s.answers[i-1]))
		}
	}
	return longest
}

// survives goes on with the story while something fails, and holds the system to its
// promises: nothing that was acknowledged is lost, nothing has its effects twice,
// and it goes on by itself.
func (s *system) survives(base string, fail func()) *senders {
	s.t.Helper()
	s.t.Helper()
	load := send(base, s.pool, s.sent)
	s.until("events applied before anything fails", `count(*) >= $1 FROM webhook_events WHERE status = 'processed'`,
		s.sent+before)
	failed := time.Now()
	fail()
	resumed := time.Now()
	s.until("events applied that came after it failed", `count(*) >= $2 FROM webhook_events WHERE status = 'processed'
		AND received_at > $1`, resumed, after)
	load.end(s.t)
	events := load.sent - s.sent
	s.sent = load.sent
	s.whole(s.sent)
	var still, wait time.Duration
	if err := s.pool.QueryRow(context.Background(), `
		SELECT max(pause) FILTER (WHERE processed_at > $1), max(processed_at - received_at)
		FROM (SELECT *, processed_at - lag(processed_at) OVER (ORDER BY processed_at) AS pause FROM webhook_events) e`,
		failed).Scan(&still, &wait); err != nil {
		s.t.Fatal(err)
	}
	const unit = 10 * time.Millisecond
	s.t.Logf("%d events; longest without an acknowledgement %v, without an event applied %v; longest that one waited "+
		"%v; %d tries refused, %d broken off",
		events, load.silence(failed).Round(unit), still.Round(unit), wait.Round(unit), load.refused.Load(), len(load.broken))
	return load
}

// whole wants the first n events of the story kept and applied once each, and
// the rows that an undisturbed run comes to.
func (s *system) whole(n int) {
	s.t.Helper()
	s.until("all events applied", `count(*) FILTER (WHERE status = 'processed') = $1 FROM webhook_events`, n)
	if odd := rows(s.t, s.pool, `SELECT source, event_id, status, attempts, last_error FROM webhook_events
		WHERE status <> 'processed' OR attempts <> 1`); odd != "" {
		s.t.Errorf("not applied exactly once:\n%s", odd)
	}
	if diff := cmp.Diff(undisturbed(s.t, n), outcome(s.t, s.pool)); diff != "" {
		s.t.Errorf("the rows are not those of an undisturbed run (-undisturbed +this):\n%s", diff)
	}
}

// undisturbed is what the first n events come to in a database of their own.
func undisturbed(t *testing.T, n int) string {
	t.Helper()
	ctx, url := context.Background(), testdb.Postgres(t)
	s, err := store.Open(ctx, url, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	secrets := map[string][]webhooks.Secret{}
	for _, source := range []string{webhooks.Stripe, webhooks.Clerk, webhooks.Platform} {
		if secrets[source], err = webhooks.ParseSecrets(source, secret); err != nil {
			t.Fatal(err)
		}
	}
	receiver := webhooks.New(webhooks.Config{Store: s, Jobs: nobody{}, Secrets: secrets})
	defer receiver.Close()
	var ids []int64
	for i := range n {
		req, err := nth(i).request("")
		if err != nil {
			t.Fatal(err)
		}
		answer := httptest.NewRecorder()
		receiver.ServeHTTP(answer, req)
		if answer.Code != http.StatusOK {
			t.Fatalf("event %d: %d %s", i, answer.Code, answer.Body)
		}
	}
	for {
		waiting, err := s.Overdue(ctx, 0, 200)
		if err != nil {
			t.Fatal(err)
		}
		if len(waiting) == 0 {
			break
		}
		ids = ids[:0]
		for _, w := range waiting {
			ids = append(ids, w.ID)
		}
		if _, err := s.Apply(ctx, ids, 0, facts.Read); err != nil {
			t.Fatal(err)
		}
	}
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	return outcome(t, pool)
}

// nobody is asked to apply anything.
type nobody struct{}

func (nobody) EnqueueEvent(context.Context, string, int64, string) error { return nil }
