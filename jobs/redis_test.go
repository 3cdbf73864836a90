package jobs

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hibiken/asynq"
)

func TestParseRedis(t *testing.T) {
	for raw, want := range map[string]asynq.RedisConnOpt{
		"redis://localhost":              asynq.RedisClientOpt{Addr: "localhost:6379"},
		"redis://u:p%40ss@h:7000/3":      asynq.RedisClientOpt{Addr: "h:7000", Username: "u", Password: "p@ss", DB: 3},
		"redis://[::1]:6380":             asynq.RedisClientOpt{Addr: "[::1]:6380"},
		"redis-sentinel://:pw@a,b:1/m/2": asynq.RedisFailoverClientOpt{MasterName: "m", SentinelAddrs: []string{"a:26379", "b:1"}, Password: "pw", DB: 2},
		"redis://:pw@a:1, redis://:pw@b": asynq.RedisClusterClientOpt{Addrs: []string{"a:1", "b:6379"}, Password: "pw"},
	} {
		got, err := ParseRedis(raw)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", raw, err, diff)
		}
	}
	for _, raw := range []string{"", "localhost:6379", "http://h", "redis://", "redis://h/x", "redis-sentinel://h", "redis://:hush@h:port"} {
		if got, err := ParseRedis(raw); err == nil {
			t.Errorf("%q accepted as %+v", raw, got)
		} else if strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), "REDIS_URL") {
			t.Errorf("%q: bad error text: %v", raw, err)
		}
	}
}
