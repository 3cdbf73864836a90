package worker

import (
	"context"

	"rollcall/store/value"
)

// valueUntil computes what customers are worth until ctx ends: each store's each night, or when it is asked for. This
// needs no queue: the rows say which stores are due. Between two stores it lets webhooks go first.
func (w *Worker) valueUntil(ctx context.Context) {
	values := value.New(w.cfg.Store)
	w.inTurns(ctx, w.cfg.Sweep, "what customers of a store are worth could not be computed", values.Step)
}
