package e2e

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"rollcall/webhooks"
)

// traced is a system whose spans are kept.
type traced struct {
	*system
	spans *tracetest.InMemoryExporter
}

func newTraced(t *testing.T) *traced {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	by := blind
	by.traces = sdk.NewTracerProvider(sdk.WithSyncer(spans))
	by.grace = patience // or a slow machine has a second job for an event, in the same trace
	return &traced{newWatchedSystem(t, by), spans}
}

// sale posts sale n within a trace that its sender began, and returns the id of
// ours, which is linked to that.
func (s *traced) sale(n int) trace.TraceID {
	s.t.Helper()
	id := trace.TraceID{15: byte(n), 14: 1}
	body := checkout(n, n)
	header := webhooks.SignStripe(secret, body, time.Now())
	header.Set("Traceparent", fmt.Sprintf("00-%s-00f067aa0ba902b7-01", id))
	if _, err := s.send("stripe", header, body); err != nil {
		s.t.Fatal(err)
	}
	return s.linked(id, "receive").SpanContext.TraceID()
}

// linked waits for the span of a name that is linked to a trace of somebody else's.
func (s *traced) linked(id trace.TraceID, name string) (span tracetest.SpanStub) {
	s.t.Helper()
	if !soon(func() bool {
		spans := s.spans.GetSpans()
		i := slices.IndexFunc(spans, func(span tracetest.SpanStub) bool {
			return span.Name == name && len(span.Links) == 1 && span.Links[0].SpanContext.TraceID() == id
		})
		if i >= 0 {
			span = spans[i]
		}
		return i >= 0
	}) {
		s.t.Fatalf("no span %s is linked to trace %s", name, id)
	}
	return span
}

