package ha

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/embedded"
)

// PgBouncer pools connections to a Postgres, in transaction mode.
type PgBouncer struct {
	URL string // of the database "rollcall" through it
	*embedded.Daemon
	program  string
	dir      string
	lock     io.Closer
	postgres *url.URL
	settings []string
}

// StartPgBouncer starts a pooler in front of Postgres. Settings are lines of its
// configuration, "name = value", and override ours.
func StartPgBouncer(ctx context.Context, servers *embedded.Servers, settings ...string) (*PgBouncer, error) {
	program, err := embedded.Find("pgbouncer")
	if err != nil {
		return nil, err
	}
	postgres, err := url.Parse(servers.DatabaseTCPURL)
	if err != nil {
		return nil, err
	}
	dir, lock, err := embedded.TemporaryDir()
	if err != nil {
		return nil, err
	}
	b := &PgBouncer{program: program, dir: dir, lock: lock, postgres: postgres, settings: settings}
	b.Daemon = &embedded.Daemon{
		Name: "pgbouncer", Signal: syscall.SIGINT, Path: filepath.Join(dir, "pgbouncer"),
		Log: slog.New(slog.DiscardHandler), Command: b.command, Ping: b.ping,
	}
	if err := b.Start(ctx); err != nil {
		return nil, errors.Join(err, b.Stop())
	}
	b.URL = b.through(b.Port)
	return b, nil
}

// Stop ends the pooler for good.
func (b *PgBouncer) Stop() error {
	return errors.Join(b.Daemon.Stop(), os.RemoveAll(b.dir), b.lock.Close())
}

// through is Postgres' URL with the pooler's port.
func (b *PgBouncer) through(port int) string {
	u := *b.postgres
	u.Host = "127.0.0.1:" + strconv.Itoa(port)
	return u.String()
}

// command writes the configuration. PgBouncer refuses to run as root and becomes
// somebody else, who must be able to read who its users are.
func (b *PgBouncer) command(port int) (embedded.Command, error) {
	users, file := filepath.Join(b.dir, "users.txt"), filepath.Join(b.dir, "pgbouncer.ini")
	lines := []string{
		"[databases]",
		fmt.Sprintf("* = host=%s port=%s", b.postgres.Hostname(), b.postgres.Port()),
		"[pgbouncer]",
		"listen_addr = 127.0.0.1",
		"listen_port = " + strconv.Itoa(port),
		"unix_socket_dir =",
		"auth_type = scram-sha-256",
		"auth_file = " + users,
		"pool_mode = transaction",
		"max_client_conn = 500",
		"log_connections = 0",
		"log_disconnections = 0",
	}
	if os.Geteuid() == 0 {
		lines = append(lines, "user = nobody")
	}
	password, _ := b.postgres.User.Password()
	err := errors.Join(
		os.WriteFile(users, fmt.Appendf(nil, "%q %q\n", b.postgres.User.Username(), password), 0o644),
		os.WriteFile(file, []byte(strings.Join(append(lines, b.settings...), "\n")+"\n"), 0o644))
	return embedded.Command{Args: []string{b.program, file}, Dir: b.dir, Signal: "INT"}, err
}

func (b *PgBouncer) ping(ctx context.Context, port int) error {
	conn, err := pgx.Connect(ctx, b.through(port))
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

var bouncerVersion = regexp.MustCompile(`PgBouncer (\d+)\.(\d+)`)

// PgBouncerVersion returns the version that is installed.
func PgBouncerVersion() (major, minor int, err error) {
	program, err := embedded.Find("pgbouncer")
	if err != nil {
		return 0, 0, err
	}
	out, err := exec.Command(program, "--version").Output()
	if err != nil {
		return 0, 0, fmt.Errorf("%s --version: %w", program, err)
	}
	m := bouncerVersion.FindSubmatch(out)
	if m == nil {
		return 0, 0, errors.New("pgbouncer --version names no version")
	}
	major, _ = strconv.Atoi(string(m[1]))
	minor, _ = strconv.Atoi(string(m[2]))
	return major, minor, nil
}
