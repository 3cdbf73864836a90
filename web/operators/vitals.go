package operators

import (
	"context"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"rollcall/jobs"
	"rollcall/store/status"
	"rollcall/web/core"
)

// Vitals are the state of the whole system. Their JSON is the API's.
type Vitals struct {
	At       time.Time      `json:"at"`
	Postgres string         `json:"postgres"` // a result of pg.Trouble
	Redis    string         `json:"redis"`    // "ok" or "away"
	Inbox    *status.Vitals `json:"inbox"`    // null: Postgres is away or too slow
	Queues   []jobs.Queue   `json:"queues"`   // null: Redis is away
	Workers  []jobs.Worker  `json:"workers"`  // null: Redis is away
}

// PostgresState is what Postgres is, in words.
func (v Vitals) PostgresState() string {
	switch v.Postgres {
	case "ok":
		return "up"
	case "away":
		return "down"
	}
	return strings.ReplaceAll(v.Postgres, "_", " ")
}

const (
	// statusMaxAge is how old cached vitals may be: however many pages poll, each second
	// has one query.
	statusMaxAge = time.Second
	// statusTimeout limits the query.
	statusTimeout = 3 * time.Second
)

// vitals are those of now, or cached ones.
func (s *Pages) vitals(ctx context.Context) Vitals {
	v, _ := s.Status.get("", func() (Vitals, error) { // other requests wait for it too
		return s.look(context.WithoutCancel(ctx)), nil
	})
	return v
}

// look queries Postgres and Redis concurrently; one that does not answer is away.
func (s *Pages) look(ctx context.Context) Vitals {
	redis, postgres, queues := s.pingRedis(ctx), ask(ctx, s.Cfg.Store.Ready), s.askQueues()
	v := Vitals{At: s.Cfg.Now().UTC(), Postgres: <-postgres, Redis: <-redis}
	if v.Postgres == "ok" {
		ctx, cancel := context.WithTimeout(ctx, statusTimeout)
		defer cancel()
		inbox, err := status.New(s.Cfg.Store).Vitals(ctx, v.At)
		if err == nil {
			v.Inbox = &inbox
		} else {
			s.Cfg.Log.Warn("the vitals could not be taken", "error", err)
		}
	}
	select {
	case r := <-queues:
		if is, ok := r.Val.(jobs.Snapshot); ok && r.Err == nil && v.Redis == "ok" {
			v.Queues, v.Workers = is.Queues, is.Workers
		}
	case <-time.After(readyTimeout):
		v.Redis = "away"
	}
	return v
}

// askQueues asks asynchronously, one query at a time: the Redis client ignores contexts while it
// reads, and a Redis that hangs must not pile up goroutines.
func (s *Pages) askQueues() <-chan singleflight.Result {
	return s.queues.DoChan("", func() (any, error) { return jobs.Inspect(context.Background(), s.Redis) })
}

// ShowHealth answers the vitals.
func (s *Pages) ShowHealth(w http.ResponseWriter, r *http.Request) error {
	core.WriteJSON(w, http.StatusOK, s.vitals(r.Context()))
	return nil
}
