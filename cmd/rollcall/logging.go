package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/redis/go-redis/v9"

	"rollcall/store/pg"
)

// logger writes to w what LOG_LEVEL and LOG_FORMAT ask for. The Redis client's
// own lines, one for each try of an outage that we tell of anyway, are debug. No
// error is written as it is: it may quote an address.
func (c *Config) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.LogLevel)) // checked
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: pg.PlainErrors}
	log := slog.New(tracedHandler{slog.NewTextHandler(w, options)})
	if c.LogFormat == "json" {
		log = slog.New(tracedHandler{slog.NewJSONHandler(w, options)})
	}
	redis.SetLogger(redisLog{log})
	return log
}

type redisLog struct{ log *slog.Logger }

func (l redisLog) Printf(ctx context.Context, format string, args ...any) {
	l.log.DebugContext(ctx, fmt.Sprintf(format, args...))
}
