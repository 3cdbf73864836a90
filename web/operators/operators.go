// Package operators serves the pages and API of operators, and the health checks.
package operators

import (
	"sync/atomic"

	"github.com/hibiken/asynqmon"
	"golang.org/x/sync/singleflight"

	"rollcall/store/status"
	"rollcall/web/core"
)

// Pages serves the operators' pages of a site.
type Pages struct {
	*core.Site
	Status     kept[Vitals]
	Charts     kept[[]status.Slot]
	monitoring *asynqmon.HTTPHandler
	readying   singleflight.Group
	queues     singleflight.Group
	leaving    atomic.Bool
}

// New returns the operators' pages of s.
func New(s *core.Site) *Pages {
	p := &Pages{
		Site:   s,
		Status: kept[Vitals]{maxAge: statusMaxAge},
		Charts: kept[[]status.Slot]{maxAge: historyMaxAge},
		monitoring: asynqmon.New(asynqmon.Options{RootPath: core.MonitoringPath, RedisConnOpt: s.Cfg.Redis,
			ReadOnly: s.Cfg.MonitoringReadOnly}),
	}
	s.MonitoringPolicy = policyFor(p.monitoring)
	return p
}

// Close closes the queue monitor's connections.
func (s *Pages) Close() error { return s.monitoring.Close() }
