package testdb

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// claimLife is how long a database stays taken by a process that was killed.
const claimLife = time.Hour

// nextDatabase is the number to try next: those just used are the last to be
// used again.
var nextDatabase atomic.Int64

// Redis returns the URL of an empty logical database of this test alone, emptied
// at the test's end.
func Redis(t testing.TB) string {
	t.Helper()
	s, err := get(t.Context())
	if err != nil {
		t.Fatalf("testdb.Redis: %v", err)
	}
	opts, err := redis.ParseURL(s.redisURL)
	if err != nil {
		t.Fatalf("testdb.Redis: REDIS_URL: %v", err)
	}
	number, err := claim(t.Context(), opts)
	if err != nil {
		t.Fatalf("testdb.Redis: %v", err)
	}
	t.Cleanup(func() {
		if err := giveBack(opts, number); err != nil {
			t.Errorf("testdb.Redis: %v", err)
		}
	})
	return withDatabase(s.redisURL, number)
}

// claim takes a database that no test has and that is empty: on a server named
// by REDIS_URL others may have theirs. Claims are keys in the URL's own
// database, because several test processes may use one server.
func claim(ctx context.Context, opts *redis.Options) (int, error) {
	client := redis.NewClient(opts)
	defer client.Close()
	total, err := count(ctx, client)
	if err != nil {
		return 0, err
	}
	for range total {
		number := int(nextDatabase.Add(1)) % total
		if number == opts.DB {
			continue
		}
		won, err := client.SetNX(ctx, claimKey(number), os.Getpid(), claimLife).Result()
		if err != nil {
			return 0, err
		}
		if !won {
			continue
		}
		if empty, err := isEmpty(ctx, opts, number); empty || err != nil {
			return number, err
		}
		client.Del(ctx, claimKey(number))
	}
	return 0, fmt.Errorf("all %d databases of the Redis at %s are taken or hold data; raise `databases` in its "+
		"configuration",
		total, opts.Addr)
}

func claimKey(number int) string { return "rollcall:testdb:" + strconv.Itoa(number) }

// count returns how many logical databases the server has.
func count(ctx context.Context, client *redis.Client) (int, error) {
	config, err := client.ConfigGet(ctx, "databases").Result()
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(config["databases"])
}

func isEmpty(ctx context.Context, opts *redis.Options, number int) (bool, error) {
	client := open(opts, number)
	defer client.Close()
	size, err := client.DBSize(ctx).Result()
	return size == 0, err
}

// giveBack empties the database before others can claim it.
func giveBack(opts *redis.Options, number int) error {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
	defer cancel()
	used, own := open(opts, number), open(opts, opts.DB)
	defer used.Close()
	defer own.Close()
	return errors.Join(used.FlushDB(ctx).Err(), own.Del(ctx, claimKey(number)).Err())
}

func open(opts *redis.Options, number int) *redis.Client {
	other := *opts
	other.DB = number
	return redis.NewClient(&other)
}

// withDatabase returns the URL with another database's number. It was parsed
// before.
func withDatabase(address string, number int) string {
	u, err := url.Parse(address)
	if err != nil {
		panic(err)
	}
	u.Path = "/" + strconv.Itoa(number)
	return u.String()
}
