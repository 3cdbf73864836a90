package webhooks

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"rollcall/internal/proxies"
	"rollcall/jobs"
	"rollcall/store"
	"rollcall/store/pg"
)

// Inserter stores events; *store.Store implements it.
type Inserter interface {
	InsertEvents(ctx context.Context, events []store.NewEvent) ([]store.Inserted, error)
}

// Enqueuer enqueues an inbox row; *jobs.Client implements it.
type Enqueuer interface {
	EnqueueEvent(ctx context.Context, source string, id int64, round string) error
}

// Config configures a Receiver. Store and Jobs are required.
type Config struct {
	Store   Inserter
	Jobs    Enqueuer
	Secrets map[string][]Secret   // by source; a source without any is answered 503
	Logger  *slog.Logger          // slog.Default() if nil
	Counter Counter               // of delivery outcomes; nil: not counted
	Proxies proxies.Trusted       // that say where deliveries come from
	Metrics prometheus.Registerer // nil: no metrics
	Traces  trace.TracerProvider  // nil: no traces

	Now           func() time.Time // time.Now if nil
	BodyLimit     int64            // bytes; 1 MiB if 0
	BodyBudget    int64            // bytes of all bodies being read; 16 MiB if 0
	BodyTimeout   time.Duration    // how long a sender may take to send a body; 10 s if 0
	InsertTimeout time.Duration    // how long a sender waits for Postgres; 10 s if 0
}

// Receiver is the http.Handler of POST /webhooks/{source}. A 200 means that the
// event is committed in Postgres. Make it with New, end it with Close.
type Receiver struct {
	cfg      Config
	budget   *budget
	buffers  *buffers
	large    sync.Mutex // held while a large body is verified
	batch    batcher
	enqueuer *asyncEnqueuer
	counts   *deliveryCounts
	metrics  *metrics
	tracer   trace.Tracer
	logLimit rate.Sometimes // for log lines that anyone can cause without a signature
	close    sync.Once
}

// New returns a running Receiver.
func New(cfg Config) *Receiver {
	cfg = cfg.withDefaults()
	r := &Receiver{
		cfg: cfg, tracer: jobs.Tracer(cfg.Traces, "rollcall/webhooks"), logLimit: rate.Sometimes{Interval: time.Minute},
	}
	r.budget, r.buffers = newBudget(cfg.BodyBudget), newBuffers(cfg.BodyLimit)
	r.enqueuer = newAsyncEnqueuer(cfg.Jobs, cfg.Logger, r.tracer)
	r.counts = newDeliveryCounts(cfg)
	r.metrics = newMetrics(cfg.Metrics, r.enqueuer, r.budget)
	r.batch.insert, r.batch.tracer, r.batch.onNew, r.batch.timeout = r.insert, r.tracer, r.enqueuer.add, cfg.InsertTimeout
	return r
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.BodyLimit = cmp.Or(c.BodyLimit, 1<<20)
	c.BodyBudget = cmp.Or(c.BodyBudget, 16<<20)
	c.BodyTimeout = cmp.Or(c.BodyTimeout, 10*time.Second)
	c.InsertTimeout = cmp.Or(c.InsertTimeout, 10*time.Second)
	return c
}

// Close answers the deliveries that wait for Postgres and enqueues what it can within a few
// seconds. Later deliveries get 503. Call it after http.Server.Shutdown; calling it again does
// nothing.
func (r *Receiver) Close() {
	r.close.Do(func() {
		r.batch.close()
		r.enqueuer.close() // after the batch, which adds its last rows
		r.counts.close()
	})
}

func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	ctx, d := r.begin(req)
	if err := r.receive(ctx, w, req, d); err != nil {
		writeError(w, d, explain(err))
	} else {
		d.status = http.StatusOK
		reply(w, d.status, map[string]string{"status": d.code})
	}
	r.end(ctx, d)
}

