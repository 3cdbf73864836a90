package jobs

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hibiken/asynq"
)

func TestParseRedis(t *testing.T) {
	// No ServerName: the nodes have names, and certificates, of their own.
	tls12 := &tls.Config{MinVersion: tls.VersionTLS12}
	for raw, want := range map[string]asynq.RedisConnOpt{
		"redis://localhost":         asynq.RedisClientOpt{Addr: "localhost:6379"},
		"redis://u:p%40ss@h:7000/3": asynq.RedisClientOpt{Addr: "h:7000", Username: "u", Password: "p@ss", DB: 3},
		"redis://:pa,ss@h":          asynq.RedisClientOpt{Addr: "h:6379", Password: "pa,ss"},
		"redis://[::1]:6380":        asynq.RedisClientOpt{Addr: "[::1]:6380"},
		"rediss://h:7000/1":         asynq.RedisClientOpt{Addr: "h:7000", DB: 1, TLSConfig: tls12},
		"redis-sentinel://:pw@a,b:1/m/2": asynq.RedisFailoverClientOpt{
			MasterName: "m", SentinelAddrs: []string{"a:26379", "b:1"}, Password: "pw", DB: 2},
		"redis-sentinel://a:1,b:2,[::1]:3/m?sentinel_user=s&sentinel_password=p%40ss": asynq.RedisFailoverClientOpt{
			MasterName: "m", SentinelAddrs: []string{"a:1", "b:2", "[::1]:3"}, SentinelUsername: "s", SentinelPassword: "p@ss"},
		"rediss-sentinel://u:pw@a/m": asynq.RedisFailoverClientOpt{
			MasterName: "m", SentinelAddrs: []string{"a:26379"}, Username: "u", Password: "pw", TLSConfig: tls12},
		"redis://:pw@a:1, redis://:pw@b": asynq.RedisClusterClientOpt{
			Addrs: []string{"a:1", "b:6379"}, Password: "pw"},
		"redis://u:p,w@a:1,b:2": asynq.RedisClusterClientOpt{Addrs: []string{"a:1", "b:2"}, Username: "u",
			Password: "p,w"},
		"rediss://:pw@a:1/0,rediss://:pw@b:2/0": asynq.RedisClusterClientOpt{Addrs: []string{"a:1", "b:2"}, Password: "pw",
			TLSConfig: tls12},
		"redis-cluster://:pw@config.example": asynq.RedisClusterClientOpt{Addrs: []string{"config.example:6379"},
			Password: "pw"},
		"rediss-cluster://config.example,b:7000": asynq.RedisClusterClientOpt{
			Addrs: []string{"config.example:6379", "b:7000"}, TLSConfig: tls12},
	} {
		got, err := ParseRedis(raw)
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(tls.Config{})); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", raw, err, diff)
		}
	}
	for _, raw := range []string{
		"", "localhost:6379", "http://h", "redis://", "redis://h/x", "redis://h/1/2", "redis://h/-1", "redis-sentinel://h",
		"redis-sentinel://h/m/x", "redis-sentinel://a,/m",
		"redis://:hush@h:port", "redis://:hu sh%zz@h", "redis://h?db=1", "redis://a/1,redis://b/1", "redis-cluster://a/2",
		"redis://:hush@a,redis://b",
		"redis://a,rediss://b", "redis://a,redis-sentinel://b/m", "redis://su@a,rediss://u@b", "redis://h#x",
		"redis-sentinel://a/m?sentinel_password=%zz", "redis-sentinel://a/m?password=hush",
	} {
		if got, err := ParseRedis(raw); err == nil {
			t.Errorf("%q accepted as %+v", raw, got)
		} else if strings.Contains(err.Error(), "hu") || !strings.Contains(err.Error(), "REDIS_URL") {
			t.Errorf("%q: bad error text: %v", raw, err)
		}
	}
}
