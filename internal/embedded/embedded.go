// Package embedded runs a private Postgres and Redis from the binaries installed
// on this machine, for `rollcall dev`, `rollcall demo` and the tests.
//
// The servers listen on a private unix socket and on free ports of 127.0.0.1,
// with passwords made anew at every start, so that they neither disturb nor use
// any server that happens to run. They end with the process that started them,
// also when that is killed (see guard).
//
// Below the data folder:
//
//	lock            held by the process that started the servers; its pid
//	servers.json    where the servers are, for other commands (see Running)
//	postgres/       data, socket folder
//	redis/          data, configuration
//	*.log, *.lock   each server's output; a lock held while that server lives
//
// Postgres refuses to run as root. As root it is run under the account postgres
// (nobody where there is none). If that account cannot reach the data folder, as
// below /root, postgres/ is a symbolic link to a folder in /var/lib/rollcall.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// startTimeout limits the start of one server. Long enough for Postgres to
// recover a large database that was killed.
const startTimeout = 60 * time.Second

// stopTimeout is how long a server may take to end by itself before it is killed.
const stopTimeout = 30 * time.Second

// Options say where the servers keep their data and how dear it is.
type Options struct {
	// Dir is the data folder, made if missing. Empty with Temporary: a new one,
	// in memory if there is room.
	Dir string
	// Temporary data is for tests: it would not survive a power cut, and Stop
	// removes Dir with all there is in it.
	Temporary bool
	// Settings of Postgres, name=value, override ours.
	Settings []string
	// StandbyOf makes Postgres a standby that follows another, with its settings,
	// until it is promoted. No Redis comes with it. For Temporary data only.
	StandbyOf *Servers
	// Restart starts a server again that ended though nobody asked it to. If it
	// does not start, Lost tells.
	Restart bool
	// Log gets starts, stops and unexpected ends; nil drops them.
	Log *slog.Logger

	search *search // narrowed by tests; nil: the usual places
}

// server is what Servers starts and stops.
type server interface {
	Start(ctx context.Context) error // again on the same port
	Stop() error                     // does nothing if it does not run
	Kill() error                     // as if the machine had failed
}

// Servers is a running Postgres and Redis. Its methods may be called from any
// goroutine.
type Servers struct {
	// DatabaseURL reaches the database "rollcall" as its superuser, over the
	// unix socket.
	DatabaseURL string
	// DatabaseTCPURL is the same over 127.0.0.1, with a password.
	DatabaseTCPURL string
	// PostgresAddr is Postgres' host:port, to put a proxy in front of.
	PostgresAddr string
	// PostgresMajor is the version that runs: 15, say.
	PostgresMajor int
	// RedisURL is redis://:password@127.0.0.1:port/0.
	RedisURL string
	// RedisAddr is Redis' host:port, to put a proxy in front of.
	RedisAddr string

	opts     Options
	lock     *os.File
	life     context.Context // ends with Stop
	end      context.CancelFunc
	lost     chan error // for each server once
	record   Record
	mu       sync.Mutex // serialises all that starts or stops
	stopped  bool
	postgres server
	redis    server
	cluster  *cluster // of postgres
	password string   // of the role rollcall
	remove   []string // folders that end with the servers
}

