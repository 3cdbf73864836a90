package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
)

// childDir names the data folder on which a copy of this test binary is to start
// servers and stay; see TestKilledParent.
const childDir = "EMBEDDED_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		stay(dir)
	}
	os.Exit(m.Run())
}

// stay starts servers, prints their pids and waits to be killed.
func stay(dir string) {
	s, err := Start(context.Background(), Options{Dir: dir})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(s.postgres.(*Daemon).proc.cmd.Process.Pid, s.redis.(*disposable).proc.cmd.Process.Pid)
	select {}
}

// TestDataIsKept: a second run of dev finds what the first one left.
func TestDataIsKept(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	s := start(t, Options{Dir: dir})
	put(t, s, "kept")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Errorf("a second Stop: %v", err)
	}
	again := start(t, Options{Dir: dir})
	want(t, again, "kept")
	if again.DatabaseTCPURL == s.DatabaseTCPURL {
		t.Error("the password is that of the run before")
	}
}

// TestAddresses: every address that is handed out works, and TCP asks for the
// password.
func TestAddresses(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Temporary: true})
	for _, url := range []string{s.DatabaseURL, s.DatabaseTCPURL} {
		if err := reach(t, url); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, url := range []string{
		"postgres://rollcall@" + s.PostgresAddr + "/rollcall?sslmode=disable",
		"postgres://rollcall:guess@" + s.PostgresAddr + "/rollcall?sslmode=disable",
	} {
		if err := reach(t, url); err == nil {
			t.Errorf("%s: let in without the password", url)
		}
	}
	stranger := redis.NewClient(&redis.Options{Addr: s.RedisAddr})
	defer stranger.Close()
	if err := stranger.Ping(t.Context()).Err(); err == nil {
		t.Error("Redis let in without the password")
	}
}

// TestTemporary: nothing is left, and new servers start beside others.
func TestTemporary(t *testing.T) {
	t.Parallel()
	a, b := start(t, Options{Temporary: true}), start(t, Options{Temporary: true})
	if a.opts.Dir == b.opts.Dir || a.PostgresAddr == b.PostgresAddr || a.RedisAddr == b.RedisAddr {
		t.Errorf("two pairs share something: %s and %s", a.opts.Dir, b.opts.Dir)
	}
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(a.opts.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", a.opts.Dir, err)
	}
	if err := a.StartRedis(t.Context()); err == nil {
		t.Error("Redis started after Stop")
	}
}

// TestSweepTemporary: what a killed test process left goes, what is in use or
// just being made stays.
func TestSweepTemporary(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	abandoned, used, young := filepath.Join(root, "rollcall-test-1"), filepath.Join(root, "rollcall-test-2"),
		filepath.Join(root, "rollcall-test-3")
	for _, dir := range []string{abandoned, used, young} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		lock, err := acquire(dir)
		if err != nil {
			t.Fatal(err)
		}
		if dir == used {
			defer lock.Close()
		} else {
			lock.Close()
		}
	}
	hourAgo := time.Now().Add(-time.Hour)
	for _, dir := range []string{abandoned, used} {
		if err := os.Chtimes(filepath.Join(dir, "lock"), hourAgo, hourAgo); err != nil {
			t.Fatal(err)
		}
	}
	sweepTemporary(root)
	left, _ := filepath.Glob(filepath.Join(root, "*"))
	if fmt.Sprint(left) != fmt.Sprint([]string{used, young}) {
		t.Errorf("left: %v", left)
	}
}

// TestInUse: one folder, one pair of servers.
func TestInUse(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Temporary: true})
	_, err := Start(t.Context(), Options{Dir: s.opts.Dir})
	if !errors.Is(err, ErrInUse) {
		t.Fatalf("got %v, want ErrInUse", err)
	}
	for _, part := range []string{s.opts.Dir, strconv.Itoa(os.Getpid())} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not name %s", err, part)
		}
	}
	put(t, s, "unharmed")
}

