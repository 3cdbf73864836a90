package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"rollcall/store"
	"rollcall/store/status"
)

// pool reports the use of Postgres connections. It sends no query, so it works during an outage.
type pool struct{ store *store.Store }

var (
	poolConns = prometheus.NewDesc("rollcall_db_pool_connections",
		"Connections to Postgres of this process, by state: in_use, idle or opening. Those that serve keeps apart for "+
			"webhooks and /readyz are left out.", []string{"state"}, nil)
	poolMost = prometheus.NewDesc("rollcall_db_pool_connections_max",
		"Connections that this process may have at most, of the same.", nil, nil)
	poolTakes = prometheus.NewDesc("rollcall_db_pool_acquires_total", "Times that a connection was taken.", nil, nil)
	poolWaits = prometheus.NewDesc("rollcall_db_pool_waits_total",
		"Times that all connections were in use, and one had to be waited for.", nil, nil)
	poolSpent = prometheus.NewDesc("rollcall_db_pool_wait_seconds_total",
		"Time spent waiting for a connection while all were in use.", nil, nil)
	poolGone = prometheus.NewDesc("rollcall_db_pool_cancelled_acquires_total",
		"Waits for a connection that ended without one.", nil, nil)
)

func (p *pool) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{poolConns, poolMost, poolTakes, poolWaits, poolSpent, poolGone} {
		ch <- d
	}
}

func (p *pool) Collect(ch chan<- prometheus.Metric) {
	s := status.New(p.store).PoolStats()
	for state, n := range map[string]int32{"in_use": s.AcquiredConns(), "idle": s.IdleConns(),
		"opening": s.ConstructingConns()} {
		ch <- gauge(poolConns, float64(n), state)
	}
	ch <- gauge(poolMost, float64(s.MaxConns()))
	for d, n := range map[*prometheus.Desc]float64{
		poolTakes: float64(s.AcquireCount()),
		poolWaits: float64(s.EmptyAcquireCount()),
		poolSpent: s.EmptyAcquireWaitTime().Seconds(),
		poolGone:  float64(s.CanceledAcquireCount()),
	} {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, n)
	}
}
