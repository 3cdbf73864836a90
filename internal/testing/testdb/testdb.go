// Package testdb gives tests real servers: databases cloned from one that is
// migrated once per test process, and empty Redis databases.
//
// A package that uses it has
//
//	func TestMain(m *testing.M) { testdb.Main(m) }
//
// The servers are private ones, started when the first test asks; or, with
// DATABASE_URL or REDIS_URL set, those that they name. What a test is given is
// its own, so tests may run in parallel; only Redis' publish/subscribe is common
// to all its databases.
package testdb

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/internal/embedded"
)

// cleanupTimeout limits what a cleanup waits for a server.
const cleanupTimeout = 30 * time.Second

// shared is what the tests of this process have in common.
var shared struct {
	mu       sync.Mutex
	main     bool // Main is running and will stop the servers
	servers  *servers
	template string // name of the migrated database
}

// servers are where the tests' databases are.
type servers struct {
	databaseURL string
	redisURL    string
	own         *embedded.Servers // nil if the environment names both
}

// process is a part of the names of databases: several processes may use one
// server.
var process = strings.ToLower(rand.Text()[:10])

// Main runs the tests (m is a *testing.M, or what stands around one), stops the
// servers and exits. A process that is killed takes its servers with it (see
// package embedded).
func Main(m interface{ Run() int }) { os.Exit(Run(m)) }

// Run is Main without the exit, which would skip what is deferred: for a TestMain
// that does more.
func Run(m interface{ Run() int }) (code int) {
	shared.main = true
	defer func() {
		if err := stop(); err != nil {
			fmt.Fprintln(os.Stderr, "testdb: stop the servers:", err)
			code = max(code, 1)
		}
	}()
	return m.Run()
}

// Private starts a Postgres and a Redis for this test alone, which it may stop,
// kill and start again. They are stopped at its end.
func Private(t testing.TB) *embedded.Servers {
	t.Helper()
	s, err := embedded.Start(t.Context(), embedded.Options{Temporary: true})
	if err != nil {
		t.Fatalf("testdb.Private: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("testdb.Private: stop: %v", err)
		}
	})
	return s
}

// get returns the servers, started at the first call.
func get(ctx context.Context) (*servers, error) {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if !shared.main {
		return nil, errors.New("the package under test needs: func TestMain(m *testing.M) { testdb.Main(m) }")
	}
	if shared.servers != nil {
		return shared.servers, nil
	}
	s, err := start(ctx)
	if err == nil {
		shared.servers = s
	}
	return s, err
}

// start starts what the environment does not name.
func start(ctx context.Context) (*servers, error) {
	s := &servers{databaseURL: os.Getenv("DATABASE_URL"), redisURL: os.Getenv("REDIS_URL")}
	if s.databaseURL != "" && s.redisURL != "" {
		return s, nil
	}
	own, err := embedded.Start(ctx, embedded.Options{Temporary: true})
	if err != nil {
		return nil, err
	}
	s.own = own
	s.databaseURL = cmp.Or(s.databaseURL, own.DatabaseURL)
	s.redisURL = cmp.Or(s.redisURL, own.RedisURL)
	return s, nil
}

// stop takes away all that the tests had in common.
func stop() error {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.servers == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
	defer cancel()
	var err error
	if shared.template != "" {
		err = shared.servers.drop(ctx, shared.template)
	}
	if shared.servers.own != nil {
		err = errors.Join(err, shared.servers.own.Stop())
	}
	return err
}
