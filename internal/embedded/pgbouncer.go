package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// PgBouncer pools connections to the Postgres of a Servers, in transaction mode.
// It ends with them.
type PgBouncer struct {
	URL string // of the database "rollcall" through it

	servers *Servers
	daemon  *daemon
}

// bouncer is what a PgBouncer is started from.
type bouncer struct {
	program  string
	home     string
	servers  *Servers
	settings []string
}

// StartPgBouncer starts a pooler in front of Postgres. Settings are lines of its
// configuration, "name = value", and override ours.
func (s *Servers) StartPgBouncer(ctx context.Context, settings ...string) (*PgBouncer, error) {
	program, err := s.opts.search.pgbouncer()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	home := filepath.Join(s.cluster.home, fmt.Sprintf("pgbouncer-%d", len(s.poolers)))
	if err := makeOwned(home, s.cluster.account); err != nil {
		return nil, err
	}
	b := &bouncer{program, home, s, settings}
	d := &daemon{
		name: "pgbouncer", signal: syscall.SIGINT, path: filepath.Join(s.opts.Dir, filepath.Base(home)),
		log: s.opts.Log, command: b.command, ping: b.ping,
	}
	s.poolers = append(s.poolers, d)
	if err := d.start(ctx); err != nil {
		return nil, err
	}
	return &PgBouncer{tcpURL(s.password, loopback(d.port)), s, d}, nil
}

// Kill ends the pooler as a crash would.
func (p *PgBouncer) Kill() error { return p.servers.do(p.daemon.kill) }

// Start starts it again at the same address.
func (p *PgBouncer) Start(ctx context.Context) error { return p.servers.restart(ctx, p.daemon) }

// command writes the configuration where the account reads it: PgBouncer, too,
// refuses to run as root.
func (b *bouncer) command(port int) (command, error) {
	users := filepath.Join(b.home, "users.txt")
	file := filepath.Join(b.home, "pgbouncer.ini")
	lines := append([]string{
		"[databases]",
		fmt.Sprintf("* = host=%s port=%d", b.servers.cluster.socket, b.servers.postgres.(*daemon).port),
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
	}, b.settings...)
	for path, text := range map[string]string{
		users: fmt.Sprintf("%q %q\n", "rollcall", b.servers.password),
		file:  strings.Join(lines, "\n") + "\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return command{}, err
		}
		if err := b.servers.cluster.account.own(path); err != nil {
			return command{}, err
		}
	}
	return command{args: []string{b.program, file}, dir: b.home, env: environment(), signal: "INT", account: b.servers.cluster.account}, nil
}

func (b *bouncer) ping(ctx context.Context, port int) error {
	conn, err := pgx.Connect(ctx, tcpURL(b.servers.password, loopback(port)))
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// pgbouncer returns the program's path.
func (s *search) pgbouncer() (string, error) {
	for _, dir := range append(filepath.SplitList(s.path), s.glob(s.redis)...) {
		if program := filepath.Join(dir, "pgbouncer"); executable(program) {
			return program, nil
		}
	}
	return "", fmt.Errorf("%w: pgbouncer, neither on PATH nor in the usual folders; run `make setup-test`, "+
		"or install it (Debian, Ubuntu: apt-get install pgbouncer; Homebrew: brew install pgbouncer)", ErrMissing)
}

var bouncerVersion = regexp.MustCompile(`PgBouncer (\d+)\.(\d+)`)

// PgBouncerVersion returns the version that is installed.
func PgBouncerVersion() (major, minor int, err error) {
	program, err := usualPlaces().pgbouncer()
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
