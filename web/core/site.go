package core

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"

	"rollcall/internal/actions"
	"rollcall/internal/proxies"
	"rollcall/store"
	"rollcall/store/inbox"
	"rollcall/store/pg"
)

// Config configures a Site. Store and Redis are required.
type Config struct {
	Store      *store.Store
	Redis      asynq.RedisConnOpt // shown at /monitoring and by /readyz; may be down
	Jobs       actions.Jobs       // enqueues backfills and reopened events; nil: the workers find them
	AdminToken string             // allows everything; empty: none is valid
	Clerk      Clerk              // its users see the stores that they own or are members of
	SignInURL  string             // where Clerk's users sign in; linked for strangers
	Pictures   bool               // shows customers' pictures, loaded from Clerk's servers by the browser
	// ImportDir is the folder of Convex exports. The workers read it, perhaps on
	// another machine. Empty: operators cannot name an export.
	ImportDir string
	// MonitoringReadOnly makes /monitoring read-only.
	MonitoringReadOnly bool
	Log                *slog.Logger // slog.Default() if nil
	Version            string       // of this program, shown by /healthz
	// PublicURL is the site's address, without a slash at its end. With https, cookies
	// are always Secure. Empty: the address in each request.
	PublicURL string
	// TrustedProxies may set X-Forwarded-For and X-Forwarded-Proto, which decide whose
	// wrong tokens are counted together, and whether cookies are Secure.
	TrustedProxies proxies.Trusted
	Now            func() time.Time // time.Now if nil
	// Ready checks Postgres for /readyz. If nil it is Store.Ready, which waits for a
	// connection behind requests for lists.
	Ready func(context.Context) error

	Metrics prometheus.Registerer // for the site's metrics; nil: none are registered
	Scrapes http.Handler          // answers /metrics to operators; nil: not found
	Traces  trace.TracerProvider  // nil: no traces
}

// Site is what pages and API share: configuration, templates, gates, answers. Each
// room embeds it. Safe for concurrent use.
type Site struct {
	Cfg              Config
	Redis            redis.UniversalClient
	Gates            gates
	Metrics          *metrics
	MonitoringPolicy string // Content-Security-Policy of asynqmon's pages
	// Admit returns the visitor, or an error if they do not belong to the audience.
	Admit func(Audience, *http.Request) (Visitor, error)
	// FailurePage is the data of failure.html.
	FailurePage func(*http.Request, *Failure) any

	files   fs.FS
	Hashes  hashes                 // of assets
	presses chan *press            // those that are not busy
	policy  string                 // Content-Security-Policy of the site's pages
	opaque  atomic.Pointer[opaque] // see IDs
}

// NewSite returns a Site with the templates and assets in files. It does not connect.
func NewSite(cfg Config, files fs.FS) (*Site, error) {
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
		return nil, fmt.Errorf("web: no client for a Redis of type %T", cfg.Redis)
	}
	s := &Site{Cfg: cfg, Redis: client, files: files, Hashes: hashAssets(files), Metrics: NewMetrics(cfg.Metrics),
		policy: pagePolicy}
	s.Gates = newGates(cfg.Store.Conns(), s.Metrics.Refused)
	if cfg.Pictures {
		s.policy = strings.Replace(pagePolicy, "img-src 'self'", "img-src 'self' https:", 1)
	}
	var err error
	s.presses, err = s.newPresses(files)
	return s, err
}

// Handler wraps the routes in the middleware that all of them need.
func (s *Site) Handler(routes http.Handler) (http.Handler, error) {
	pages, err := compressed(routes)
	return s.Observed(s.Guarded(pages)), err
}

// Clerk says whose session tokens are valid. Without Key and SecretKey none are.
type Clerk struct {
	Key       *rsa.PublicKey // of the signatures; nil: the keys that Clerk's API lists
	SecretKey string         // for Clerk's API
	APIBase   string         // its URL; empty: the public one
	Issuer    string         // the URL that "iss" must be; empty: any that looks like Clerk's
	// Parties are the origins that "azp" may name, where people sign in. Empty: any, or
	// none. An entry that is not an origin matches no token.
	Parties []string
}

// Unmentioned tells whether no event names a store, not even one that waits.
func (s *Site) Unmentioned(ctx context.Context, id string) (bool, error) {
	_, err := s.Cfg.Store.StoreAccounts(ctx, id)
	if !errors.Is(err, pg.ErrNotFound) {
		return false, err
	}
	waiting, _, err := inbox.New(s.Cfg.Store).Events(ctx, store.EventFilter{Status: "pending", Query: id, Limit: 1})
	return len(waiting) == 0, err
}
