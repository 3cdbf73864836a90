// Package ha starts, for tests, what Rollcall runs on beyond one machine: a Redis
// with sentinels, a Redis cluster, a PgBouncer.
package ha

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"rollcall/internal/embedded"
)

// startTimeout limits the start of a group.
const startTimeout = time.Minute

// group is several Redis servers that begin and end together in a temporary folder
// of their own.
type group struct {
	dir      string
	lock     io.Closer
	password string // of all of them
	nodes    []*node
}

// node is a Redis of a group, or a sentinel.
type node struct {
	*embedded.Daemon
	client *redis.Client // for looking; it tries once
}

func newGroup() (*group, error) {
	dir, lock, err := embedded.TemporaryDir()
	return &group{dir: dir, lock: lock, password: rand.Text()}, err
}

// start starts a server with further lines of configuration.
func (g *group) start(ctx context.Context, name string, arguments []string, lines ...string) (*node, error) {
	d, err := embedded.NewRedis(filepath.Join(g.dir, name), g.password, arguments, lines...)
	if err != nil {
		return nil, err
	}
	n := &node{Daemon: d}
	g.nodes = append(g.nodes, n)
	if err := d.Start(ctx); err != nil {
		return nil, err
	}
	n.client = redis.NewClient(&redis.Options{Addr: n.Addr(), Password: g.password, MaxRetries: -1, DialerRetries: 1})
	return n, nil
}

// Stop ends all servers and removes their data.
func (g *group) Stop() error {
	var ends errgroup.Group
	for _, n := range g.nodes {
		ends.Go(n.Kill) // nothing is to be kept
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
		all[i] = n.Addr()
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
