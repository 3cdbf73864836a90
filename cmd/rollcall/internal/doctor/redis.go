package doctor

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"rollcall/internal/show"
	"rollcall/jobs"
	"rollcall/store/finding"
)

// node is a Redis that answers, and how to reach it by redis-cli.
type node struct {
	redis.Cmdable
	cli string
}

// command is a Redis command that can be pasted.
func (n node) command(words string) string { return n.cli + " " + words }

// checkRedis checks that Redis answers, and the setup of each master.
func (d *doctor) checkRedis(ctx context.Context) error {
	opt, err := d.Redis()
	if err != nil {
		d.find(finding.Finding{Kind: "redis_away", Severity: finding.Problem, What: err.Error(),
			Fix: []string{"export REDIS_URL=redis://<HOST>"}})
		return nil
	}
	client, _ := opt.MakeRedisClient().(redis.UniversalClient)
	defer client.Close()
	before := d.now()
	if err := soon(ctx, func(ctx context.Context) error { return client.Ping(ctx).Err() }); err != nil {
		d.find(finding.Finding{Kind: "redis_away", Severity: finding.Problem,
			What: show.Visible(d.RedisTrouble(opt, err)), Fix: []string{show.RedisCLI + " PING"}})
		return nil
	}
	d.queue = opt
	d.fine("Redis answers in %s", d.now().Sub(before).Round(time.Millisecond))
	var mu sync.Mutex
	cluster, ok := client.(*redis.ClusterClient)
	if !ok {
		return d.checkNode(ctx, nodeAt(ctx, client, opt))
	}
	return cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
		mu.Lock() // guards the findings
		defer mu.Unlock()
		return d.checkNode(ctx, node{c, cliAt(c.Options().Addr)})
	})
}

// soon runs do, which may not heed its context, for pingTimeout at most.
func soon(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// nodeAt is the one server behind a client. A URL that redis-cli does not read,
// as that of sentinels, gives way to the address that answers.
func nodeAt(ctx context.Context, client redis.UniversalClient, opt asynq.RedisConnOpt) node {
	if _, sentinels := opt.(asynq.RedisFailoverClientOpt); !sentinels {
		return node{client, show.RedisCLI}
	}
	info, _ := client.ClientInfo(ctx).Result()
	if info == nil {
		return node{client, `redis-cli -h <MASTER>`}
	}
	return node{client, cliAt(info.LAddr)}
}

func cliAt(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		host, port = "<MASTER>", "6379"
	}
	return fmt.Sprintf(`redis-cli -h %s -p %s --no-auth-warning -a "$REDIS_PASSWORD"`, show.Quote(host), show.Quote(port))
}

// oldRedis is below the supported version, tooOldRedis below the required one.
var oldRedis, tooOldRedis = [2]int{7, 0}, [2]int{6, 2}

func (d *doctor) checkNode(ctx context.Context, n node) error {
	settings := map[string]string{}
	for _, name := range []string{"maxmemory-policy", "maxmemory", "appendonly"} {
		got, err := n.ConfigGet(ctx, name).Result()
		if err != nil {
			d.find(finding.Finding{Kind: "redis_mute", Severity: finding.Note,
				What: "Redis does not show its settings (" + err.Error() + "): check maxmemory-policy noeviction at the " +
					"provider",
				Fix: []string{n.command("CONFIG GET maxmemory-policy")}})
			return nil
		}
		settings[name] = got[name]
	}
	d.judgePolicy(n, settings)
	if settings["appendonly"] == "no" {
		d.find(finding.Finding{Kind: "redis_forgets", Severity: finding.Note,
			What: "Redis keeps no log on disk (appendonly no): after a restart the sweep has to enqueue all pending " +
				"work again",
			Fix: []string{n.command("CONFIG SET appendonly yes"), n.command("CONFIG REWRITE")}})
	}
	info, err := n.Info(ctx, "server").Result()
	if err != nil {
		return err
	}
	d.judgeRedisVersion(info)
	return nil
}

