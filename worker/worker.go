// Package worker runs the jobs: it applies events, processes backfills, replaces lost jobs, and
// watches whether the senders still send. It holds no state; any number of workers may run.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"rollcall/facts"
	"rollcall/history"
	"rollcall/jobs"
	"rollcall/store"
	"rollcall/store/pg"
)

// Config of a Worker. Store, Redis and Log are required.
type Config struct {
	Store *store.Store
	Redis asynq.RedisConnOpt
	Log   *slog.Logger
	// Read reads the facts from an event. It is facts.Read unless a test or a setting (the mode of
	// Stripe's events) wraps it.
	Read store.Reader
	// Sources opens the history of a backfill. If nil, history.Access without keys does.
	Sources func(store.Backfill) (Source, error)
	// Keys are the names of the settings that imports need and that are set here. Operators are
	// shown them.
	Keys []string
	// Hourly imports Stripe's list of recent events every hour.
	Hourly bool
	// Alert delivers changes of the watches. If nil, they are only stored.
	Alert Alerter
	// Mail is how mails are sent; nil: they stay due.
	Mail *Mail
	// Watch is how often one of the workers checks the watches.
	Watch time.Duration
	// Now is the clock of watches and alerts; time.Now if nil.
	Now func() time.Time
	// Retain is how long payloads of closed events are kept; 0 keeps them forever.
	Retain time.Duration
	// Sweep is the interval of searches for lost jobs. Grace is how long an event may wait before
	// its job counts as lost.
	Sweep time.Duration
	Grace time.Duration

	Metrics prometheus.Registerer // nil: no metrics
	Traces  trace.TracerProvider  // nil: no traces
}

// Worker processes the queues.
type Worker struct {
	cfg      Config
	server   *asynq.Server // of events and alerts
	history  *asynq.Server // of backfills; separate, so that neither delays the other
	jobs     *jobs.Client
	applier  *applier
	writers  *semaphore.Weighted // limits the chunks that write
	ending   chan struct{}       // closed when the worker must stop
	metrics  *metrics
	counts   *workCounts // while it runs
	troubles troubles    // of what is tried every few seconds
	tracer   trace.Tracer
}

const (
	// handlers is the number of concurrent jobs. They mostly wait for their shared transaction.
	handlers = 2 * transactions * maxBatch
	// pollEvery is how long an idle worker sleeps between looks at the queue. It limits the time
	// from a webhook to the updated customer.
	pollEvery = 15 * time.Millisecond
	// historyPollEvery is the same for backfills, which are less urgent.
	historyPollEvery = 200 * time.Millisecond
	// shutdownTimeout is how long running jobs may take on shutdown; then they return to the queue.
	shutdownTimeout = 10 * time.Second
)

// New returns a worker; Run starts it.
func New(cfg Config) *Worker {
	if cfg.Read == nil {
		cfg.Read = facts.Read
	}
	if cfg.Sources == nil {
		cfg.Sources = history.Access{}.Open
	}
	if cfg.Sweep == 0 {
		cfg.Sweep = 3 * time.Second
	}
	if cfg.Grace == 0 {
		cfg.Grace = 10 * time.Second
	}
	if cfg.Watch == 0 {
		cfg.Watch = time.Minute
	}
	w := &Worker{
		cfg: cfg, jobs: jobs.NewClient(cfg.Redis), writers: semaphore.NewWeighted(writersAtOnce), ending: make(chan struct{}),
		troubles: troubles{log: cfg.Log}, metrics: newMetrics(cfg.Metrics),
		tracer: jobs.Tracer(cfg.Traces, "rollcall/worker"),
	}
	w.applier = newApplier(w.apply, w.tracer)
	queues := maps.Clone(jobs.Queues)
	queues[jobs.AlertQueue] = 1
	w.server = w.newServer(queues, handlers, pollEvery)
	w.history = w.newServer(map[string]int{jobs.BackfillQueue: 1}, chunksAtOnce, historyPollEvery)
	return w
}

func (w *Worker) newServer(queues map[string]int, concurrency int, poll time.Duration) *asynq.Server {
	return asynq.NewServer(w.cfg.Redis, asynq.Config{
		Concurrency:              concurrency,
		Queues:                   queues,
		TaskCheckInterval:        poll,
		DelayedTaskCheckInterval: time.Second,
		RetryDelayFunc:           jobs.RetryDelay,
		IsFailure:                func(err error) bool { return !outage(err) }, // an outage uses up no tries
		ShutdownTimeout:          shutdownTimeout,
		Logger:                   asynqLog{w.cfg.Log},
		LogLevel:                 asynq.WarnLevel,
	})
}

