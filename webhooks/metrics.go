package webhooks

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// noSource is the source of a request that names none.
const noSource = "unknown"

type metrics struct {
	received *prometheus.CounterVec
	took     *prometheus.HistogramVec
	group    prometheus.Histogram
	commit   prometheus.Histogram
}

// newMetrics registers with reg unless it is nil.
func newMetrics(reg prometheus.Registerer, h *asyncEnqueuer, b *budget) *metrics {
	with := promauto.With(reg)
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rollcall_webhook_body_bytes",
		Help: "Memory of the bodies that are being read right now, signed or not.",
	}, func() float64 { return float64(b.bytes()) })
	m := &metrics{
		received: with.NewCounterVec(prometheus.CounterOpts{
			Name: "rollcall_webhooks_received_total",
			Help: "Deliveries, by the sender's name and what became of them.",
		}, []string{"source", "result"}),
		took: with.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "rollcall_webhook_duration_seconds",
			Help:    "Time from a delivery's arrival to its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"source", "result"}),
		group: with.NewHistogram(prometheus.HistogramOpts{
			Name:    "rollcall_webhook_group_events",
			Help:    "Events that one insert into the inbox kept: more under load.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128, groupEvents},
		}),
		commit: with.NewHistogram(prometheus.HistogramOpts{
			Name:    "rollcall_webhook_insert_duration_seconds",
			Help:    "Time that an insert into the inbox took, with its commit.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}),
	}
	for source := range sources { // so that the first of a kind is a rise from zero
		for _, answer := range answers {
			m.received.WithLabelValues(source, answer.result)
		}
	}
	m.received.WithLabelValues(noSource, answers[unknownSource].result)
	for result, n := range map[string]*atomic.Int64{"enqueued": &h.enqueued, "failed": &h.failed, "dropped": &h.dropped} {
		with.NewCounterFunc(prometheus.CounterOpts{
			Name: "rollcall_webhook_enqueues_total",
			Help: "Jobs asked for right after a delivery. What failed, or was dropped as Redis was too slow, the " +
				"sweep asks for.",
			ConstLabels: prometheus.Labels{"result": result},
		}, func() float64 { return float64(n.Load()) })
	}
	return m
}

func (m *metrics) answered(source, code string, took time.Duration) {
	result := answers[code].result
	m.received.WithLabelValues(source, result).Inc()
	m.took.WithLabelValues(source, result).Observe(took.Seconds())
}
