package embedded

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// cluster is what a Postgres server is started from.
type cluster struct {
	home      string // Postgres' own folder: data, socket
	socket    string // folder of the unix socket
	bin       string // folder of the programs
	account   *account
	temporary bool
	more      []string // settings beside ours
	primary   *Servers // whom it follows, or nil
}

func (c *cluster) data() string { return filepath.Join(c.home, "data") }

// openPostgres starts Postgres, on new data if there is none, and makes sure of
// the database "rollcall".
func (s *Servers) openPostgres(ctx context.Context) error {
	c, err := s.newCluster()
	if err != nil {
		return err
	}
	if err := c.init(ctx); err != nil {
		return err
	}
	d := &Daemon{
		Name: "postgres", Signal: syscall.SIGINT, Path: filepath.Join(s.opts.Dir, "postgres"),
		Log: s.opts.Log, Command: c.command, Ping: c.ping,
	}
	d.Ended = func() { s.revive("postgres", d) }
	s.postgres = d
	if err := d.Start(ctx); err != nil {
		return err
	}
	s.cluster, s.password = c, rand.Text()
	if c.primary != nil {
		s.password = c.primary.password
	} else if err := c.prepare(ctx, d.Port, s.password); err != nil {
		return err
	}
	s.PostgresAddr = loopback(d.Port)
	s.DatabaseURL = c.url("rollcall", d.Port)
	s.DatabaseTCPURL = tcpURL(s.password, s.PostgresAddr)
	return nil
}

func tcpURL(password, addr string) string {
	return fmt.Sprintf("postgres://rollcall:%s@%s/rollcall?sslmode=disable", password, addr)
}

// newCluster finds or makes the folders and finds the programs.
func (s *Servers) newCluster() (*cluster, error) {
	home, acct, err := postgresHome(s.opts.Dir)
	if err != nil {
		return nil, err
	}
	if s.opts.Temporary {
		s.remove = append(s.remove, home) // it may be elsewhere, behind a link
	}
	c := &cluster{home: home, account: acct, temporary: s.opts.Temporary, more: s.opts.Settings, primary: s.opts.StandbyOf}
	if c.primary != nil {
		c.more = append(slices.Clone(c.primary.opts.Settings), c.more...) // it must not have less of anything
	}
	major, err := dataVersion(c.data())
	if err != nil {
		return nil, err
	}
	found, err := s.opts.search.findPostgres(major)
	if err != nil {
		return nil, err
	}
	c.bin, s.PostgresMajor = found.bin, found.major
	socket, extra, err := socketFolder(home, acct)
	if err != nil {
		return nil, err
	}
	if extra {
		s.remove = append(s.remove, socket)
	}
	c.socket = socket
	return c, nil
}

// dataVersion returns the major version that made the data; 0: there is none.
func dataVersion(data string) (int, error) {
	file := filepath.Join(data, "PG_VERSION")
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	major, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil {
		return 0, fmt.Errorf("%s holds %q, no version of postgres: the data is damaged; choose another data folder (--data)",
			file, text)
	}
	return major, nil
}

// init makes the data folder unless there is one. It is made under another name
// and renamed when complete: an initdb killed halfway leaves nothing to trip over.
func (c *cluster) init(ctx context.Context) error {
	if _, err := os.Stat(c.data()); err == nil {
		return nil
	}
	fresh := c.data() + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	program, args := "initdb", append(locale(), "--username=rollcall", "--encoding=UTF8",
		"--auth-local=trust", "--auth-host=scram-sha-256")
	if c.primary != nil {
		program, args = "pg_basebackup", c.primary.copyArgs()
	}
	args = append(args, "--pgdata="+fresh)
	if c.temporary {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, c.program(program), args...)
	cmd.Dir, cmd.Env, cmd.SysProcAttr = c.home, environment(), c.account.attributes()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s of %s: %w:\n%s", program, c.data(), err, bytes.TrimSpace(out))
	}
	return os.Rename(fresh, c.data())
}

