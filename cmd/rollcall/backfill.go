package main

import (
	"context"
	"errors"
	"fmt"

	"rollcall/store"
	"rollcall/store/pg"
)

type backfillCmd struct {
	Start  backfillStartCmd  `cmd:"" help:"Start a run: courses, subscriptions, stripe, clerk, convex, stripe-events."`
	List   backfillListCmd   `cmd:"" help:"List the runs, newest first."`
	Show   backfillShowCmd   `cmd:"" help:"Show a run: its progress, what it waits for, and its errors."`
	Pause  backfillPauseCmd  `cmd:"" help:"Pause a run after its current chunks."`
	Resume backfillResumeCmd `cmd:"" help:"Resume a paused or failed run where it stopped."`
	Cancel backfillCancelCmd `cmd:"" help:"Cancel a run. Imported data stays."`
}

type backfillPauseCmd struct{ backfillOrder }
type backfillResumeCmd struct{ backfillOrder }
type backfillCancelCmd struct{ backfillOrder }

func (c backfillPauseCmd) Run(e *env) error  { return c.give(e, (*store.Store).PauseBackfill) }
func (c backfillResumeCmd) Run(e *env) error { return c.give(e, (*store.Store).ResumeBackfill) }
func (c backfillCancelCmd) Run(e *env) error { return c.give(e, (*store.Store).CancelBackfill) }

// backfillOrder is a command for one run: pause, resume or cancel.
type backfillOrder struct {
	ID   int64 `arg:"" name:"id" help:"The run's id: the first column of list."`
	JSON bool  `name:"json" help:"Print JSON."`
}

func (c backfillOrder) give(e *env, order func(*store.Store, context.Context, int64) (store.Backfill, error)) error {
	s, err := e.open()
	if err != nil {
		return err
	}
	defer s.Close()
	b, err := order(s, e, c.ID)
	if err != nil {
		return e.aboutBackfill(err, c.ID)
	}
	if c.JSON {
		return printJSON(e.out, b)
	}
	_, err = fmt.Fprintln(e.out, became(b)+" "+e.next(b))
	return err
}

// became describes the result of an order.
func became(b store.Backfill) string {
	switch b.Status {
	case "paused":
		return title(b) + " is paused; current chunks are finished first."
	case "cancelled":
		return title(b) + " is cancelled. Imported data stays."
	}
	return title(b) + " resumes where it stopped."
}

// next suggests the next command for a run.
func (e *env) next(b store.Backfill) string {
	if b.Status == "paused" {
		return "Resume it: " + e.backfillCommand("resume", b.ID)
	}
	return "Show it: " + e.backfillCommand("show", b.ID)
}

// backfillCommand is a command about a run, as it can be typed here.
func (e *env) backfillCommand(verb string, id int64) string {
	where := ""
	if e.DatabaseURL == nil {
		where = e.dataFlag()
	}
	return fmt.Sprintf("rollcall backfill %s %d%s", verb, id, where)
}

func title(b store.Backfill) string { return fmt.Sprintf("Backfill %d (%s)", b.ID, b.Kind) }

// flagOf are the flags of start whose names are not those of the options.
var flagOf = map[string]string{"accounts": "account", "chunk_size": "chunk", "as_of": "as-of"}

// aboutBackfill turns an error of the store into one for the command line. id is the
// run, 0 for a new one.
func (e *env) aboutBackfill(err error, id int64) error {
	var running *store.AlreadyRunning
	var wrong *store.WrongStatus
	var bad *pg.BadParam
	switch {
	case errors.As(err, &running):
		b := running.Backfill
		return fmt.Errorf("backfill %d of this kind and scope is %s, and a second one would do the same: show it with "+
			"`%s`, or cancel it with `%s`",
			b.ID, b.Status, e.backfillCommand("show", b.ID), e.backfillCommand("cancel", b.ID))
	case errors.As(err, &wrong):
		return fmt.Errorf("backfill %d is %s: this is possible only if it is %s", wrong.ID, wrong.Status, wrong.Want)
	case errors.As(err, &bad):
		name := bad.Name
		if flag, other := flagOf[name]; other {
			name = flag
		}
		return usageError(fmt.Sprintf("--%s: %s", name, bad.Reason))
	case errors.Is(err, pg.ErrNotFound):
		return fmt.Errorf("there is no backfill %d; `rollcall backfill list%s` shows their ids", id, e.dataFlag())
	}
	return err
}
