// Package operators holds the pages of those who run Rollcall, and what machines
// ask of its health.
package operators

import (
	"sync/atomic"

	"github.com/hibiken/asynq"
	"github.com/hibiken/asynqmon"
	"golang.org/x/sync/singleflight"

	"rollcall/web/core"
)

// Pages are the pages of a site for operators.
type Pages struct {
	*core.Site
	Pulse      *Pulse
	monitoring *asynqmon.HTTPHandler
	readying   singleflight.Group
	leaving    atomic.Bool
}

// New returns the pages of a site.
func New(s *core.Site) *Pages {
	p := &Pages{
		Site:       s,
		Pulse:      &Pulse{Inspector: asynq.NewInspectorFromRedisClient(s.Redis)},
		monitoring: asynqmon.New(asynqmon.Options{RootPath: core.MonitoringPath, RedisConnOpt: s.Cfg.Redis, ReadOnly: s.Cfg.MonitoringReadOnly}),
	}
	s.MonitoringPolicy = PolicyFor(p.monitoring)
	return p
}

// Close closes the connections of the queues' monitor.
func (s *Pages) Close() error { return s.monitoring.Close() }