// receive handles all deliveries. The order matters: headers are checked before the body is read,
// the signature before the content, and the commit comes before the answer.
func (r *Receiver) receive(ctx context.Context, w http.ResponseWriter, req *http.Request, d *delivery) error {
	src, err := route(req)
	if err != nil {
		return err
	}
	d.source = src.name
	if len(r.cfg.Secrets[src.name]) == 0 {
		return refuse(notConfigured, "this server has no signing secrets of %s: set %s", src.name, src.variable)
	}
	if d.event, err = r.open(ctx, w, req, src, d); err != nil {
		return err
	}
	d.event.Headers = keptHeaders(req)
	d.event.Traceparent = jobs.Traceparent(ctx)
	in, err := r.batch.add(ctx, d.event)
	if d.row, d.code = in.ID, accepted; in.Duplicate {
		d.code = duplicate
	}
	return err
}

// route finds the source of a request.
func route(req *http.Request) (*source, error) {
	src, ok := sources[strings.TrimPrefix(req.URL.Path, "/webhooks/")]
	if !ok {
		return nil, refuse(unknownSource, "no such source: send to /webhooks/ and one of %s",
			strings.Join(store.Sources, ", "))
	}
	if req.Method != http.MethodPost {
		return nil, refuse(methodNotAllowed, "webhooks are sent by POST")
	}
	return src, nil
}

// open reads a delivery and verifies it. The body uses the budget until its signature is checked;
// after that its sender is trusted.
func (r *Receiver) open(
	ctx context.Context, w http.ResponseWriter, req *http.Request, src *source, d *delivery,
) (store.NewEvent, error) {
	if err := r.precheck(req, src); err != nil {
		w.Header().Set("Connection", "close") // else net/http still reads the body
		return store.NewEvent{}, err
	}
	body, done, err := r.read(w, req)
	defer done()
	if err != nil {
		w.Header().Set("Connection", "close")
		return store.NewEvent{}, err
	}
	if len(body) > largeBody { // so that large bodies make few copies and leave CPU time to others
		r.large.Lock()
		defer r.large.Unlock()
	}
	_, verify := r.tracer.Start(ctx, "verify")
	defer verify.End()
	d.checked = true
	event, err := src.open(r.cfg.Secrets[src.name], req.Header, body, r.cfg.Now())
	event.Payload = bytes.Clone(event.Payload) // the body's buffer will be reused
	return event, err
}

// precheck refuses a request by its headers alone.
func (r *Receiver) precheck(req *http.Request, src *source) error {
	if err := src.check(req.Header, r.cfg.Now()); err != nil {
		return err
	}
	if req.ContentLength > r.cfg.BodyLimit {
		return tooLarge(r.cfg.BodyLimit)
	}
	return nil
}

// writeError is the only place that turns an error into an answer.
func writeError(w http.ResponseWriter, d *delivery, no *refusal) {
	d.code, d.status, d.err = no.Code, answers[no.Code].status, no
	switch no.Code {
	case methodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	case unavailable, notConfigured, overloaded:
		w.Header().Set("Retry-After", "10")
	}
	reply(w, d.status, map[string]*refusal{"error": no})
}

// explain turns an error into what its sender may see.
func explain(err error) *refusal {
	var known *refusal
	switch {
	case errors.As(err, &known):
		return known
	case refusesData(err):
		return &refusal{unstorable,
			"the database does not take this body: is it nested very deeply, or does it hold characters that are none?", err}
	case pg.Unavailable(err), errors.As(err, new(*pgconn.PgError)),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, errClosed), errors.Is(err, errFull):
		return &refusal{unavailable,
			"the event could not be stored just now: send it again after the seconds in Retry-After", err}
	}
	return &refusal{internal, "something went wrong here and the event is not stored: send it again", err}
}

// clip shortens untrusted text for the log.
func clip(s string) string { return s[:min(len(s), 100)] }

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body) // the sender may be gone, so an error is ignored
}