// Start starts both servers and returns when both answer. ctx limits the
// starting, not their life. If another process has servers on the same folder
// the error is ErrInUse; if a program is not installed, ErrMissing.
func Start(ctx context.Context, o Options) (s *Servers, err error) {
	defer func() {
		if err != nil {
			s, err = nil, fmt.Errorf("embedded.Start: %w", err)
		}
	}()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.search == nil {
		o.search = usualPlaces()
	}
	if err := o.makeDir(); err != nil {
		return nil, err
	}
	lock, err := acquire(o.Dir)
	if err != nil {
		return nil, err
	}
	s = &Servers{opts: o, lock: lock, lost: make(chan error, 2)}
	s.life, s.end = context.WithCancel(context.WithoutCancel(ctx))
	began := time.Now()
	if err := s.startAll(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	o.Log.Info("servers started", "dir", o.Dir, "took", time.Since(began).Round(time.Millisecond))
	return s, nil
}

// makeDir makes the data folder and resolves its name. Others may pass through
// it only as root, because Postgres then runs under another account; what is
// secret within has its own mode.
func (o *Options) makeDir() error {
	mode := os.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o711
	}
	if o.Dir == "" {
		return o.makeTemporary(mode)
	}
	abs, err := filepath.Abs(o.Dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(abs, mode); err != nil {
		return fmt.Errorf("data folder: %w; choose another one (--data)", err)
	}
	o.Dir, err = filepath.EvalSymlinks(abs)
	return err
}

// startAll starts the two side by side: each spends most of its time waiting.
func (s *Servers) startAll(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.openPostgres(ctx) })
	if s.opts.StandbyOf == nil {
		g.Go(func() error { return s.openRedis(ctx) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	s.record = Record{PID: os.Getpid(), DatabaseURL: s.DatabaseURL, RedisURL: s.RedisURL}
	return s.record.write(s.opts.Dir)
}

// Publish adds notes (the address of the pages, say) to what Running returns to
// other processes of the same account, until Stop.
func (s *Servers) Publish(notes map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return errors.New("embedded.Publish: the servers are stopped")
	}
	if s.record.Note == nil {
		s.record.Note = map[string]string{}
	}
	maps.Copy(s.record.Note, notes)
	return s.record.write(s.opts.Dir)
}

// Stop ends both servers, Redis saved and Postgres shut down in order, and
// removes temporary data. Stopping again does nothing.
func (s *Servers) Stop() error {
	s.end() // of a restart under way
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	s.stopped = true
	var g errgroup.Group
	for _, srv := range []server{s.redis, s.postgres} {
		if srv != nil {
			g.Go(srv.Stop)
		}
	}
	err := g.Wait()
	return errors.Join(err, s.release())
}

// release takes the record and the temporary data away. The lock goes last: who
// gets it must not find our record.
func (s *Servers) release() error {
	errs := []error{removeRecord(s.opts.Dir)}
	for _, dir := range s.remove {
		errs = append(errs, os.RemoveAll(dir))
	}
	if s.opts.Temporary {
		errs = append(errs, os.RemoveAll(s.opts.Dir))
	}
	return errors.Join(append(errs, s.lock.Close())...)
}

// StopPostgres shuts Postgres down (clients are cut off) until StartPostgres.
func (s *Servers) StopPostgres() error { return s.do(s.postgres.Stop) }

// KillPostgres ends Postgres as a crash would.
func (s *Servers) KillPostgres() error { return s.do(s.postgres.Kill) }

// StartPostgres starts Postgres again at the same addresses.
func (s *Servers) StartPostgres(ctx context.Context) error { return s.restart(ctx, s.postgres) }

// StopRedis shuts Redis down, its data saved, until StartRedis.
func (s *Servers) StopRedis() error { return s.do(s.redis.Stop) }

// KillRedis ends Redis as a crash would; temporary data is then lost.
func (s *Servers) KillRedis() error { return s.do(s.redis.Kill) }

// StartRedis starts Redis again at the same address.
func (s *Servers) StartRedis(ctx context.Context) error { return s.restart(ctx, s.redis) }

// Lost says why a server that ended could not be started again.
func (s *Servers) Lost() <-chan error { return s.lost }

// revive starts a server again that ended by itself.
func (s *Servers) revive(name string, srv server) {
	if !s.opts.Restart {
		return
	}
	err := s.do(func() error {
		if s.stopped {
			return nil
		}
		return srv.Start(s.life)
	})
	if err == nil {
		s.opts.Log.Info("server started again", "server", name)
	} else if s.life.Err() == nil {
		s.lost <- fmt.Errorf("%s ended and could not be started again: %w", name, err)
	}
}

func (s *Servers) do(f func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return f()
}

// restart refuses after Stop, which may have removed the data.
func (s *Servers) restart(ctx context.Context, srv server) error {
	return s.do(func() error {
		if s.stopped {
			return errors.New("embedded: the servers are stopped for good; use Start")
		}
		return srv.Start(ctx)
	})
}
