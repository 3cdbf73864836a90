package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"rollcall/store"
	"rollcall/store/pg"
)

const (
	lookEvery     = 250 * time.Millisecond // at a run that is followed
	printEvery    = 2 * time.Second        // between progress lines
	takenWithin   = 10 * time.Second       // by a worker, or none is running
	findingsShown = 5                      // at the end; show has more
)

// follow shows a run's progress until it ends. With --json the lines for people go to
// stderr.
func (c startFlags) follow(e *env, s *store.Store, b store.Backfill) error {
	people := e.out
	if c.JSON {
		people = e.err
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	f := follower{
		get: s.Backfill, tick: tick.C, now: time.Now,
		people: people, err: e.err, gauge: e.gauge(),
	}
	fmt.Fprintf(people, "%s is queued.\n", title(b))
	b, err := f.follow(e, b)
	if e.Err() != nil {
		fmt.Fprintf(e.err, "%s keeps running. Show it: %s, or cancel it: %s\n", title(b), e.backfillCommand("show", b.ID),
			e.backfillCommand("cancel", b.ID))
		return errReported
	}
	if err != nil {
		return e.aboutBackfill(err, b.ID)
	}
	passed, err := s.BackfillPassed(e, b.ID)
	if err != nil {
		return err
	}
	fmt.Fprintln(people, closing(b)+passedOver(passed))
	if err := printErrors(e, people, s, b); err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(e.out, b)
	}
	if err == nil && b.Status != "completed" {
		err = errReported
	}
	return err
}

// printErrors prints a run's errors, and how to go on from them.
func printErrors(e *env, people io.Writer, s *store.Store, b store.Backfill) error {
	findings, err := s.BackfillErrors(e, b.ID, 0, findingsShown+1)
	if err != nil {
		return err
	}
	more := len(findings) > findingsShown
	printFindings(people, findings[:min(len(findings), findingsShown)])
	if more {
		fmt.Fprintf(people, "  … and more: %s --errors 1000\n", e.backfillCommand("show", b.ID))
	}
	if b.Status == "failed" {
		fmt.Fprintf(people, "Fix the cause, then resume: %s\n", e.backfillCommand("resume", b.ID))
	}
	return nil
}

// follower polls a run.
type follower struct {
	get         func(context.Context, int64) (store.Backfill, error)
	tick        <-chan time.Time
	now         func() time.Time
	people, err io.Writer
	gauge       gauge

	began  time.Time
	found  bool // the number of objects is printed
	warned bool // that no worker takes it
	away   bool // the database, and this is printed
}

// gauge shows how far a run is.
type gauge interface {
	show(b store.Backfill, at time.Time)
	clear()
}

// follow returns the run when it has ended, or as last seen with an error.
func (f *follower) follow(ctx context.Context, b store.Backfill) (store.Backfill, error) {
	f.began = f.now()
	defer f.gauge.clear()
	for {
		f.report(b)
		if b.EndedAt != nil {
			return b, nil
		}
		select {
		case <-ctx.Done():
			return b, ctx.Err()
		case <-f.tick:
		}
		next, err := f.get(ctx, b.ID)
		switch {
		case err == nil:
			b, f.away = next, false
		case pg.Unavailable(err) && ctx.Err() == nil:
			f.tellAway()
		default:
			return b, err
		}
	}
}

// report prints the changes of a run.
func (f *follower) report(b store.Backfill) {
	if !f.found && b.Expected != nil {
		f.found = true
		f.line(f.people, opening(b))
	}
	if b.Status == "queued" && !f.warned && f.now().Sub(f.began) >= takenWithin {
		f.warned = true
		f.line(f.err, "no worker has taken it yet: is `rollcall work` running?")
	}
	f.gauge.show(b, f.now())
}

func (f *follower) tellAway() {
	if !f.away {
		f.away = true
		f.line(f.err, "the database does not answer; the run resumes when it does")
	}
}

func (f *follower) line(w io.Writer, text string) {
	f.gauge.clear()
	fmt.Fprintln(w, text)
}

// gauge is a line with a bar where there is a terminal, else lines. Both go to stderr.
func (e *env) gauge() gauge {
	if bar := e.progress(); bar.w != io.Discard {
		return barGauge{bar}
	}
	return &lineGauge{w: e.err}
}

// lineGauge prints every change of status, and sometimes the progress between them.
type lineGauge struct {
	w      io.Writer
	told   string // the last line
	status string // in it
	at     time.Time
}

func (g *lineGauge) show(b store.Backfill, at time.Time) {
	text := progressText(b)
	if b.EndedAt != nil || text == g.told || b.Status == g.status && at.Sub(g.at) < printEvery {
		return // the end is told by the follower
	}
	first := g.status == ""
	g.told, g.status, g.at = text, b.Status, at
	if !first || b.Status != "queued" { // "queued" was printed at the start
		fmt.Fprintln(g.w, text)
	}
}

func (g *lineGauge) clear() {}

// barGauge is a line that overwrites itself: how far a run is with a bar, how fast
// it goes and how long that takes, as far as these are known.
type barGauge struct{ line progress }

func (g barGauge) show(b store.Backfill, at time.Time) {
	switch {
	case b.EndedAt != nil: // the end is told by the follower
	case b.Status != "running":
		g.line.show("%s", progressText(b))
	default:
		g.line.show("%s%s%s", barText(b), progressText(b), rateText(b, at))
	}
}

func (g barGauge) clear() { g.line.clear() }

// barWidth is how many characters a full bar has.
const barWidth = 20

// barText is a bar, "" while it is not known how much there is to do.
func barText(b store.Backfill) string {
	if b.Expected == nil || *b.Expected == 0 {
		return ""
	}
	done := int(min(b.Seen, *b.Expected) * barWidth / *b.Expected)
	return "[" + strings.Repeat("=", done) + strings.Repeat(" ", barWidth-done) + "] "
}

// rateText is how many objects a running run looks at in a second, and about how
// long that takes for the rest; "" at first.
func rateText(b store.Backfill, at time.Time) string {
	if b.StartedAt == nil || at.Sub(*b.StartedAt) < time.Second {
		return ""
	}
	rate := float64(b.Seen) / at.Sub(*b.StartedAt).Seconds()
	text := fmt.Sprintf(", %s a second", number(int64(rate)))
	if b.Expected != nil && *b.Expected > b.Seen && rate > 0 {
		left := time.Duration(float64(*b.Expected-b.Seen) / rate * float64(time.Second))
		text += ", about " + left.Round(time.Second).String() + " left"
	}
	return text
}
