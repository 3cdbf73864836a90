package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
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
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	d := &daemon{
		name: "redis", signal: syscall.SIGTERM, path: filepath.Join(s.opts.Dir, "redis"),
		log: s.opts.Log, command: c.command, ping: c.ping,
	}
	r := &disposable{d, c.dir}
	d.ended = func() { s.revive("redis", r) }
	s.redis = r
	if err := r.start(ctx); err != nil {
		return err
	}
	s.RedisAddr, s.RedisURL = loopback(d.port), redisURL(c.password, loopback(d.port))
	return nil
}

// disposable is a Redis without whose data all goes on: what it does not start with
// is put aside.
type disposable struct {
	*daemon
	dir string
}

func (d *disposable) start(ctx context.Context) error {
	err := d.daemon.start(ctx)
	if !errors.Is(err, errEnded) {
		return err
	}
	aside, asideErr := putAside(d.dir, time.Now())
	if aside == "" || asideErr != nil {
		return errors.Join(err, asideErr)
	}
	d.log.Error("Redis does not start with its data: the data is put aside, and Redis starts empty. Nothing is lost: workers ask for the work again",
		"aside", aside, "log", d.path+".log")
	return d.daemon.start(ctx)
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
func (c *redisConfig) command(port int) (command, error) {
	path := filepath.Join(c.dir, configName)
	if err := os.WriteFile(path, []byte(c.text(port)), 0o600); err != nil {
		return command{}, err
	}
	args := append([]string{c.program, configName}, c.arguments...)
	return command{args: args, dir: c.dir, env: os.Environ(), signal: "TERM"}, nil
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
		Protocol: 2, DisableIdentity: true, MaxRetries: -1, DialerRetries: 1, ReadTimeout: 200 * time.Millisecond, // a stranger may be silent
	})
	defer client.Close()
	return client.Ping(ctx).Err()
}
