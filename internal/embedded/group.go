package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

// group is several Redis servers, for tests, that begin and end together in a
// temporary folder of their own.
type group struct {
	dir      string
	lock     *os.File
	password string // of all of them
	nodes    []*node
}

// node is a Redis of a group, or a sentinel.
type node struct {
	*daemon
	client *redis.Client // for looking; it tries once
}

func newGroup() (*group, error) {
	o := Options{Temporary: true}
	if err := o.makeDir(); err != nil {
		return nil, err
	}
	lock, err := acquire(o.Dir)
	if err != nil {
		return nil, err
	}
	return &group{dir: o.Dir, lock: lock, password: rand.Text()}, nil
}

// start starts a server with further lines of configuration.
func (g *group) start(ctx context.Context, name string, arguments []string, lines ...string) (*node, error) {
	program, err := usualPlaces().redisServer()
	if err != nil {
		return nil, err
	}
	c := &redisConfig{program: program, dir: filepath.Join(g.dir, name), password: g.password, temporary: true, more: lines, arguments: arguments}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, err
	}
	d := &daemon{name: name, signal: syscall.SIGTERM, path: c.dir, log: slog.New(slog.DiscardHandler), command: c.command, ping: c.ping}
	n := &node{daemon: d}
	g.nodes = append(g.nodes, n)
	if err := d.start(ctx); err != nil {
		return nil, err
	}
	n.client = redis.NewClient(&redis.Options{Addr: n.addr(), Password: g.password, MaxRetries: -1, DialerRetries: 1})
	return n, nil
}

func (n *node) addr() string { return loopback(n.port) }

// Stop ends all servers and removes their data.
func (g *group) Stop() error {
	var ends errgroup.Group
	for _, n := range g.nodes {
		ends.Go(n.kill) // nothing is to be kept
		if n.client != nil {
			n.client.Close()
		}
	}
	return errors.Join(ends.Wait(), os.RemoveAll(g.dir), g.lock.Close())
}

// addrs are the addresses of some of the servers, separated by commas.
func addrs(nodes []*node) string {
	all := make([]string, len(nodes))
	for i, n := range nodes {
		all[i] = n.addr()
	}
	return strings.Join(all, ",")
}

// await polls until a group is as it should be.
func await(ctx context.Context, what string, done func(context.Context) bool) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done(ctx) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, context.Cause(ctx))
		case <-tick.C:
		}
	}
	return nil
}

// replicates tells whether a replica has all that its primary had.
func replicates(ctx context.Context, n *node) bool {
	info := n.client.Info(ctx, "replication").Val()
	return strings.Contains(info, "master_link_status:up")
}
