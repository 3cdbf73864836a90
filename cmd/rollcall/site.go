package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hibiken/asynq"

	"rollcall/jobs"
	"rollcall/migrations"
	"rollcall/store"
	"rollcall/web"
	"rollcall/web/core"
	"rollcall/webhooks"
)

// site is what listens: the receiver of webhooks, and the web.
type site struct {
	log      *slog.Logger
	store    *store.Store
	door     *store.Store // the receiver's connections
	probe    *store.Store // those of /readyz
	jobs     *jobs.Client
	receiver *webhooks.Receiver
	web      *web.Server
	server   *http.Server
	leaving  atomic.Bool // is shutting down
}

// Limits of a request. Bodies have their own, in the handlers.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = time.Minute      // until a handler writes: see stallTimeout
	stallTimeout      = 30 * time.Second // for each 64 KiB of an answer
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
	drainTimeout      = 20 * time.Second // for requests under way at shutdown
)

// newSite builds a site without connecting: while Postgres is away senders get 503,
// and while Redis is away events are still stored.
func (e *env) newSite(s *store.Store, redis asynq.RedisConnOpt, t *telemetry) (*site, error) {
	secrets, err := e.secrets()
	if err != nil {
		return nil, err
	}
	who, err := e.clerk()
	if err != nil {
		return nil, err
	}
	proxies, err := e.proxies()
	if err != nil {
		return nil, err
	}
	w := &site{log: t.log, store: s, jobs: jobs.NewClient(redis)}
	if err := w.connectApart(e); err != nil {
		return nil, errors.Join(err, w.jobs.Close())
	}
	w.receiver = webhooks.New(webhooks.Config{
		Store: w.door, Jobs: w.jobs, Secrets: secrets, Logger: t.log, Counter: w.door, Proxies: proxies,
		Metrics: t.registry, Traces: t.traces,
	})
	w.web, err = web.New(core.Config{
		Store: s, Ready: w.probe.Ready, Redis: redis, Jobs: w.jobs, Log: t.log, Metrics: t.registry, Traces: t.traces,
		Version:    versionText(),
		AdminToken: given(e.AdminToken), Clerk: who, SignInURL: given(e.SignInURL),
		PublicURL:      strings.TrimRight(given(e.PublicURL), "/"),
		TrustedProxies: proxies, Scrapes: t.handler(), ImportDir: given(e.ImportDir),
		Pictures: e.CustomerPictures, MonitoringReadOnly: e.MonitoringReadOnly,
	})
	if err != nil {
		w.receiver.Close()
		w.disconnect()
		return nil, errors.Join(err, w.jobs.Close())
	}
	mux := http.NewServeMux()
	mux.Handle("/webhooks/", w.receiver)
	mux.Handle("/", w.web)
	w.server = newServer(w.closeWhenDraining(mux), t.log)
	w.server.RegisterOnShutdown(w.web.EndWatches)
	return w, nil
}

// Connections that a site has beside those for pages and the API, so that these
// cannot take them. A receiver inserts one group at a time, and counts.
const (
	doorConns  = 2
	probeConns = 1
)

func (w *site) connectApart(ctx context.Context) (err error) {
	if w.door, err = w.store.Apart(ctx, doorConns); err != nil {
		return err
	}
	if w.probe, err = w.store.Apart(ctx, probeConns); err != nil {
		w.door.Close()
	}
	return err
}

func (w *site) disconnect() {
	w.door.Close()
	w.probe.Close()
}

func newServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           core.LimitWrites(h, stallTimeout),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // errors of clients
	}
}

// closeWhenDraining closes each connection after its answer during shutdown. Idle ones
// would be closed at the end, perhaps while a request is on its way.
func (w *site) closeWhenDraining(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.leaving.Load() {
			rw.Header().Set("Connection", "close")
		}
		next.ServeHTTP(rw, r)
	})
}

// serve accepts requests until ctx ends, and for delay longer, so that load balancers
// see /readyz fail. Then it answers requests under way, and enqueues received events.
func (w *site) serve(ctx context.Context, l net.Listener, delay time.Duration) error {
	failed := make(chan error, 1)
	go func() { failed <- w.server.Serve(l) }()
	go w.store.SampleUntil(ctx, w.log)
	select {
	case err := <-failed:
		return errors.Join(err, w.close())
	case <-ctx.Done():
	}
	w.log.Info("draining", "still_taking_requests_for", delay)
	w.leaving.Store(true)
	w.web.Leave()
	select {
	case err := <-failed:
		return errors.Join(err, w.close())
	case <-time.After(delay):
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	err := w.server.Shutdown(drain)
	if err != nil {
		err = fmt.Errorf("requests were still running after %v: %w", drainTimeout, err)
	}
	return errors.Join(err, w.close())
}

// close ends the receiver before the jobs: it passes its last rows on to them.
func (w *site) close() error {
	w.receiver.Close()
	err := errors.Join(w.jobs.Close(), w.web.Close())
	w.disconnect()
	return err
}

// bind opens the address that a setting says to listen on.
func bind(setting, flag, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf(
			"%s: something listens on %s already; choose another address with %s, as in %[3]s 127.0.0.1:8081", setting, address,
			flag)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	return l, nil
}

// baseURL is where a person on this machine finds what listens on l.
func baseURL(l net.Listener) string {
	host, port, err := net.SplitHostPort(l.Addr().String())
	if ip := net.ParseIP(host); err != nil || ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// schemaPatience is the pause between checks of a database that is away.
const schemaPatience = 5 * time.Second

// warnOfSchema logs once, when Postgres answers, if its schema is not current.
func (e *env) warnOfSchema(log *slog.Logger, url string) {
	for told := false; e.Err() == nil; {
		all, err := migrations.Current(e, url)
		if err == nil {
			if n := missing(all); n > 0 {
				log.Error("the database schema is not current: run `rollcall migrate up`", "missing", n)
			}
			return
		}
		if errors.As(err, new(*migrations.Foreign)) || errors.As(err, new(*migrations.Taken)) {
			log.Error("the database cannot be migrated as it is", "error", withoutCalls(err))
			return
		}
		if !told && e.Err() == nil {
			told = true
			log.Warn("Postgres does not answer; waiting for it", "error", withoutCalls(e.inWords(err)))
		}
		select {
		case <-e.Done():
		case <-time.After(schemaPatience):
		}
	}
}

// warnOfMissing logs unset settings and their consequences.
func (c *Config) warnOfMissing(log *slog.Logger) {
	for _, a := range c.absent() {
		log.Warn(a.Text)
	}
	if strings.HasPrefix(c.listen(), "127.") {
		log.Debug("listening for this machine alone; LISTEN=:8080 takes requests from others")
	}
}
