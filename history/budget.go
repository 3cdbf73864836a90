package history

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
)

// Default requests per second of a Budget. Stripe allows 100 in total and 25 of one operation; the
// rest is for live traffic.
const (
	DefaultRate          = 50
	DefaultOperationRate = 20
)

// Budget limits the requests to Stripe. It is stored in Redis and shared by all workers. It is safe
// for concurrent use.
type Budget struct {
	limiter        *redis_rate.Limiter
	all, operation redis_rate.Limit
}

// NewBudget returns a budget of all requests per second in total, and operation requests per second
// of one operation; zero means the default.
func NewBudget(client redis.UniversalClient, all, operation int) (*Budget, error) {
	if all < 0 || operation < 0 {
		return nil, errors.New("a rate of requests must not be negative")
	}
	if all == 0 {
		all = DefaultRate
	}
	if operation == 0 {
		operation = DefaultOperationRate
	}
	return &Budget{redis_rate.NewLimiter(client), rate(all), rate(operation)}, nil
}

// rate is n requests per second, with bursts of a fifth of them: a burst of n would allow twice the
// rate in one second.
func rate(n int) redis_rate.Limit {
	return redis_rate.Limit{Rate: n, Period: time.Second, Burst: max(n/5, 1)}
}

// Wait returns when a request of an operation (for example "GET /v1/customers") may be sent. The
// error is the context's or Redis's.
func (b *Budget) Wait(ctx context.Context, operation string) error {
	// The narrower limit first, as waiting for it takes nothing from other operations.
	if err := b.wait(ctx, "rollcall:stripe:operation:"+operation, b.operation); err != nil {
		return err
	}
	return b.wait(ctx, "rollcall:stripe:all", b.all)
}

var errBudget = errors.New("the budget of requests to Stripe cannot be read")

func (b *Budget) wait(ctx context.Context, key string, limit redis_rate.Limit) error {
	for {
		result, err := b.limiter.Allow(ctx, key, limit)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return fmt.Errorf("%w: %w", errBudget, err)
		case result.Allowed > 0:
			return nil
		}
		retry := time.NewTimer(result.RetryAfter)
		select {
		case <-ctx.Done():
			retry.Stop()
			return ctx.Err()
		case <-retry.C:
		}
	}
}
