package webhooks

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"rollcall/store"
)

// Inserter keeps events; *store.Store does.
type Inserter interface {
	InsertEvents(ctx context.Context, events []store.NewEvent) ([]store.Inserted, error)
}

// Enqueuer asks for an inbox row to be applied; *jobs.Client does.
type Enqueuer interface {
	EnqueueEvent(ctx context.Context, source string, id int64, round string) error
}

// Config is what a Receiver is made of. Store and Jobs are required.
type Config struct {
	Store   Inserter
	Jobs    Enqueuer
	Secrets map[string][]Secret // by source; one without is answered 503
	Logger  *slog.Logger        // slog.Default() if nil
	Counter Counter             // of what became of deliveries; nil: it is not counted

	Now           func() time.Time // time.Now if nil
	BodyLimit     int64            // bytes; 1 MiB if 0
	InsertTimeout time.Duration    // how long a sender waits for Postgres; 10 s if 0
}

// Receiver is the http.Handler of POST /webhooks/{source}. A 200 means that the
// event is committed in Postgres. Make it with New, end it with Close.
type Receiver struct {
	cfg    Config
	batch  batcher
	hinter *hinter
	tally  *tally
	seldom rate.Sometimes // for what anybody can cause without a signature
	close  sync.Once

	accepted, duplicates, refused, failed atomic.Int64
}

// Stats counts since the start. Enqueue figures lag behind the answers.
type Stats struct {
	Accepted, Duplicates int64 // answered 200
	Refused              int64 // answered 4xx
	Failed               int64 // answered 5xx

	Enqueued       int64
	EnqueueFailed  int64 // Redis said no or did not answer
	EnqueueDropped int64 // not even asked: the buffer was full, or Close could not wait
}

// New returns a Receiver at work.
func New(cfg Config) *Receiver {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.BodyLimit == 0 {
		cfg.BodyLimit = 1 << 20
	}
	if cfg.InsertTimeout == 0 {
		cfg.InsertTimeout = 10 * time.Second
	}
	r := &Receiver{cfg: cfg, hinter: newHinter(cfg.Jobs, cfg.Logger), tally: newTally(cfg.Counter, cfg.Logger), seldom: rate.Sometimes{Interval: time.Minute}}
	r.batch.insert, r.batch.kept, r.batch.timeout = cfg.Store.InsertEvents, r.hinter.hint, cfg.InsertTimeout
	return r
}

// Close answers the deliveries that wait for Postgres, passes on to the queue
// what it can within a few seconds and ends. Deliveries after it get 503. Call
// it after http.Server.Shutdown; again does nothing.
func (r *Receiver) Close() {
	r.close.Do(func() {
		r.batch.close()
		r.hinter.close() // after the batch: its last rows are hinted at too
		r.tally.close()
	})
}

// Stats returns the counters.
func (r *Receiver) Stats() Stats {
	return Stats{
		Accepted:       r.accepted.Load(),
		Duplicates:     r.duplicates.Load(),
		Refused:        r.refused.Load(),
		Failed:         r.failed.Load(),
		Enqueued:       r.hinter.enqueued.Load(),
		EnqueueFailed:  r.hinter.failed.Load(),
		EnqueueDropped: r.hinter.dropped.Load(),
	}
}

// ServeHTTP receives one delivery.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	event, duplicate, err := r.receive(w, req)
	if err != nil {
		r.sayNo(w, req, err)
		return
	}
	r.sayYes(w, event, duplicate)
}

// receive is the one way in. The order matters: nothing is read from a sender
// without secrets, nothing is looked at before its signature, and nothing is
// answered before it is committed.
func (r *Receiver) receive(w http.ResponseWriter, req *http.Request) (event store.NewEvent, duplicate bool, err error) {
	src, err := route(req)
	if err != nil {
		return event, false, err
	}
	secrets := r.cfg.Secrets[src.name]
	if len(secrets) == 0 {
		return event, false, refuse(notConfigured, "this server has no signing secrets of %s: set %s", src.name, src.variable)
	}
	body, err := r.read(w, req)
	if err != nil {
		return event, false, err
	}
	event, err = src.open(secrets, req.Header, body, r.cfg.Now())
	if err != nil {
		return event, false, err
	}
	in, err := r.batch.add(event) // not bound to req: a sender who hangs up changes nothing
	return event, in.Duplicate, err
}

// route finds the source that a request is for.
func route(req *http.Request) (*source, error) {
	src, ok := sources[strings.TrimPrefix(req.URL.Path, "/webhooks/")]
	if !ok {
		return nil, refuse(unknownSource, "no such source: send to /webhooks/stripe, /webhooks/clerk or /webhooks/platform")
	}
	if req.Method != http.MethodPost {
		return nil, refuse(methodNotAllowed, "webhooks are sent by POST")
	}
	return src, nil
}

// read reads the whole body, or nothing of it counts.
func (r *Receiver) read(w http.ResponseWriter, req *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, r.cfg.BodyLimit))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, refuse(bodyTooLarge, "the body is larger than %d bytes", large.Limit)
	case err != nil:
		return nil, &refusal{incompleteBody, "the body did not arrive whole: send the event again", err}
	}
	return body, nil
}

func (r *Receiver) sayYes(w http.ResponseWriter, event store.NewEvent, duplicate bool) {
	status, counter := store.Accepted, &r.accepted
	if duplicate {
		status, counter = store.Duplicate, &r.duplicates
	}
	counter.Add(1)
	r.tally.add(event.Source, status, r.cfg.Now())
	r.cfg.Logger.Debug("webhook "+status, "source", event.Source, "event", event.EventID, "type", event.Type)
	reply(w, http.StatusOK, map[string]string{"status": status})
}

// sayNo is the one place where an error becomes an answer and a log line.
func (r *Receiver) sayNo(w http.ResponseWriter, req *http.Request, err error) {
	no := explain(err)
	status := statuses[no.Code]
	switch no.Code {
	case methodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	case unavailable, notConfigured:
		w.Header().Set("Retry-After", "10")
	}
	level, counter := slog.LevelWarn, &r.refused
	if status >= 500 {
		level, counter = slog.LevelError, &r.failed
	}
	counter.Add(1)
	if src, err := route(req); err == nil { // else it is nobody's delivery
		r.tally.add(src.name, no.Code, r.cfg.Now())
	}
	line := func() {
		r.cfg.Logger.Log(req.Context(), level, "webhook refused", "path", clip(req.URL.Path), "status", status, "code", no.Code, "error", no)
	}
	if no.Code == notConfigured {
		r.seldom.Do(line)
	} else {
		line()
	}
	reply(w, status, map[string]*refusal{"error": no})
}

// explain turns an error into what its sender may know of it.
func explain(err error) *refusal {
	var told *refusal
	switch {
	case errors.As(err, &told):
		return told
	case refusesData(err):
		return &refusal{unstorable, "the database does not take this body: is it nested very deeply, or does it hold characters that are none?", err}
	case store.Unavailable(err), errors.Is(err, context.DeadlineExceeded), errors.Is(err, errClosed), errors.Is(err, errFull):
		return &refusal{unavailable, "the event could not be stored just now: send it again after the seconds in Retry-After", err}
	}
	return &refusal{internal, "something went wrong here and the event is not stored: send it again", err}
}

// clip shortens what a stranger wrote for the log.
func clip(s string) string { return s[:min(len(s), 100)] }

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body) // the sender may be gone; there is nobody else to tell
}
