// Package web is what people and programs look at: the customer lists, as pages
// and as JSON, and for operators the inbox, the backfills and the queue's
// monitoring. Of what it shows it changes notes about customers; and it has events
// applied and facts attached again, and backfills begun, paused, resumed and
// cancelled.
package web

import (
	"context"
	"embed"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/hibiken/asynqmon"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/singleflight"

	"rollcall/internal/actions"
	"rollcall/store"
)

// Config is what a Site is made of. Store and Redis are required.
type Config struct {
	Store      *store.Store
	Redis      asynq.RedisConnOpt // shown at /monitoring, and by /readyz; it may be away
	Jobs       actions.Jobs       // told of new backfills, and of events to be applied again; nil: the workers find them
	AdminToken string             // opens everything; empty: nobody has it
	Clerk      Clerk              // whose users see the stores that they own or are members of
	SignInURL  string             // where those users sign in: strangers' pages link to it
	Pictures   bool               // shows customers' pictures, which their browsers load from Clerk's servers
	// ImportDir is the folder that operators may name Convex exports in. It is the
	// workers that read there, perhaps on another machine. Empty: they can name none.
	ImportDir string
	// MonitoringReadOnly lets /monitoring show the queues and change nothing.
	MonitoringReadOnly bool
	Log                *slog.Logger // slog.Default() if nil
	Version            string       // of this program, shown by /healthz
	// PublicURL is where visitors find the site, without a slash at its end. If it
	// is of https, cookies are always Secure. Empty: wherever a request says.
	PublicURL string
	// TrustedProxies are where requests come through: of those, X-Forwarded-For and
	// X-Forwarded-Proto are believed. They matter to whom wrong tokens are counted,
	// and to whether cookies are Secure.
	TrustedProxies []netip.Prefix
	Now            func() time.Time // time.Now if nil
	// Ready asks Postgres for /readyz. It is Store.Ready if nil, which waits for a
	// connection behind all who look at lists.
	Ready func(context.Context) error

	Metrics prometheus.Registerer // takes what is counted; nil: nobody does
	Scrapes http.Handler          // answers /metrics to operators; nil: there are none
	Traces  trace.TracerProvider  // nil: nobody traces
}

// Site is the http.Handler of all that this package shows. Make it with New,
// end it with Close.
type Site struct {
	cfg              Config
	admin            admin
	sessions         *sessions
	opaque           atomic.Pointer[opaque] // see ids
	throttle         *throttle
	redis            redis.UniversalClient
	monitoring       *asynqmon.HTTPHandler
	monitoringPolicy string
	policy           string // Content-Security-Policy of our own pages
	pages            *template.Template
	live             *live
	pulse            *pulse
	hashes           hashes // of the assets
	gates            gates
	readying         singleflight.Group
	leaving          atomic.Bool
	metrics          *metrics
	handler          http.Handler
}

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
