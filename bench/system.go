package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/hibiken/asynq"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"rollcall/internal/embedded"
	"rollcall/jobs"
	"rollcall/migrations"
	"rollcall/store"
	"rollcall/store/pg"
	"rollcall/webhooks"
	"rollcall/worker"
)

const (
	secret     = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	adminToken = "bench-0123456789abcdef0123456789abcdef"
)

// system is a receiver on servers of its own, in this process; a worker is
// added where it is measured.
type system struct {
	report
	dir     string
	servers *embedded.Servers
	pool    *pgxpool.Pool // for the bare limits and for looking
	store   *store.Store
	redis   asynq.RedisConnOpt
	jobs    *jobs.Client
	load    *load
	sent    int            // sales so far, by which the next ones are numbered
	closing []func() error // the last first
}

// open starts all of it, on the data kept in a folder, if one is named.
func (s *system) open(ctx context.Context, keep string) {
	if s.dir = keep; keep == "" {
		s.dir = try(os.MkdirTemp("", "rollcall-bench-"))
		s.onClose(func() error { return os.RemoveAll(s.dir) })
	}
	check(os.MkdirAll(s.dir, 0o755))
	check(os.Chmod(s.dir, 0o755)) // Postgres may run as another user
	s.servers = try(embedded.Start(ctx, embedded.Options{Dir: s.dir}))
	s.onClose(s.servers.Stop)
	try(migrations.Up(ctx, s.servers.DatabaseURL))
	s.pool = try(pgxpool.New(ctx, s.servers.DatabaseURL))
	s.onClose(func() error { s.pool.Close(); return nil })
	s.store = try(store.Open(ctx, s.servers.DatabaseURL, store.Options{}))
	s.onClose(func() error { s.store.Close(); return nil })
	s.redis = try(jobs.ParseRedis(s.servers.RedisURL))
	s.jobs = jobs.NewClient(s.redis)
	s.onClose(s.jobs.Close)
	receiver := webhooks.New(webhooks.Config{
		Store: s.store, Jobs: s.jobs, Logger: logged(), Counter: s.store, Metrics: prometheus.NewRegistry(),
		Secrets: map[string][]webhooks.Secret{"stripe": try(webhooks.ParseSecrets("stripe", secret))},
	})
	s.onClose(func() error { receiver.Close(); return nil })
	s.load = newLoad(s.serve(receiver) + "/webhooks/stripe")
}

func (s *system) onClose(do func() error) { s.closing = append(s.closing, do) }

// close ends all that was started.
func (s *system) close() {
	for _, do := range slices.Backward(s.closing) {
		if err := do(); err != nil {
			fmt.Fprintln(os.Stderr, "bench: stopping:", err)
		}
	}
}

// serve has a handler answer in this process, and returns its URL.
func (s *system) serve(h http.Handler) string {
	l := try(net.Listen("tcp", "127.0.0.1:0"))
	server := &http.Server{Handler: h, ReadTimeout: 10 * time.Second}
	go server.Serve(l)
	s.onClose(server.Close)
	return "http://" + l.Addr().String()
}

// logged is a log as `serve` and `work` write it, but for the writing.
func logged() *slog.Logger {
	return slog.New(slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{ReplaceAttr: pg.PlainErrors}))
}

// work runs a worker, which sends mail unless that is nil, until the function it returns is called.
func (s *system) work(ctx context.Context, mail *worker.Mail) (stop func()) {
	w := worker.New(worker.Config{Store: s.store, Redis: s.redis, Log: logged(), Metrics: prometheus.NewRegistry(),
		Grace: time.Minute, Mail: mail})
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return func() { cancel(); check(<-done) }
}

// empty starts the next measurement from nothing.
func (s *system) empty(ctx context.Context) {
	s.exec(ctx, `
		TRUNCATE webhook_events, customers, customer_merges, payments, enrollments, subscriptions, refunds, disputes,
			users, stripe_customers, products, stores, links`)
}

func (s *system) exec(ctx context.Context, sql string) { try(s.pool.Exec(ctx, sql)) }

// query returns one value.
func query[T any](ctx context.Context, s *system, sql string, args ...any) T {
	return try(pgx.CollectExactlyOneRow(try(s.pool.Query(ctx, sql, args...)), pgx.RowTo[T]))
}

// fill writes a data set of so many facts or customers, in place of what there is.
func (s *system) fill(ctx context.Context, sql string, size int) {
	s.empty(ctx)
	conn := try(pgx.Connect(ctx, s.servers.DatabaseURL)) // a session of its own, for what is temporary
	defer conn.Close(context.WithoutCancel(ctx))
	try(conn.Exec(ctx, fmt.Sprintf("SET work_mem = '256MB'; SET bench.size = %d;\n%s", size, sql)))
	try(conn.Exec(ctx, `VACUUM ANALYZE`))
}

// until waits for something, and looks every few milliseconds.
func until(ctx context.Context, every time.Duration, done func() bool) {
	for tick := time.Tick(every); !done(); <-tick {
		check(ctx.Err())
	}
}

// process is a rollcall of its own, with the system's servers.
type process struct {
	*exec.Cmd
	url string
}

// start builds the program and starts one of its commands; for serve it waits.
func (s *system) start(ctx context.Context, command string, settings ...string) process {
	binary := filepath.Join(s.dir, "rollcall")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/rollcall").CombinedOutput(); err != nil {
		check(fmt.Errorf("building ./cmd/rollcall: %w\n%s", err, out))
	}
	l := try(net.Listen("tcp", "127.0.0.1:0")) // an address that is free
	check(l.Close())
	p := process{exec.CommandContext(ctx, binary, command), "http://" + l.Addr().String()}
	p.Env = append(append(os.Environ(), "DATABASE_URL="+s.servers.DatabaseURL, "REDIS_URL="+s.servers.RedisURL,
		"LISTEN="+l.Addr().String(), "DRAIN_DELAY=0", "STRIPE_WEBHOOK_SECRETS="+secret, "ADMIN_TOKEN="+adminToken,
		"LOG_LEVEL=error"), settings...)
	p.Stderr = os.Stderr
	check(p.Cmd.Start())
	s.onClose(func() error { p.Process.Kill(); return nil })
	if command == "serve" {
		until(ctx, 20*time.Millisecond, func() bool {
			res, err := http.Get(p.url + "/readyz")
			return err == nil && res.Body.Close() == nil && res.StatusCode == http.StatusOK
		})
	}
	return p
}

// end stops the process, and returns the most memory that it held, in MB, as Linux
// tells it.
func (p process) end() (peak float64) {
	file := try(os.Open(fmt.Sprintf("/proc/%d/status", p.Process.Pid)))
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		_, _ = fmt.Sscanf(lines.Text(), "VmHWM: %f kB", &peak) // other lines do not match
	}
	check(p.Process.Signal(syscall.SIGTERM))
	check(p.Wait())
	return peak / 1024
}