// TestRunning: other commands find the servers while they run, and only then.
func TestRunning(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	if _, err := Running(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("before: %v", err)
	}
	s := start(t, Options{Dir: dir})
	for _, notes := range []map[string]string{{"http": "http://127.0.0.1:8080"}, {"admin": "x"}} {
		if err := s.Publish(notes); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Running(dir)
	if err != nil {
		t.Fatal(err)
	}
	if r.PID != os.Getpid() || r.DatabaseURL != s.DatabaseURL || r.RedisURL != s.RedisURL || len(r.Note) != 2 {
		t.Errorf("got %+v", r)
	}
	if info, _ := os.Stat(recordPath(dir)); info.Mode().Perm() != 0o600 {
		t.Errorf("the record's mode is %v", info.Mode())
	}
	s.Stop()
	if _, err := Running(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("after Stop: %v", err)
	}
	if err := s.Publish(nil); err == nil {
		t.Error("Publish after Stop")
	}
}

// TestKilledParent: a process killed with SIGKILL takes its servers with it, and
// the next one starts on what it left.
func TestKilledParent(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewReader(out)
	var pids [2]int
	if _, err := fmt.Fscanln(said, &pids[0], &pids[1]); err != nil {
		rest, _ := io.ReadAll(said)
		t.Fatalf("the child did not start servers (%v): %s", err, rest)
	}
	if _, err := Running(dir); err != nil {
		t.Errorf("while it lives: %v", err)
	}
	child.Process.Kill()
	child.Wait()
	if _, err := Running(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("after its death: %v", err)
	}
	// At once, while the servers may still be on their way out.
	s := start(t, Options{Dir: dir})
	for _, pid := range pids {
		if !gone(pid) {
			t.Errorf("server %d outlived its parent", pid)
		}
	}
	put(t, s, "started again")
}

// TestStopAndStart: what was written is there again, at the same addresses.
func TestStopAndStart(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Temporary: true})
	put(t, s, "before")
	for _, step := range []func() error{
		s.StopPostgres, s.StopPostgres, s.StopRedis, s.StopRedis,
		func() error { return s.StartPostgres(t.Context()) },
		func() error { return s.StartRedis(t.Context()) },
		func() error { return s.StartRedis(t.Context()) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	want(t, s, "before")
}

// TestKilled: Postgres keeps what was committed when it is killed with clients
// connected; Redis starts, empty as temporary ones do.
func TestKilled(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Temporary: true})
	put(t, s, "committed")
	client, err := pgx.Connect(t.Context(), s.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(t.Context())
	for _, step := range []func() error{
		s.KillPostgres, s.KillRedis,
		func() error { return s.StartPostgres(t.Context()) },
		func() error { return s.StartRedis(t.Context()) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	if got := postgresMark(t, s); got != "committed" {
		t.Errorf("Postgres has %q", got)
	}
	put(t, s, "works")
}

// TestStolenPort: a port taken while the server was away is an error that says
// so, with the server's own words.
func TestStolenPort(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Temporary: true})
	if err := s.StopRedis(); err != nil {
		t.Fatal(err)
	}
	thief, err := net.Listen("tcp", s.RedisAddr)
	if err != nil {
		t.Fatal(err)
	}
	err = s.StartRedis(t.Context())
	if err == nil || !strings.Contains(err.Error(), "redis.log") ||
		!strings.Contains(err.Error(), "Address already in use") {
		t.Errorf("got %v", err)
	}
	thief.Close()
	if err := s.StartRedis(t.Context()); err != nil {
		t.Errorf("with the port free again: %v", err)
	}
}

// TestMissing: the error names the package to install.
func TestMissing(t *testing.T) {
	t.Parallel()
	found, err := usualPlaces().findPostgres(0)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		search search
		parts  []string
	}{
		"all": {search{}, []string{"make setup"}},
		"redis": {search{postgres: []string{found.bin}},
			[]string{"redis-server", "make setup", "apt-get install redis-server", "brew install redis"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Start(t.Context(), Options{Temporary: true, search: &c.search})
			if !errors.Is(err, ErrMissing) {
				t.Fatalf("got %v, want ErrMissing", err)
			}
			for _, part := range c.parts {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q lacks %q", err, part)
				}
			}
		})
	}
	if _, err := usualPlaces().findPostgres(9); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "--data") {
		t.Errorf("data of a version not installed: %v", err)
	}
}

