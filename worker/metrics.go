package worker

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"rollcall/jobs"
	"rollcall/mail"
	"rollcall/store"
)

// The outcomes of jobs and chunks.
const (
	done      = "done"
	nothing   = "nothing"   // another job had already done it
	retry     = "retry"     // failed, will be retried
	postponed = "postponed" // not tried: Postgres is down, or the worker is shutting down
	givenUp   = "given_up"  // further tries cannot help
	panicked  = "panic"
)

type metrics struct {
	jobs      *prometheus.CounterVec
	jobTook   *prometheus.HistogramVec
	applied   *prometheus.CounterVec
	latency   *prometheus.HistogramVec
	group     prometheus.Histogram
	chunks    *prometheus.CounterVec
	chunkTook *prometheus.HistogramVec
	swept     *prometheus.CounterVec
	mails     *prometheus.CounterVec
}

// newMetrics registers with reg unless it is nil.
func newMetrics(reg prometheus.Registerer) *metrics {
	with := promauto.With(reg)
	m := &metrics{
		jobs: with.NewCounterVec(prometheus.CounterOpts{
			Name: "rollcall_jobs_total",
			Help: "Jobs that ended, by type and outcome: done, nothing (done already, along with another's), retry, " +
				"postponed (not tried: Postgres is away, or the worker ends), given_up or panic.",
		}, []string{"type", "outcome"}),
		jobTook: with.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "rollcall_job_duration_seconds",
			Help:    "Time that a job ran; that of an event includes the wait for the transaction which it shares.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 30, 60, 300, 900},
		}, []string{"type", "outcome"}),
		applied: with.NewCounterVec(prometheus.CounterOpts{
			Name: "rollcall_events_applied_total",
			Help: "Events that left the inbox, by what became of them: processed, ignored or failed. Those applied again " +
				"count again.",
		}, []string{"source", "status"}),
		latency: with.NewHistogramVec(prometheus.HistogramOpts{
			Name: "rollcall_event_latency_seconds",
			Help: "Time from an event's receipt to the commit of what it changes. Events that an operator had applied " +
				"again are left out.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200},
		}, []string{"source"}),
		group: with.NewHistogram(prometheus.HistogramOpts{
			Name:    "rollcall_apply_group_events",
			Help:    "Events that one transaction applied: more under load.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, maxBatch + maxExtra},
		}),
		chunks: with.NewCounterVec(prometheus.CounterOpts{
			Name: "rollcall_backfill_chunks_total",
			Help: "Chunks of backfills that were tried, by the backfill's kind and outcome: done, retry, postponed or given_up.",
		}, []string{"kind", "outcome"}),
		chunkTook: with.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "rollcall_backfill_chunk_duration_seconds",
			Help:    "Time that a chunk of a backfill took, to read and to apply.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 10, 30, 60, 300},
		}, []string{"kind"}),
		swept: with.NewCounterVec(prometheus.CounterOpts{
			Name: "rollcall_sweep_requests_total",
			Help: "What the sweep asked for again because its job seems lost: events, or chunks of backfills.",
		}, []string{"what"}),
		mails: with.NewCounterVec(prometheus.CounterOpts{
			Name: "rollcall_mails_total",
			Help: "Tries to send a mail, by what became of it: sent, due (it is tried again), failed or unknown.",
		}, []string{"status"}),
	}
	m.begin()
	return m
}

// begin starts all series at zero, so that their first event is a rise.
func (m *metrics) begin() {
	for source := range jobs.Queues {
		for _, status := range []string{"processed", "ignored", "failed"} {
			m.applied.WithLabelValues(source, status)
		}
		m.latency.WithLabelValues(source)
	}
	for _, kind := range store.BackfillKinds {
		for _, outcome := range []string{done, retry, postponed, givenUp} {
			m.chunks.WithLabelValues(kind.Name, outcome)
		}
		m.chunkTook.WithLabelValues(kind.Name)
	}
	for _, typ := range []string{jobs.TypeEvent, jobs.TypeBackfill, jobs.TypeHourly, jobs.TypeAlert} {
		for _, outcome := range []string{done, nothing, retry, postponed, givenUp, panicked} {
			m.jobs.WithLabelValues(typ, outcome)
		}
		m.jobTook.WithLabelValues(typ, done)
	}
	for _, status := range []string{mail.Sent, mail.Due, mail.Failed, mail.Unknown} {
		m.mails.WithLabelValues(status)
	}
	m.swept.WithLabelValues("events")
	m.swept.WithLabelValues("chunks")
}

// job counts a finished job.
func (m *metrics) job(typ, outcome string, took time.Duration) {
	m.jobs.WithLabelValues(typ, outcome).Inc()
	m.jobTook.WithLabelValues(typ, outcome).Observe(took.Seconds())
}

// handled counts the events that a transaction finished.
func (m *metrics) handled(events []store.Handled) {
	if len(events) > 0 {
		m.group.Observe(float64(len(events)))
	}
	for _, e := range events {
		if e.Status == "pending" {
			continue
		}
		m.applied.WithLabelValues(e.Source, e.Status).Inc()
		if !e.Reopened {
			m.latency.WithLabelValues(e.Source).Observe(e.Waited.Seconds())
		}
	}
}

// chunk counts an attempt at a chunk.
func (m *metrics) chunk(kind, outcome string, took time.Duration) {
	m.chunks.WithLabelValues(kind, outcome).Inc()
	m.chunkTook.WithLabelValues(kind).Observe(took.Seconds())
}