func (d *doctor) judgePolicy(n node, settings map[string]string) {
	policy := settings["maxmemory-policy"]
	if policy == "noeviction" {
		d.fine("Redis evicts nothing")
		return
	}
	f := finding.Finding{Kind: "redis_evicts", Severity: finding.Problem,
		What: "Redis evicts jobs when it is full: maxmemory-policy is " + policy,
		Fix:  []string{n.command("CONFIG SET maxmemory-policy noeviction"), n.command("CONFIG REWRITE")}}
	if settings["maxmemory"] == "0" {
		f.Severity, f.What = finding.Warning, "Redis would throw jobs away once it has a limit: maxmemory-policy is "+policy
	}
	d.find(f)
}

func (d *doctor) judgeRedisVersion(info string) {
	_, rest, _ := strings.Cut(info, "redis_version:")
	text, _, _ := strings.Cut(rest, "\r")
	parts := strings.SplitN(text+"..", ".", 3)
	major, majorErr := strconv.Atoi(parts[0])
	minor, _ := strconv.Atoi(parts[1])
	version := [2]int{major, minor}
	if majorErr != nil || slices.Compare(version[:], oldRedis[:]) >= 0 {
		return
	}
	f := finding.Finding{Kind: "redis_old", Severity: finding.Warning,
		What: "Redis is of version " + text + "; 7 or later is needed",
		Fix:  []string{"redis-server --version   # bring it to 7 or later"}}
	if slices.Compare(version[:], tooOldRedis[:]) < 0 {
		f.Severity = finding.Problem
	}
	d.find(f)
}

// checkWorkers checks the running workers, paused queues, and evicted jobs.
func (d *doctor) checkWorkers(ctx context.Context) error {
	client, _ := d.queue.MakeRedisClient().(redis.UniversalClient)
	defer client.Close()
	is, err := jobs.Inspect(ctx, client)
	if err != nil {
		return err
	}
	d.asked = true
	d.workers = is.Serving[jobs.BackfillQueue] // each worker has one server of these
	without := slices.DeleteFunc(jobs.AllQueues(), func(queue string) bool { return is.Serving[queue] > 0 })
	if len(without) > 0 {
		d.find(finding.Finding{
			Kind: "workers_missing", Severity: finding.Problem,
			What: "no worker serves the queues " + strings.Join(without, ", ") +
				": webhooks are stored, but not applied",
			Fix: []string{"rollcall work"},
		})
	} else {
		d.fine("%s at work", show.Count(d.workers, "worker"))
	}
	d.paused(is)
	return d.evicted(ctx, client)
}

// paused finds queues that were paused on the monitoring page.
func (d *doctor) paused(is jobs.Snapshot) {
	for _, name := range jobs.AllQueues() {
		if q := is.Of(name); q.Paused {
			d.find(finding.Finding{
				Kind: "queue_paused", Subject: name, Severity: finding.Problem,
				What: fmt.Sprintf("the queue %s is paused, with %s waiting in it", name, show.Count(q.Waiting, "job")),
				Fix:  []string{show.RedisCLI + " DEL '" + jobs.KeyOf(name) + "paused'"},
			})
		}
	}
}

// evicted finds jobs that Redis evicted. Workers remove them within a minute.
func (d *doctor) evicted(ctx context.Context, client redis.UniversalClient) error {
	n, err := jobs.Evicted(ctx, client)
	if n > 0 {
		d.find(finding.Finding{
			Kind: "jobs_evicted", Severity: finding.Warning, Count: n,
			What: show.Count(n, "job") + " without data, which Redis evicted: they block the queue until the " +
				"sweep of a worker removes them",
			Fix: []string{show.RedisCLI + " CONFIG SET maxmemory-policy noeviction", "rollcall work"},
		})
	}
	return err
}
