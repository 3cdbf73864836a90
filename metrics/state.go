package metrics

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"rollcall/store"
)

// Config of a State. Store, Redis and Log are required.
type Config struct {
	Store *store.Store
	Redis asynq.RedisConnOpt
	Log   *slog.Logger
	Now   func() time.Time // time.Now if nil
}

// State collects figures of Postgres and Redis. All processes of a system report the same figures.
// They are cached for some seconds, so that many scrapes cost no more than one. Figures that cannot
// be read are left out, which rollcall_figures_readable shows.
type State struct {
	postgres, redis []*figure
	pool            *pool
	redisClient     redis.UniversalClient
}

// New returns a State. It does not connect yet.
func New(cfg Config) *State {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &State{pool: &pool{cfg.Store}, redisClient: cfg.Redis.MakeRedisClient().(redis.UniversalClient)}
	s.postgres = []*figure{
		{name: "arrivals", keep: 5 * time.Second, read: arrivals(cfg.Store)},
		{name: "inbox", keep: 15 * time.Second, read: inbox(cfg.Store)},
		{name: "backfills", keep: 5 * time.Second, read: backfills(cfg.Store)},
		{name: "unattached", keep: 30 * time.Second, read: unattached(cfg.Store)},
		{name: "mails", keep: 30 * time.Second, read: mails(cfg.Store)},
		{name: "watches", keep: 15 * time.Second, read: watches(cfg.Store)},
		{name: "lists", keep: time.Minute, read: lists(cfg.Store)},
	}
	s.redis = []*figure{{name: "queues", keep: 5 * time.Second, read: queues(s.redisClient)}}
	for _, f := range s.all() {
		f.now, f.log = cfg.Now, cfg.Log
		f.seldom = rate.Sometimes{First: 1, Interval: time.Minute}
	}
	return s
}

func (s *State) all() []*figure { return append(append([]*figure{}, s.postgres...), s.redis...) }

// Close closes the connection to Redis.
func (s *State) Close() error { return s.redisClient.Close() }

func (s *State) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range descriptions {
		ch <- d
	}
	s.pool.Describe(ch)
}

// Collect reads all figures that are not cached. It queries Postgres sequentially, so that a scrape
// uses only one connection of the pool.
func (s *State) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	var both sync.WaitGroup
	for _, figures := range [][]*figure{s.postgres, s.redis} {
		both.Go(func() {
			for _, f := range figures {
				f.collect(ctx, ch)
			}
		})
	}
	both.Wait()
	s.pool.Collect(ch)
}

// figure is a query with its last result.
type figure struct {
	name   string
	keep   time.Duration // how long a result is valid
	read   func(context.Context) ([]prometheus.Metric, error)
	now    func() time.Time
	log    *slog.Logger
	seldom rate.Sometimes

	looks singleflight.Group
	last  atomic.Pointer[found] // nil at first
}

// found is the result of a query.
type found struct {
	at      time.Time
	took    time.Duration
	metrics []prometheus.Metric
	err     error
}

// collect reports the figure and whether it could be read.
func (f *figure) collect(ctx context.Context, ch chan<- prometheus.Metric) {
	is, ok := f.get(ctx)
	readable := 0.0
	if ok && is.err == nil {
		readable = 1
		for _, m := range is.metrics {
			ch <- m
		}
	}
	ch <- prometheus.MustNewConstMetric(figuresReadable, prometheus.GaugeValue, readable, f.name)
	ch <- prometheus.MustNewConstMetric(figuresTook, prometheus.GaugeValue, is.took.Seconds(), f.name)
}

// get returns the cached result if it is fresh. Otherwise it queries, or waits for the running
// query. It is not ok if ctx ends before; the query continues for the next caller.
func (f *figure) get(ctx context.Context) (_ found, ok bool) {
	if last := f.fresh(); last != nil {
		return *last, true
	}
	select {
	case looked := <-f.looks.DoChan("", func() (any, error) {
		if last := f.fresh(); last != nil { // a query has ended since
			return *last, nil
		}
		return f.look(), nil
	}):
		return looked.Val.(found), true
	case <-ctx.Done():
		return *cmp.Or(f.last.Load(), &found{}), false
	}
}

// fresh is the cached result; nil if it is too old.
func (f *figure) fresh() *found {
	if last := f.last.Load(); last != nil && f.now().Sub(last.at) < f.keep {
		return last
	}
	return nil
}

// look runs the query. A query may hang, as the queue's client ignores contexts. Then callers wait
// with a limit, and no second query starts.
func (f *figure) look() found {
	ctx, cancel := context.WithTimeout(context.Background(), figureTimeout)
	defer cancel()
	began := time.Now()
	metrics, err := f.read(ctx)
	if err != nil {
		f.seldom.Do(func() { f.log.Warn("figures could not be read", "figures", f.name, "error", err) })
	}
	is := found{f.now(), time.Since(began), metrics, err}
	f.last.Store(&is)
	return is
}
