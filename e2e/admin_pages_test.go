package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"rollcall/facts"
	"rollcall/internal/testing/browser"
	"rollcall/jobs"
	"rollcall/store"
	"rollcall/worker"
)

// startWorkerAs runs a worker of which the test says what it reads, and how.
func (s *system) startWorkerAs(read store.Reader, sources func(store.Backfill) (worker.Source, error)) {
	s.t.Helper()
	redis, err := jobs.ParseRedis(s.servers.RedisURL)
	if err != nil {
		s.t.Fatal(err)
	}
	own, err := store.Open(context.Background(), s.servers.DatabaseURL, store.Options{Conns: 8})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(own.Close)
	s.run(worker.New(worker.Config{Store: own, Redis: redis, Log: slog.New(slog.DiscardHandler), Read: read,
		Sources: sources, Keys: []string{"CLERK_SECRET_KEY"}, Sweep: sweepEvery, Grace: grace}))
}

// mended is a reader that cannot read enrollments until it is mended, and then
// waits with each until it may.
type mended struct {
	is  atomic.Bool
	may chan struct{}
}

func (m *mended) read(e facts.Event) (facts.Set, error) {
	if e.Type != "enrollment.upserted" {
		return facts.Read(e)
	}
	if !m.is.Load() {
		return facts.Set{}, &facts.Malformed{Reason: "progress is written as <nobody> expects"}
	}
	<-m.may
	return facts.Read(e)
}

// here marks a page, so that a reload shows.
func here(p *browser.Page) { browser.Eval[bool](p, `(window.here = true)`) }

// An operator finds a failed event, mends what made it fail, retries it on its
// page, and sees it applied there and on the list, without a reload.
func TestFailedEventIsRetriedOnItsPage(t *testing.T) {
	t.Parallel()
	s := newSharedSystem(t)
	reader := &mended{may: make(chan struct{})}
	s.startWorkerAs(reader.read, nil)
	s.tell("p1", "store.upserted", `{"id":"studio","name":"Aurora"}`)
	s.tell("p2", "enrollment.upserted",
		`{"course_id":"mixing","store_id":"studio","email":"ann@mail.example","name":"Ann"}`)
	s.until("the enrollment has failed", `count(*) = 1 FROM webhook_events WHERE status = 'failed'`)

	p := s.signedIn("/admin")
	p.Click(`.alerts a[href="/admin/events?status=failed"]`)
	p.Has("#list", "progress is written as <nobody> expects")
	p.Click("#list .what a")
	p.Has("h1", "enrollment.upserted")
	p.Has("#fate", "failed could not be applied, after 1 attempt")
	p.Has(".payload", `"email": "ann@mail.example"`)

	reader.is.Store(true)
	p.Click("#retry")
	p.Has("#fate", "pending")
	list := s.signedIn("/admin/events")
	list.Has("#list li:first-child .state", "pending")
	here(p)
	here(list)
	close(reader.may)
	p.Has("#fate", "processed applied, after 2 attempts")
	p.Has("#fate", "enrollment:mixing/email:ann@mail.example current")
	list.Has("#list li:first-child .state", "processed")
	list.Has("#n-Failed", "0")
	for _, page := range []*browser.Page{p, list} {
		if !browser.Eval[bool](page, `window.here === true`) {
			t.Error("the page was loaded again")
		}
	}
	p.Click(`#fate a[href^="/store/studio/customers/"]`)
	p.Has("h1", "Ann")
}

// Without a script as with one: all that failed are retried, after a page that
// tells how many they are.
func TestFailedEventsAreRetriedTogether(t *testing.T) {
	t.Parallel()
	s := newSharedSystem(t)
	reader := &mended{may: make(chan struct{})}
	close(reader.may)
	s.startWorkerAs(reader.read, nil)
	for i := range 3 {
		s.tell(fmt.Sprint("p", i), "enrollment.upserted",
			fmt.Sprintf(`{"course_id":"mixing","store_id":"studio","email":"p%d@mail.example"}`, i))
	}
	s.until("all have failed", `count(*) = 3 FROM webhook_events WHERE status = 'failed'`)
	p := s.signedIn("/admin")
	p.Look(browser.Look{Width: 1280, Height: 900, NoScript: true})
	p.Go("/admin/events?status=failed&type=enrollment.upserted")
	p.Click(`.bulk a[href^="/admin/reopen?do=retry"]`)
	p.Has("h2", "Retry 3 events?")
	p.Has(".ask", "Type: enrollment.upserted")
	reader.is.Store(true)
	p.Click("#go")
	p.Has(".said", "3 events are pending again.")
	if at := p.Address(); at != "/admin/events?opened=3&type=enrollment.upserted" {
		t.Error(at)
	}
	s.until("all are applied", `count(*) = 3 FROM webhook_events WHERE status = 'processed'`)
	p.Go("/admin/reopen?do=retry")
	p.Has("h2", "No events match")
}

