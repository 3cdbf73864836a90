package worker

import (
	"context"

	"rollcall/store/digests"
)

// digestsUntil writes the weekly mails to members of stores until ctx ends, if mail is set up.
func (w *Worker) digestsUntil(ctx context.Context) {
	if w.cfg.Mail == nil {
		return
	}
	all := digests.New(w.cfg.Store, w.cfg.Mail.URL)
	w.inTurns(ctx, w.cfg.Sweep, "members could not be mailed about their week", func(ctx context.Context) (bool, error) {
		now, err := w.now(ctx)
		if err != nil {
			return false, err
		}
		return all.Step(ctx, now)
	})
}
