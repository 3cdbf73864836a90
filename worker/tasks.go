package worker

import (
	"context"
	"time"

	"rollcall/store/bulk"
	"rollcall/store/campaigns"
	"rollcall/store/digests"
	storemail "rollcall/store/mail"
	"rollcall/store/segments"
	"rollcall/store/value"
)

const (
	// bulkEvery is how long a bulk action may wait for an idle worker.
	bulkEvery = 250 * time.Millisecond
	// lookEvery is the time between two looks at a watched segment.
	lookEvery = 10 * time.Minute
	// backEvery is the time between two looks at who came back after a mail.
	backEvery = 30 * time.Minute
	// enterEvery is the time between two looks at who enters a campaign.
	enterEvery = 5 * time.Minute
)

// task is work that needs no queue: the rows say what is left, and whose turn it is. A step does some
// of it. Between two steps webhooks go first.
type task struct {
	every time.Duration // how long it may wait for an idle worker
	wrong string        // is logged if a step fails
	step  func(context.Context) (worked bool, err error)
}

// tasks lists the tasks.
func (w *Worker) tasks() []task {
	s, often := w.cfg.Store, w.cfg.Sweep
	watched, entered, recipients := segments.New(s), campaigns.New(s), storemail.NewRecipients(s)
	all := []task{
		{bulkEvery, "a bulk action could not go on", bulk.New(s).Step},
		{often, "a watched segment could not be looked at",
			func(ctx context.Context) (bool, error) { return watched.Look(ctx, lookEvery) }},
		{often, "what customers of a store are worth could not be computed", value.New(s).Step},
		{often, "customers could not enter a campaign", w.atNow(func(ctx context.Context, now time.Time) (bool, error) {
			return entered.Look(ctx, now, enterEvery)
		})},
		{often, "a campaign could not go on", w.atNow(campaigns.New(s).Step)},
		{often, "the results of a campaign could not be counted", w.atNow(campaigns.New(s).Count)},
		// Without a sender too: another worker may have one.
		{mailEvery, "what providers report of mails could not be settled",
			func(ctx context.Context) (bool, error) { return recipients.Settle(ctx, time.Now()) }},
		{backEvery, "who came back after a mail could not be kept", w.atNow(recipients.KeepBacks)},
		{often, "older events are not yet found by what they name", s.IndexEvents},
	}
	if w.cfg.Mail != nil {
		all = append(all, task{mailEvery, "mails could not be sent", w.mailer().turn},
			task{often, "members could not be mailed about their week", w.atNow(digests.New(s, w.cfg.Mail.URL).Step)})
	}
	return all
}

// atNow is a step that takes the time of the clock that all workers share.
func (w *Worker) atNow(step func(context.Context, time.Time) (bool, error)) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		now, err := w.now(ctx)
		if err != nil {
			return false, err
		}
		return step(ctx, now)
	}
}

// do does a task until ctx ends: step by step while there is something to do, and then every so often.
// After an error it waits too.
func (w *Worker) do(ctx context.Context, t task) {
	each(ctx, t.every, func(time.Time) {
		for worked := true; worked; {
			var err error
			if worked, err = t.step(ctx); err == nil && worked {
				_, err = w.cfg.Store.AwaitEvents(ctx, webhookWait)
			}
			if err != nil {
				worked = false
				w.troubles.note(ctx, t.wrong+"; the next round tries again", err)
			}
		}
	})
}

// each calls do every so often, until ctx ends.
func each(ctx context.Context, every time.Duration, do func(now time.Time)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			do(now)
		}
	}
}