// copyArgs are what pg_basebackup is told to make a standby of the server. The
// account may enter the socket's folder, as both run under the same.
func (s *Servers) copyArgs() []string {
	return []string{
		"--host=" + s.cluster.socket, "--port=" + strconv.Itoa(s.postgres.(*Daemon).Port), "--username=rollcall",
		"--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf",
	}
}

// program returns the path of a program of Postgres'. Where postgres is a link,
// not all of them need be beside it.
func (c *cluster) program(name string) string {
	path := filepath.Join(c.bin, name)
	if target, err := filepath.EvalSymlinks(filepath.Join(c.bin, "postgres")); err == nil && !executable(path) {
		return filepath.Join(filepath.Dir(target), name)
	}
	return path
}

// locale sorts by bytes, the same on every machine, but knows the letters of all
// languages: lower() and ILIKE are asked for names.
func locale() []string {
	if runtime.GOOS == "darwin" { // has no C.UTF-8 before macOS 15
		return []string{"--locale=C", "--lc-ctype=UTF-8"}
	}
	return []string{"--locale=C.UTF-8"}
}

// environment is ours without what would steer Postgres' programs. On macOS the
// server does not start without LC_ALL.
func environment() []string {
	env := []string{"LC_ALL=C"}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PG") && !strings.HasPrefix(v, "LC_") {
			env = append(env, v)
		}
	}
	return env
}

// command runs the server in the foreground, its settings on the command line so
// that they are those of this program, not of the one that made the data.
func (c *cluster) command(port int) (Command, error) {
	args := []string{filepath.Join(c.bin, "postgres"), "-D", c.data()}
	settings := append([]string{
		"listen_addresses=127.0.0.1",
		"port=" + strconv.Itoa(port),
		"unix_socket_directories=" + c.socket,
		"unix_socket_permissions=0700",
	}, c.settings()...)
	for _, s := range append(settings, c.more...) {
		args = append(args, "-c", s)
	}
	return Command{Args: args, Dir: c.home, Env: environment(), Signal: "INT", account: c.account}, nil
}

// settings are modest: the machine has other things to do. Without fsync,
// temporary data survives the end of the server, a crash of it included, but
// not one of the machine: what a test was told is committed is.
func (c *cluster) settings() []string {
	all := []string{
		"max_connections=200",
		"max_locks_per_transaction=256",
		"jit=off", // its compilation takes longer than our queries
		"random_page_cost=1.1",
		"timezone=UTC",
		"log_timezone=UTC",
		"log_min_messages=warning",
		"log_checkpoints=off",
	}
	if c.temporary {
		return append(all, "shared_buffers=128MB", "fsync=off", "full_page_writes=off",
			"wal_level=minimal", "max_wal_senders=0", "checkpoint_timeout=1h")
	}
	return append(all, "shared_buffers=256MB", "fsync=on", "wal_compression=on", "log_lock_waits=on")
}

// url is without a password: whoever may enter the socket's folder is trusted.
func (c *cluster) url(database string, port int) string {
	return fmt.Sprintf("postgres://rollcall@/%s?host=%s&port=%d", database, c.socket, port)
}

func (c *cluster) ping(ctx context.Context, port int) error {
	conn, err := pgx.Connect(ctx, c.url("postgres", port))
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// prepare sets this run's password and makes the database if it is not there.
func (c *cluster) prepare(ctx context.Context, port int, password string) (err error) {
	conn, err := pgx.Connect(ctx, c.url("postgres", port))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	// The password is of our own making, letters and digits.
	if _, err := conn.Exec(ctx, "ALTER ROLE rollcall PASSWORD '"+password+"'"); err != nil {
		return err
	}
	var exists bool
	row := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = 'rollcall')")
	if err := row.Scan(&exists); err != nil || exists {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE rollcall")
	return err
}
