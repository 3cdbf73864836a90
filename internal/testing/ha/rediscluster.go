package ha

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"rollcall/internal/embedded"
)

// RedisCluster is a cluster of three Redis primaries with a replica each.
type RedisCluster struct {
	URL string // for REDIS_URL
	*group
}

const (
	clusterPrimaries = 3
	clusterSlots     = 16384
)

// StartRedisCluster returns when the cluster takes requests, and would survive
// the loss of a primary.
func StartRedisCluster(ctx context.Context) (_ *RedisCluster, err error) {
	g, err := newGroup()
	if err != nil {
		return nil, fmt.Errorf("ha.StartRedisCluster: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("ha.StartRedisCluster: %w", errors.Join(err, g.Stop()))
		}
	}()
	c := &RedisCluster{group: g}
	for i := range 2 * clusterPrimaries {
		_, err := g.start(ctx, fmt.Sprintf("redis-%d", i), nil, "databases 1", "masterauth "+g.password,
			"repl-diskless-sync-delay 0",
			"cluster-enabled yes", "cluster-node-timeout 1000", fmt.Sprintf("cluster-port %d", embedded.FreePort()))
		if err != nil {
			return nil, err
		}
	}
	var urls []string
	for _, n := range g.nodes {
		urls = append(urls, fmt.Sprintf("redis://:%s@%s", g.password, n.Addr()))
	}
	c.URL = strings.Join(urls, ",")
	return c, c.join(ctx)
}

// join makes a cluster of the nodes: the first three share the slots, and each
// of the others follows one of them.
func (c *RedisCluster) join(ctx context.Context) error {
	first := c.nodes[0]
	for i, n := range c.nodes {
		if i < clusterPrimaries {
			if err := n.client.ClusterAddSlotsRange(ctx, i*clusterSlots/clusterPrimaries,
				(i+1)*clusterSlots/clusterPrimaries-1).Err(); err != nil {
				return err
			}
		}
		bus, err := n.client.ConfigGet(ctx, "cluster-port").Result()
		if err != nil {
			return err
		}
		if err := first.client.Do(ctx, "CLUSTER", "MEET", "127.0.0.1", n.Port, bus["cluster-port"]).Err(); err != nil {
			return err
		}
	}
	if err := await(ctx, "nodes that know of each other",
		func(ctx context.Context) bool { return c.all(ctx, "cluster_known_nodes:6") }); err != nil {
		return err
	}
	for i, n := range c.nodes[clusterPrimaries:] {
		if err := n.client.ClusterReplicate(ctx, c.nodes[i].client.ClusterMyID(ctx).Val()).Err(); err != nil {
			return err
		}
	}
	return await(ctx, "a cluster with replicas", func(ctx context.Context) bool {
		for _, n := range c.nodes[clusterPrimaries:] {
			if !replicates(ctx, n) {
				return false
			}
		}
		return c.all(ctx, "cluster_state:ok")
	})
}

// all tells whether all nodes say a thing of the cluster.
func (c *RedisCluster) all(ctx context.Context, what string) bool {
	for _, n := range c.nodes {
		if !strings.Contains(n.client.ClusterInfo(ctx).Val(), what) {
			return false
		}
	}
	return true
}

// KillPrimaryOf ends the Redis that has a key, as a crash would.
func (c *RedisCluster) KillPrimaryOf(ctx context.Context, key string) error {
	slot, err := c.nodes[0].client.ClusterKeySlot(ctx, key).Result()
	if err != nil {
		return err
	}
	return c.nodes[int(slot)*clusterPrimaries/clusterSlots].Kill()
}
