package worker

import (
	"context"
	"time"

	storemail "rollcall/store/mail"
)

// settleUntil writes what follows from what providers report of mails, until ctx ends. It does so
// without a sender too: another worker may have one.
func (w *Worker) settleUntil(ctx context.Context) {
	recipients := storemail.NewRecipients(w.cfg.Store)
	w.inTurns(ctx, mailEvery, "what providers report of mails could not be settled",
		func(ctx context.Context) (bool, error) { return recipients.Settle(ctx, time.Now()) })
}