// A traceparent decides nothing: where no trace is sampled that does not ask for it,
// neither an unsigned delivery nor a stranger's request for a page is.
func TestStrangersChooseNoSample(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewInMemoryExporter()
	by := blind
	by.traces = sdk.NewTracerProvider(sdk.WithSyncer(spans), sdk.WithSampler(sdk.ParentBased(sdk.NeverSample())))
	s := newWatchedSystem(t, by)
	for _, path := range []string{"/webhooks/stripe", "/signin"} {
		req, err := http.NewRequest(http.MethodPost, s.http.URL+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Traceparent", "00-00000000000000000000000000000001-00f067aa0ba902b7-01")
		res, err := s.http.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	s.http.Close() // once all requests have ended, and their spans with them
	for _, span := range spans.GetSpans() {
		t.Errorf("%s is sampled, in trace %s", span.Name, span.SpanContext.TraceID())
	}
}

// of returns the spans of a trace, by name.
func (s *traced) of(id trace.TraceID) map[string]tracetest.SpanStub {
	all := map[string]tracetest.SpanStub{}
	for _, span := range s.spans.GetSpans() {
		if span.SpanContext.TraceID() == id {
			all[span.Name] = span
		}
	}
	return all
}

// await waits until a trace has spans of these names, which end a little after
// what they are about.
func (s *traced) await(id trace.TraceID, names ...string) map[string]tracetest.SpanStub {
	s.t.Helper()
	var all map[string]tracetest.SpanStub
	if !soon(func() bool {
		all = s.of(id)
		return !slices.ContainsFunc(names, func(name string) bool { _, ok := all[name]; return !ok })
	}) {
		s.t.Fatalf("trace %s has spans %q, not all of %q", id, slices.Collect(maps.Keys(all)), names)
	}
	return all
}

// soon polls until something is so, or patience ends.
func soon(so func() bool) bool {
	tick, end := time.NewTicker(10*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-end:
			return false
		}
	}
	return true
}

// path is how a span hangs below the others of its trace.
func path(all map[string]tracetest.SpanStub, name string) string {
	for _, span := range all {
		if span.SpanContext.SpanID() == all[name].Parent.SpanID() {
			return path(all, span.Name) + " > " + name
		}
	}
	return name
}

func attribute(span tracetest.SpanStub, key string) string {
	for _, a := range span.Attributes {
		if string(a.Key) == key {
			return a.Value.String()
		}
	}
	return ""
}

// An event is one trace, from the sender's request to the commit.
func TestTraceFromRequestToCommit(t *testing.T) {
	t.Parallel()
	s := newTraced(t)
	s.startWorker()
	all := s.await(s.sale(7), "receive", "verify", "insert", "enqueue", "job event:apply", "apply", "upsert",
		"attach", "derive", "commit")
	for _, want := range []string{
		"receive > verify",
		"receive > insert",
		"receive > enqueue > job event:apply > apply > upsert",
		"receive > enqueue > job event:apply > apply > attach > derive",
		"receive > enqueue > job event:apply > apply > commit",
	} {
		name := want[strings.LastIndex(want, " ")+1:]
		if got := path(all, name); got != want {
			t.Errorf("%s is at %s, want %s", name, got, want)
		}
	}
	for _, name := range []string{"receive", "job event:apply"} {
		if id := attribute(all[name], "rollcall.event.id"); id != "evt_00007" {
			t.Errorf("%s is about event %q", name, id)
		}
	}
	if attribute(all["job event:apply"], "rollcall.event.status") != "processed" ||
		attribute(all["receive"], "rollcall.result") != "accepted" {
		t.Errorf("%+v", all)
	}
	s.wantLinked(all["insert"], all["receive"])
	s.wantPrivate()
}

// wantLinked checks that an insert and the group it was part of know each other.
func (s *traced) wantLinked(insert, receive tracetest.SpanStub) {
	s.t.Helper()
	for _, group := range s.spans.GetSpans() {
		if group.Name != "insert group" {
			continue
		}
		to := func(span, other tracetest.SpanStub) bool {
			return slices.ContainsFunc(span.Links,
				func(l sdk.Link) bool { return l.SpanContext.SpanID() == other.SpanContext.SpanID() })
		}
		if !to(insert, group) || !to(group, receive) {
			s.t.Errorf("insert %+v and group %+v", insert.Links, group.Links)
		}
		return
	}
	s.t.Error("no group")
}

// wantPrivate checks that no span holds anything of a payload.
func (s *traced) wantPrivate() {
	s.t.Helper()
	for _, span := range s.spans.GetSpans() {
		for _, text := range append(texts(span), span.Name, span.Status.Description) {
			for _, word := range []string{"@", "Buyer", "cs_0", "pack_", secret, adminToken} {
				if strings.Contains(text, word) {
					s.t.Errorf("span %s says %q", span.Name, text)
				}
			}
		}
		if len(span.Events) > 0 {
			s.t.Errorf("span %s: %+v", span.Name, span.Events)
		}
	}
}

func texts(span tracetest.SpanStub) (all []string) {
	for _, a := range span.Attributes {
		all = append(all, a.Value.String())
	}
	for _, l := range span.Links {
		for _, a := range l.Attributes {
			all = append(all, a.Value.String())
		}
	}
	return all
}

// Events that share a transaction with others, and are taken along by others'
// jobs, have the commit in their own traces too.
func TestTraceOfSharedTransaction(t *testing.T) {
	t.Parallel()
	s := newTraced(t)
	var ids []trace.TraceID
	for n := range 30 {
		ids = append(ids, s.sale(n))
	}
	s.startWorker()
	for _, id := range ids {
		var got string
		if !soon(func() bool { // the spans between end later than the commit
			got = path(s.of(id), "commit")
			return strings.HasPrefix(got, "receive > ") && strings.HasSuffix(got, "apply > commit")
		}) {
			t.Errorf("%s", got)
		}
	}
	s.wantPrivate()
}

// Where Redis is emptied the row knows the trace.
func TestTraceOutlivesTheQueue(t *testing.T) {
	t.Parallel()
	s := newTraced(t)
	id := s.sale(1)
	s.await(id, "enqueue")
	opt, err := redis.ParseURL(s.servers.RedisURL)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(opt)
	defer client.Close()
	if err := client.FlushDB(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
	s.eyes.grace = grace
	s.startWorker()
	if got, want := path(s.await(id, "job event:apply", "commit"), "commit"),
		"receive > job event:apply > apply > commit"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A failure is a span that says which kind, and no more; the trace goes on when
// the event is tried again.
func TestTraceOfFailure(t *testing.T) {
	t.Parallel()
	s := newTraced(t)
	s.exec(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no place for %',
		NEW.email; END $$`)
	s.exec(`CREATE TRIGGER refuse BEFORE INSERT ON customers FOR EACH ROW EXECUTE FUNCTION refuse()`)
	s.startWorker()
	id := s.sale(1)
	failed := s.await(id, "job event:apply")
	if status := failed["job event:apply"].Status.Description; status != "SQLSTATE P0001" {
		t.Errorf("%q", status)
	}
	if failed["apply"].Status.Description != "SQLSTATE P0001" || failed["attach"].Status.Description != "SQLSTATE P0001" {
		t.Errorf("%+v", failed)
	}
	s.spans.Reset()
	s.exec(`DROP TRIGGER refuse ON customers`)
	s.await(id, "job event:apply", "derive", "commit")
	s.wantPrivate()
}

// A request for the API is a trace, and the job of the backfill it started is
// another, linked to it.
func TestTraceOfBackfill(t *testing.T) {
	t.Parallel()
	s := newTraced(t)
	s.startWorker()
	s.sale(1)
	s.until("the sale is applied", `count(*) = 1 FROM customers`)
	request := trace.TraceID{0: 9}
	req, err := http.NewRequest(http.MethodPost, s.http.URL+"/api/admin/backfills",
		strings.NewReader(`{"kind":"courses"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Authorization": {"Bearer " + adminToken}, "Content-Type": {"application/json"},
		"Traceparent": {fmt.Sprintf("00-%s-00f067aa0ba902b7-01", request)}}
	res, err := s.http.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	asked := s.linked(request, "POST /api/admin/backfills")
	if attribute(asked, "http.route") != "/api/admin/backfills" || attribute(asked, "http.response.status_code") != "202" {
		t.Errorf("%+v", asked.Attributes)
	}
	s.until("the backfill ended", `count(*) = 1 FROM backfills WHERE status = 'completed'`)
	s.wantJobOf(asked)
}

// wantJobOf waits for the job that a request asked for.
func (s *traced) wantJobOf(asked tracetest.SpanStub) {
	s.t.Helper()
	var job tracetest.SpanStub
	if !soon(func() bool {
		spans := s.spans.GetSpans()
		i := slices.IndexFunc(spans, func(span tracetest.SpanStub) bool {
			return span.Name == "job backfill:chunk" && len(span.Links) == 1 &&
				span.Links[0].SpanContext.SpanID() == asked.SpanContext.SpanID()
		})
		if i >= 0 {
			job = spans[i]
		}
		return i >= 0
	}) {
		s.t.Fatal("no job that is linked to the request")
	}
	all := s.await(job.SpanContext.TraceID(), "chunk", "read", "apply", "commit")
	if got, want := path(all, "commit"), "job backfill:chunk > chunk > apply > commit"; got != want {
		s.t.Errorf("%s, want %s", got, want)
	}
	if attribute(all["chunk"], "rollcall.kind") != "courses" || attribute(all["chunk"], "rollcall.outcome") != "done" {
		s.t.Errorf("%+v", all["chunk"].Attributes)
	}
}

func (s *system) exec(sql string, args ...any) {
	s.t.Helper()
	if _, err := s.pool.Exec(context.Background(), sql, args...); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
}
