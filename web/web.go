// Package web is what people and programs look at: the customer lists, as pages
// and as JSON, and for operators the inbox, the backfills and the queue's
// monitoring. Of what it shows it changes notes about customers; and it has events
// applied and facts attached again, and backfills begun, paused, resumed and
// cancelled.
package web

import (
	"embed"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/hibiken/asynqmon"
	"github.com/redis/go-redis/v9"
)

//go:embed templates/*.html assets
var files embed.FS

// New returns a Site. It connects to nothing yet.
func New(cfg Config) (*Site, error) {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Ready == nil {
		cfg.Ready = cfg.Store.Ready
	}
	client, ok := cfg.Redis.MakeRedisClient().(redis.UniversalClient)
	if !ok {
		return nil, fmt.Errorf("web.New: no client for a Redis of type %T", cfg.Redis)
	}
	s := &Site{
		cfg:        cfg,
		admin:      admin{token: cfg.AdminToken},
		sessions:   newSessions(cfg.Clerk, cfg.Now, cfg.Log),
		throttle:   newThrottle(client),
		redis:      client,
		monitoring: asynqmon.New(asynqmon.Options{RootPath: monitoringPath, RedisConnOpt: cfg.Redis, ReadOnly: cfg.MonitoringReadOnly}),
		live:       newLive(cfg.Store, cfg.Log),
		pulse:      &pulse{inspector: asynq.NewInspectorFromRedisClient(client)},
		hashes:     hashAssets(),
	}
	s.metrics = newMetrics(cfg.Metrics, s.live)
	s.gates = newGates(cfg.Store.Conns(), s.metrics.refused)
	var err error
	if s.pages, err = template.New("").Funcs(s.functions()).ParseFS(files, "templates/*.html"); err != nil {
		return nil, fmt.Errorf("web.New: %w", err)
	}
	s.monitoringPolicy = policyFor(s.monitoring)
	s.policy = pagePolicy
	if cfg.Pictures {
		s.policy = strings.Replace(pagePolicy, "img-src 'self'", "img-src 'self' https:", 1)
	}
	pages, err := compressed(s.mux())
	if err != nil {
		return nil, fmt.Errorf("web.New: %w", err)
	}
	s.handler = s.observed(s.guarded(pages))
	return s, nil
}

// EndWatches ends the requests that would go on for minutes: pages that watch for
// newcomers. They ask again, of whoever is there then.
func (s *Site) EndWatches() { s.live.end() }

// Close ends what is still being watched and closes the connections to Redis.
func (s *Site) Close() error {
	s.live.end()
	err := s.monitoring.Close()
	if e := s.redis.Close(); err == nil {
		err = e
	}
	return err
}

// ServeHTTP answers a request.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }
