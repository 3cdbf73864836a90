package operators

import (
	"context"
	"net/http"
	"time"

	"rollcall/store/pg"
	"rollcall/web/core"
)

// readyTimeout is how long /readyz waits for Postgres and Redis.
const readyTimeout = time.Second

// Healthz reports that the process lives. It checks nothing that a restart would
// not fix.
func (s *Pages) Healthz(w http.ResponseWriter, r *http.Request) error {
	core.WriteJSON(w, http.StatusOK, map[string]string{"status": "ok", "version": s.Cfg.Version})
	return nil
}

// readiness is the answer of /readyz: Redis is "ok" or "away", Postgres a result of
// pg.Trouble.
type readiness struct {
	Status   string `json:"status"` // ready, not_ready or leaving
	Postgres string `json:"postgres"`
	Redis    string `json:"redis"`
}

// Readyz reports whether to send requests here. Only Postgres decides: without Redis
// events are still received and pages shown.
func (s *Pages) Readyz(w http.ResponseWriter, r *http.Request) error {
	redis := s.pingRedis(r.Context())
	postgres := ask(r.Context(), s.askReady)
	now, status := readiness{"ready", <-postgres, <-redis}, http.StatusOK
	if now.Postgres != "ok" {
		now.Status, status = "not_ready", http.StatusServiceUnavailable
	}
	if s.leaving.Load() {
		now.Status, status = "leaving", http.StatusServiceUnavailable
	}
	core.WriteJSON(w, status, now)
	return nil
}

// askReady checks Postgres once for all concurrent requests, as anyone may send them.
func (s *Pages) askReady(context.Context) error {
	_, err, _ := s.readying.Do("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
		defer cancel()
		return nil, s.Cfg.Ready(ctx)
	})
	return err
}

// Leave makes /readyz ask for no more requests. Those that come are still answered.
func (s *Pages) Leave() { s.leaving.Store(true) }

func (s *Pages) pingRedis(ctx context.Context) <-chan string {
	return ask(ctx, func(ctx context.Context) error { return s.Redis.Ping(ctx).Err() })
}

// ask pings asynchronously and answers within readyTimeout: the Redis client
// ignores a context while it reads.
func ask(ctx context.Context, ping func(context.Context) error) <-chan string {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	pinged, answer := make(chan error, 1), make(chan string, 1)
	go func() { pinged <- ping(ctx) }()
	go func() {
		defer cancel()
		select {
		case err := <-pinged:
			answer <- pg.Trouble(err)
		case <-ctx.Done():
			answer <- "away"
		}
	}()
	return answer
}
