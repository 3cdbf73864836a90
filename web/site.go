package web

import (
	"context"
	"crypto/rsa"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
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
