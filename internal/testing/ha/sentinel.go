package ha

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Sentinels is a Redis with two replicas, and three sentinels that make one of
// those the primary when it fails.
type Sentinels struct {
	URL string // for REDIS_URL
	*group
	sentinels []*node
}

// sentinelMaster is what the sentinels call the primary.
const sentinelMaster = "rollcall"

// StartSentinels returns when a failover would succeed.
func StartSentinels(ctx context.Context) (_ *Sentinels, err error) {
	g, err := newGroup()
	if err != nil {
		return nil, fmt.Errorf("ha.StartSentinels: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("ha.StartSentinels: %w", errors.Join(err, g.Stop()))
		}
	}()
	data, err := g.replicated(ctx)
	if err != nil {
		return nil, err
	}
	s := &Sentinels{group: g}
	for i := range 3 {
		n, err := g.start(ctx, fmt.Sprintf("sentinel-%d", i), []string{"--sentinel"}, s.watch(data[0])...)
		if err != nil {
			return nil, err
		}
		s.sentinels = append(s.sentinels, n)
	}
	s.URL = fmt.Sprintf("redis-sentinel://:%s@%s/%s/0?sentinel_password=%[1]s", g.password, addrs(s.sentinels),
		sentinelMaster)
	return s, await(ctx, "sentinels that know of each other", s.ready)
}

// replicated starts a Redis and two replicas of it.
func (g *group) replicated(ctx context.Context) (data []*node, err error) {
	lines := []string{"masterauth " + g.password, "repl-diskless-sync-delay 0"}
	for i := range 3 {
		n, err := g.start(ctx, fmt.Sprintf("redis-%d", i), nil, lines...)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			lines = append(lines, fmt.Sprintf("replicaof 127.0.0.1 %d", n.Port))
		}
		data = append(data, n)
	}
	return data, await(ctx, "replicas", func(ctx context.Context) bool {
		return replicates(ctx, data[1]) && replicates(ctx, data[2])
	})
}

// watch is what a sentinel is told of the primary.
func (s *Sentinels) watch(primary *node) []string {
	return []string{
		fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d 2", sentinelMaster, primary.Port),
		fmt.Sprintf("sentinel auth-pass %s %s", sentinelMaster, s.password),
		fmt.Sprintf("sentinel down-after-milliseconds %s 500", sentinelMaster),
		fmt.Sprintf("sentinel failover-timeout %s 5000", sentinelMaster),
		"sentinel sentinel-pass " + s.password,
	}
}

// ready tells whether all sentinels know of each other and of the replicas.
func (s *Sentinels) ready(ctx context.Context) bool {
	for _, n := range s.sentinels {
		// Rumours spread every two seconds, news of replicas every ten, unless told otherwise.
		n.client.Do(ctx, "SENTINEL", "DEBUG", "PUBLISH-PERIOD", "100", "INFO-PERIOD", "200")
		state := redis.NewMapStringStringCmd(ctx, "SENTINEL", "MASTER", sentinelMaster)
		_ = n.client.Process(ctx, state)
		if state.Val()["num-other-sentinels"] != "2" || state.Val()["num-slaves"] != "2" {
			return false
		}
	}
	return true
}

// KillPrimary ends the Redis that is the primary now as a crash would.
func (s *Sentinels) KillPrimary(ctx context.Context) error {
	addr, err := s.sentinels[0].client.Do(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", sentinelMaster).StringSlice()
	if err != nil {
		return err
	}
	for _, n := range s.nodes {
		if addr[1] == fmt.Sprint(n.Port) {
			return n.Kill()
		}
	}
	return fmt.Errorf("ha: no Redis of ours at %v", addr)
}