// TestAwkwardFolders: closed to the account Postgres runs as (if we are root),
// too long for a socket's name, with characters that are special in URLs, left
// by a start that was killed before it gave the folder away.
func TestAwkwardFolders(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{
		"closed": "closed", "long": strings.Repeat("long/", 20), "special": "a b,'%?#é", "begun": "begun",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := dataDir(t)
			if name == "closed" {
				if err := os.Chmod(base, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			o := Options{Dir: filepath.Join(base, path)}
			if name == "begun" {
				if err := errors.Join(os.Mkdir(o.Dir, 0o711), os.Mkdir(filepath.Join(o.Dir, "postgres"), 0o700)); err != nil {
					t.Fatal(err)
				}
			}
			s := start(t, o)
			put(t, s, "kept")
			s.Stop()
			s = start(t, o)
			want(t, s, "kept")
			s.Stop()
			// Data placed elsewhere does not go with the test's folder.
			if target, err := os.Readlink(filepath.Join(s.opts.Dir, "postgres")); err == nil {
				os.RemoveAll(target)
			}
		})
	}
}

// crash kills a server from outside, and returns when it is gone.
func crash(t *testing.T, d *Daemon) {
	t.Helper()
	p := d.proc
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.exited
}

// eventually waits until a server answers.
func eventually(t *testing.T, ask func() error) {
	t.Helper()
	tick, end := time.NewTicker(10*time.Millisecond), time.After(startTimeout)
	defer tick.Stop()
	for ask() != nil {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal(ask())
		}
	}
}

// TestRestart: a server that ended by itself is started again, at the same address
// and on the same data; if it cannot be, Lost tells.
func TestRestart(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Dir: dataDir(t), Restart: true})
	put(t, s, "kept")
	crash(t, s.postgres.(*Daemon))
	eventually(t, func() error { return reach(t, s.DatabaseURL) })
	want(t, s, "kept")
	client := redisClient(t, s)
	defer client.Close()
	crash(t, s.redis.(*disposable).Daemon)
	eventually(t, func() error { return client.Ping(t.Context()).Err() })
	if got := postgresMark(t, s); got != "kept" {
		t.Errorf("Postgres has %q", got)
	}
	if err := os.Remove(filepath.Join(s.cluster.data(), "PG_VERSION")); err != nil {
		t.Fatal(err)
	}
	crash(t, s.postgres.(*Daemon))
	select {
	case err := <-s.Lost():
		if !strings.HasPrefix(err.Error(), "postgres ended and could not be started again: ") {
			t.Error(err)
		}
	case <-time.After(startTimeout):
		t.Error("nobody is told that Postgres is lost")
	}
}

// TestDamagedRedis: what Redis does not start with is put aside, whole, and nothing
// else is touched.
func TestDamagedRedis(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	s := start(t, Options{Dir: dir})
	put(t, s, "kept")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(dir, "redis", "appendonlydir", "*.aof"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("no append-only file: %v", err)
	}
	for _, log := range logs {
		if err := os.WriteFile(log, []byte("*1\r\n$damaged\r\n*1\r\n$4\r\nPING\r\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var said strings.Builder
	again := start(t, Options{Dir: dir, Log: slog.New(slog.NewTextHandler(&said, nil))})
	aside, _ := filepath.Glob(filepath.Join(dir, "redis.damaged-????-??-??T??-??-??Z", "appendonlydir",
		filepath.Base(logs[0])))
	if len(aside) != 1 {
		t.Errorf("put aside: %q", aside)
	}
	if !strings.Contains(said.String(), "aside="+again.opts.Dir) {
		t.Errorf("it says %s", said.String())
	}
	if got := postgresMark(t, again); got != "kept" {
		t.Errorf("Postgres has %q", got)
	}
	put(t, again, "works")
}
