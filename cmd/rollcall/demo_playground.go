package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"rollcall/jobs"
)

// The demo starts empty each time, and must not destroy data: it creates its own
// database beside the given one, and uses only an empty Redis database, or one that
// an earlier demo has marked.

const (
	demoMark    = "rollcall:demo"
	tidyTimeout = 10 * time.Second
)

// playground empties a database and a Redis database for the demo, and returns
// where they are and what removes them.
func playground(e *env, at where) (where, func() error, error) {
	cfg, err := pgx.ParseConfig(at.database)
	if err != nil {
		return at, nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	name := strings.TrimSuffix(cfg.Database, "_demo") + "_demo"
	drop := "DROP DATABASE IF EXISTS " + pgx.Identifier{name}.Sanitize() + " WITH (FORCE)"
	if err := statements(e, cfg, drop, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return at, nil, fmt.Errorf("a database for the demo: %w", err)
	}
	demo := where{withDatabase(at.database, name), at.redis}
	if e.RedisURL == nil {
		demo.redis = withDatabase(at.redis, "1") // 0 is dev's
	}
	if err := emptyRedis(e, demo.redis); err != nil {
		return at, nil, err
	}
	return demo, func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(e), tidyTimeout)
		defer cancel()
		return errors.Join(statements(ctx, cfg, drop), emptyRedis(ctx, demo.redis))
	}, nil
}

func statements(ctx context.Context, cfg *pgx.ConnConfig, all ...string) error {
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, sql := range all {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// withDatabase is the URL (or key=value text) of another database on a server.
func withDatabase(raw, name string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" {
		return raw + " dbname=" + name
	}
	u.Path = "/" + name
	return u.String()
}

func emptyRedis(ctx context.Context, raw string) error {
	opt, err := jobs.ParseRedis(raw)
	if err != nil {
		return err
	}
	client := opt.MakeRedisClient().(redis.UniversalClient)
	defer client.Close()
	size, err := client.DBSize(ctx).Result()
	if err != nil {
		return &trouble{what: redisTrouble(opt, err), do: "start it, or correct REDIS_URL", err: err}
	}
	if size > 0 && client.Exists(ctx, demoMark).Val() == 0 {
		return fmt.Errorf("REDIS_URL: there is something in this Redis database, and the demo needs an empty one: name " +
			"another, as in redis://host/7")
	}
	if err := client.FlushDB(ctx).Err(); err != nil {
		return err
	}
	return client.Set(ctx, demoMark, "this database is emptied by rollcall demo", 0).Err()
}