// Run works until ctx ends, then finishes its jobs or returns them to the queue. If Redis is down,
// it waits.
func (w *Worker) Run(ctx context.Context) error {
	defer w.jobs.Close()
	w.counts = newWorkCounts(w.cfg.Store, w.cfg.Log)
	defer w.counts.Close()
	events, history := asynq.NewServeMux(), asynq.NewServeMux()
	events.Use(w.observed)
	history.Use(w.observed)
	events.HandleFunc(jobs.TypeEvent, w.applyEvent)
	events.HandleFunc(jobs.TypeAlert, w.alert)
	history.HandleFunc(jobs.TypeBackfill, w.backfill)
	history.HandleFunc(jobs.TypeHourly, w.hourly)
	if err := w.start(ctx, w.server, events); err != nil {
		return err
	}
	if err := w.start(ctx, w.history, history); err != nil {
		return err
	}
	unschedule, err := w.schedule(ctx)
	if err != nil {
		return err
	}
	var beside sync.WaitGroup
	beside.Go(func() { w.watchUntil(ctx) })
	beside.Go(func() { w.cfg.Store.SampleUntil(ctx, w.cfg.Log) })
	beside.Go(func() { w.cleanUpUntil(ctx) })
	beside.Go(func() { w.rederiveUntil(ctx) })
	for _, t := range w.tasks() {
		beside.Go(func() { w.do(ctx, t) })
	}
	w.sweepUntil(ctx)
	close(w.ending)
	beside.Wait()
	unschedule()
	w.history.Shutdown()
	w.server.Shutdown()
	w.applier.close()
	return nil
}

// start starts a server. It retries while Redis does not answer, as asynq then fails to start.
func (w *Worker) start(ctx context.Context, server *asynq.Server, mux *asynq.ServeMux) error {
	seldom := rate.Sometimes{First: 1, Interval: time.Minute}
	for {
		err := server.Ping()
		if err == nil {
			return server.Start(mux)
		}
		seldom.Do(func() {
			w.cfg.Log.Warn("Redis does not answer; webhooks are still kept, and will be worked through when it does",
				"error", err)
		})
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// outage reports whether an event was not even tried because Postgres is down or this worker is
// stopping. A transaction that timed out is no outage.
func outage(err error) bool {
	return errors.Is(err, context.Canceled) || pg.Outdated(err) ||
		pg.Unavailable(err) && !errors.Is(err, context.DeadlineExceeded)
}

// applyEvent is the job that applies one event. Its transaction is shared with other jobs. It may
// run twice at once: the row's lock and status make that harmless.
func (w *Worker) applyEvent(ctx context.Context, t *asynq.Task) error {
	job, err := jobs.ParseEvent(t)
	if err != nil {
		return err
	}
	event, err := w.applier.apply(ctx, job.ID)
	found := event.ID != 0
	if !found { // already applied, or the row could not be read
		event.ID = job.ID
		event.Source, _ = asynq.GetQueueName(ctx)
	}
	if err != nil {
		event.Status, err = w.settle(ctx, event, err)
	}
	reportEvent(ctx, event, found, err)
	return err
}

// settle stores why an event could not be applied, unless that is stored already. It returns the
// event's status and the error for the queue.
func (w *Worker) settle(ctx context.Context, e store.Handled, err error) (status string, _ error) {
	var derive *store.DeriveError
	switch {
	case errors.Is(err, errMalformed):
		return e.Status, fmt.Errorf("event %d: %w: %w", e.ID, err, asynq.SkipRetry)
	case outage(err), errors.As(err, &derive): // not tried, or already recorded with the facts
		return e.Status, err
	}
	status, mark := w.cfg.Store.MarkAttempt(context.WithoutCancel(ctx), e.ID, err)
	if mark != nil {
		return e.Status, mark
	}
	if status != "" && status != "pending" {
		w.metrics.applied.WithLabelValues(e.Source, status).Inc()
		e.Status = status
		w.countEvent(e)
	}
	return status, err
}

// asynqLog passes asynq's log lines to slog.
type asynqLog struct{ log *slog.Logger }

func (l asynqLog) Debug(args ...any) { l.log.Debug("asynq: " + fmt.Sprint(args...)) }
func (l asynqLog) Info(args ...any)  { l.log.Info("asynq: " + fmt.Sprint(args...)) }
func (l asynqLog) Warn(args ...any)  { l.log.Warn("asynq: " + fmt.Sprint(args...)) }
func (l asynqLog) Error(args ...any) { l.log.Error("asynq: " + fmt.Sprint(args...)) }
func (l asynqLog) Fatal(args ...any) { l.log.Error("asynq: " + fmt.Sprint(args...)) }
