package core

import (
	"context"
	"crypto/rsa"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"

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

// Site is what all pages and the API share: how they answer, and what they may ask.
// The rooms embed it.
type Site struct {
	Cfg              Config
	Redis            redis.UniversalClient
	Gates            gates
	Metrics          *metrics
	MonitoringPolicy string // Content-Security-Policy of asynqmon's pages
	// Admit returns who asks, if they belong to the audience.
	Admit func(Audience, *http.Request) (Visitor, error)
	// FailurePage is what failure.html shows of a failure.
	FailurePage func(*http.Request, *Failure) any

	files  fs.FS
	Hashes hashes // of the assets
	pages  *template.Template
	policy string                 // Content-Security-Policy of our own pages
	opaque atomic.Pointer[opaque] // see Ids
}

// NewSite returns a Site with the templates and assets of files. It connects to nothing yet.
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
	s := &Site{Cfg: cfg, Redis: client, files: files, Hashes: hashAssets(files), Metrics: NewMetrics(cfg.Metrics), policy: pagePolicy}
	s.Gates = newGates(cfg.Store.Conns(), s.Metrics.Refused)
	if cfg.Pictures {
		s.policy = strings.Replace(pagePolicy, "img-src 'self'", "img-src 'self' https:", 1)
	}
	var err error
	s.pages, err = template.New("").Funcs(s.functions()).ParseFS(files, "templates/*.html")
	return s, err
}

// Handler wraps the site's routes in what goes for all of them.
func (s *Site) Handler(routes http.Handler) (http.Handler, error) {
	pages, err := compressed(routes)
	return s.Observed(s.Guarded(pages)), err
}

// Clerk says whose session tokens are taken: whoever is signed in there is
// signed in here. Without Key and SecretKey none are.
type Clerk struct {
	Key       *rsa.PublicKey // what they are signed with; nil: the keys that Clerk's API tells
	SecretKey string         // to ask it with
	APIBase   string         // where it is; empty: where it always is
	Issuer    string         // what "iss" has to be, as a URL; empty: anything that looks like Clerk's
	// Parties are the origins that "azp" may name: where people sign in. If it is
	// empty any may be named, or none. One that is no origin matches no token.
	Parties []string
}