// steps is a history of some users, each a chunk that waits until it may go on.
type steps struct{ may chan struct{} }

const stepsOfAll = 6

func (s *steps) Read(ctx context.Context, at store.Position, _ int) (page store.Page, err error) {
	n := 0
	if at.Stream == "" {
		all := int64(stepsOfAll)
		return store.Page{Expected: &all, Next: []store.Position{{Stream: "users", Cursor: []byte("1")}}}, nil
	}
	if _, err := fmt.Sscan(string(at.Cursor), &n); err != nil {
		return page, err
	}
	select {
	case <-s.may:
	case <-ctx.Done():
		return page, ctx.Err()
	}
	id := fmt.Sprintf("user_%d", n)
	page.Items = []store.Item{
		{Place: id, Facts: facts.Set{
			Users: []facts.User{{ID: id, Email: id + "@mail.example", Version: "2026-01-01T00:00:00.000000Z 20 "}}}}}
	if n < stepsOfAll {
		page.Next = []store.Position{{Stream: "users", Cursor: fmt.Appendf(nil, "%d", n+1)}}
	}
	return page, nil
}

// A backfill is begun by the form, followed without a reload, paused, resumed,
// and seen to its end.
func TestBackfillOnThePage(t *testing.T) {
	t.Parallel()
	s := newSharedSystem(t)
	source := &steps{make(chan struct{})}
	s.startWorkerAs(facts.Read, func(store.Backfill) (worker.Source, error) { return source, nil })
	p := s.signedIn("/admin/backfills")
	p.Choose("#kind", "convex")
	p.Type("#file", "export.zip")
	p.Expect("400 /admin/backfills")
	p.Click("#start")
	p.Has("#wrong", "IMPORT_DIR")
	p.Until(`document.querySelector("#file").value === "export.zip" && document.querySelector("#file").ariaInvalid === ` +
		`"true"`)
	p.Choose("#kind", "clerk")
	p.Until(`getComputedStyle(document.querySelector("#file").parentElement).display === "none"`)
	p.Click("#start") // what the kind does not take is not sent
	p.Has("h1", "Users from Clerk")
	p.Has("#run .counts", "0 of 6 read")
	here(p)
	for n := 1; n <= 2; n++ {
		source.may <- struct{}{}
		p.Has("#run .counts", fmt.Sprintf("%d of 6 read", n))
	}
	if !browser.Eval[bool](p, `window.here === true`) {
		t.Error("the page was loaded again")
	}
	p.Until(`document.querySelector("#run progress").value === 33`)
	list := s.signedIn("/admin")
	list.Click(`#r-1`)
	list.Has("#run .counts", "2 of 6 read")

	p.Click("#pause")
	p.Has("#run .state", "paused")
	source.may <- struct{}{} // the chunk in hand is given back
	s.until("the chunk is in nobody's hands", `count(*) = 1 FROM backfill_chunks WHERE done_at IS NULL
		AND held_until IS NULL`)
	list.Has("#run .state", "paused")
	p.Has("#run .counts", "2 of 6 read")
	p.Click("#resume")
	p.Has("#run .state", "running")
	here(p)
	close(source.may)
	p.Has("#run .state", "completed")
	p.Has("#run .counts", "6 of 6 read, 6 new")
	if !browser.Eval[bool](p, `window.here === true`) ||
		strings.Contains(strings.Join(p.Texts("#run .orders button"), " "), "Pause") {
		t.Error("the end was not seen on the page as it was")
	}
	p.Go("/admin/backfills")
	p.Lists("#runs .runhead .state", "completed")
}
