package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisConfig is what a Redis server is started from.
type redisConfig struct {
	program   string
	dir       string
	password  string
	temporary bool
	more      []string // lines beside ours, which they override
	arguments []string // behind the file's name
}

// configName is the file that a Redis server is started from, in its folder.
const configName = "redis.conf"

// openRedis starts Redis.
func (s *Servers) openRedis(ctx context.Context) error {
	program, err := s.opts.search.redisServer()
	if err != nil {
		return err
	}
	c := &redisConfig{program: program, dir: filepath.Join(s.opts.Dir, "redis"),
		password: rand.Text(), temporary: s.opts.Temporary}
	d, err := c.daemon(s.opts.Log)
	if err != nil {
		return err
	}
	r := &disposable{d, c.dir}
	d.Ended = func() { s.revive("redis", r) }
	s.redis = r
	if err := r.Start(ctx); err != nil {
		return err
	}
	s.RedisAddr, s.RedisURL = d.Addr(), redisURL(c.password, d.Addr())
	return nil
}

// NewRedis returns a Redis to be started in a folder of its own, with temporary
// data, further lines of configuration and arguments behind its file's name.
func NewRedis(dir, password string, arguments []string, lines ...string) (*Daemon, error) {
	program, err := usualPlaces().redisServer()
	if err != nil {
		return nil, err
	}
	c := &redisConfig{program: program, dir: dir, password: password, temporary: true, more: lines, arguments: arguments}
	return c.daemon(slog.New(slog.DiscardHandler))
}

// daemon makes the server's folder.
func (c *redisConfig) daemon(log *slog.Logger) (*Daemon, error) {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, err
	}
	return &Daemon{
		Name: filepath.Base(c.dir), Signal: syscall.SIGTERM, Path: c.dir, Log: log, Command: c.command, Ping: c.ping,
	}, nil
}

// disposable is a Redis without whose data all goes on: what it does not start with
// is put aside.
type disposable struct {
	*Daemon
	dir string
}

func (d *disposable) Start(ctx context.Context) error {
	err := d.Daemon.Start(ctx)
	if !errors.Is(err, errEnded) {
		return err
	}
	aside, asideErr := putAside(d.dir, time.Now())
	if aside == "" || asideErr != nil {
		return errors.Join(err, asideErr)
	}
	d.Log.Error("Redis does not start with its data: the data is put aside, and Redis starts empty. Nothing is lost: "+
		"workers ask for the work again",
		"aside", aside, "log", d.Path+".log")
	return d.Daemon.Start(ctx)
}

// putAside renames a folder of Redis, makes it anew, and returns the name of the
// old one; empty if there is no data in it.
func putAside(dir string, now time.Time) (aside string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil || !slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() != configName }) {
		return "", err
	}
	aside = dir + ".damaged-" + now.UTC().Format("2006-01-02T15-04-05Z")
	if err := os.Rename(dir, aside); err != nil {
		return "", err
	}
	return aside, os.Mkdir(dir, 0o700)
}

func redisURL(password, addr string) string { return fmt.Sprintf("redis://:%s@%s/0", password, addr) }

// command writes the configuration to a file: the command line, with a password
// on it, could be read by every user of the machine.
func (c *redisConfig) command(port int) (Command, error) {
	path := filepath.Join(c.dir, configName)
	if err := os.WriteFile(path, []byte(c.text(port)), 0o600); err != nil {
		return Command{}, err
	}
	args := append([]string{c.program, configName}, c.arguments...)
	return Command{Args: args, Dir: c.dir, Signal: "TERM"}, nil
}

// text is the configuration. Work must be refused rather than evicted
// (noeviction). Tests take one of many logical databases each; their data is
// saved by an orderly end only.
func (c *redisConfig) text(port int) string {
	lines := []string{
		fmt.Sprintf("port %d", port),
		"bind 127.0.0.1",
		"requirepass " + c.password,
		"daemonize no",
		"dir .", // the working folder, whose name may need quoting
		"loglevel warning",
		"maxmemory-policy noeviction",
		"databases 512",
	}
	if c.temporary {
		lines = append(lines, "appendonly no", "save 86400 1")
	} else {
		lines = append(lines, "appendonly yes", "appendfsync everysec")
	}
	return strings.Join(append(lines, c.more...), "\n") + "\n"
}

// ping also tells our server from a stranger on the same port, who does not know
// the password.
func (c *redisConfig) ping(ctx context.Context, port int) error {
	conn, err := net.Dial("tcp", loopback(port))
	if err != nil {
		return err // asked first because the client logs every refusal
	}
	conn.Close()
	client := redis.NewClient(&redis.Options{
		Addr: loopback(port), Password: c.password,
		// a stranger may be silent
		Protocol: 2, DisableIdentity: true, MaxRetries: -1, DialerRetries: 1, ReadTimeout: 200 * time.Millisecond,
	})
	defer client.Close()
	return client.Ping(ctx).Err()
}
