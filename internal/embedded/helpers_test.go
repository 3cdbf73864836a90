package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
)

// start starts servers that stop with the test.
func start(t *testing.T, o Options) *Servers {
	t.Helper()
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	return s
}

// dataDir is a folder that Postgres' account can reach, unlike t.TempDir, which
// is below one for its owner alone.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(temporaryRoot(), "embedded-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Data placed elsewhere (see postgresHome) does not go with the folder.
		if target, err := os.Readlink(filepath.Join(dir, "postgres")); err == nil {
			os.RemoveAll(target)
		}
		os.RemoveAll(dir)
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

func reach(t *testing.T, url string) error {
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		return err
	}
	return conn.Close(t.Context())
}

// put writes text into both servers; want reads it.
func put(t *testing.T, s *Servers, text string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, q := range []string{"DROP TABLE IF EXISTS mark", "CREATE TABLE mark AS SELECT '" + text + "' AS text"} {
		if _, err := conn.Exec(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	client := redisClient(t, s)
	defer client.Close()
	if err := client.Set(t.Context(), "mark", text, 0).Err(); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, s *Servers, text string) {
	t.Helper()
	if got := postgresMark(t, s); got != text {
		t.Errorf("Postgres has %q, want %q", got, text)
	}
	client := redisClient(t, s)
	defer client.Close()
	if got, err := client.Get(t.Context(), "mark").Result(); got != text {
		t.Errorf("Redis has %q (%v), want %q", got, err, text)
	}
}

func postgresMark(t *testing.T, s *Servers) (text string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if err := conn.QueryRow(t.Context(), "SELECT text FROM mark").Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}

func redisClient(t *testing.T, s *Servers) *redis.Client {
	t.Helper()
	opts, err := redis.ParseURL(s.RedisURL)
	if err != nil {
		t.Fatal(err)
	}
	return redis.NewClient(opts)
}

// gone tells whether no process has the pid. One that ended but that its new
// parent has not noticed yet is gone too.
func gone(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return err == nil && strings.Contains(string(status), "State:\tZ")
}
