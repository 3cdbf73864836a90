package status

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/pg"
)

// Span is a time that charts show, in steps.
type Span struct {
	Step  time.Duration
	Steps int
}

// counts is the span of the counts that the steps are made of, as minutes are kept for two days, and the
// table with the deliveries of each.
func (s Span) counts() (span, deliveries string) {
	if s.Step >= time.Hour {
		return "hour", "webhook_deliveries"
	}
	return "minute", "webhook_minutes"
}

// From is the beginning of the first step, if the last one is under way.
func (s Span) From(now time.Time) time.Time {
	return now.UTC().Truncate(s.Step).Add(-time.Duration(s.Steps-1) * s.Step)
}

// Slot is what happened in one step.
type Slot struct {
	At       time.Time
	Accepted map[string]int64 // deliveries by source, duplicates included
	Rejected int64            // deliveries
	Applied  int64            // events
	Failed   int64            // events
	Took     Took
	Waiting  *int64 // the most at once; nil: nobody looked
}

// Took is how long events took from receipt to commit, by buckets: how many took at most so long.
type Took map[time.Duration]int64

// Percentile is about the time within which a share of the events was done; false: none was timed.
func (t Took) Percentile(share float64) (time.Duration, bool) {
	var all, below int64
	for _, n := range t {
		all += n
	}
	if all == 0 {
		return 0, false
	}
	want, lower := share*float64(all), time.Duration(0)
	for _, most := range store.Latencies() {
		n := t[most]
		if float64(below+n) >= want && n > 0 {
			if most > time.Hour {
				return lower, true // so long, or longer
			}
			return lower + time.Duration((want-float64(below))/float64(n)*float64(most-lower)), true
		}
		below, lower = below+n, most
	}
	return lower, true
}

// History reads the slots of a span, the oldest first.
func (s *Reader) History(ctx context.Context, span Span, now time.Time) (slots []Slot, err error) {
	defer pg.Wrap(&err, "status.History")
	from := span.From(now)
	slots = make([]Slot, span.Steps)
	for i := range slots {
		slots[i] = Slot{At: from.Add(time.Duration(i) * span.Step), Accepted: map[string]int64{}, Took: Took{}}
	}
	at := func(t time.Time) *Slot { return &slots[min(int(t.Sub(from)/span.Step), len(slots)-1)] }
	until := from.Add(time.Duration(span.Steps) * span.Step)
	err = pgx.BeginTxFunc(ctx, s.Pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if err := readDeliveries(ctx, tx, span, from, until, at); err != nil {
			return err
		}
		if err := readWork(ctx, tx, span, from, until, at); err != nil {
			return err
		}
		return readWaiting(ctx, tx, span, from, until, at)
	})
	return slots, err
}

const (
	workSQL = `
		SELECT date_bin($3::interval, at, $1::timestamptz), outcome = 'failed', up_to_ms, sum(count)::bigint
		FROM event_work
		WHERE span = $4
		  AND at >= $1
		  AND at < $2
		GROUP BY 1, 2, 3`
	waitingSQL = `
		SELECT date_bin($3::interval, at, $1::timestamptz), max(waiting)
		FROM inbox_samples
		WHERE span = $4
		  AND at >= $1
		  AND at < $2
		GROUP BY 1`
)

func (s Span) deliveriesSQL() string {
	column, table := s.counts()
	return `
		SELECT date_bin($3::interval, ` + column + `, $1::timestamptz), source, outcome, sum(count)::bigint
		FROM ` + table + `
		WHERE ` + column + ` >= $1
		  AND ` + column + ` < $2
		GROUP BY 1, 2, 3`
}

func readDeliveries(ctx context.Context, tx pgx.Tx, span Span, from, until time.Time, at func(time.Time) *Slot) error {
	rows := pg.Query(ctx, tx, span.deliveriesSQL(), from, until, span.Step)
	var when time.Time
	var source, outcome string
	var n int64
	return pg.Each(rows, []any{&when, &source, &outcome, &n}, func() {
		if slot := at(when); slices.Contains(store.Kept, outcome) {
			slot.Accepted[source] += n
		} else {
			slot.Rejected += n
		}
	})
}

func readWork(ctx context.Context, tx pgx.Tx, span Span, from, until time.Time, at func(time.Time) *Slot) error {
	of, _ := span.counts()
	rows := pg.Query(ctx, tx, workSQL, from, until, span.Step, of)
	var when time.Time
	var failed bool
	var upTo, n int64
	return pg.Each(rows, []any{&when, &failed, &upTo, &n}, func() {
		slot := at(when)
		if failed {
			slot.Failed += n
			return
		}
		slot.Applied += n
		if upTo > 0 {
			slot.Took[time.Duration(upTo)*time.Millisecond] += n
		}
	})
}

func readWaiting(ctx context.Context, tx pgx.Tx, span Span, from, until time.Time, at func(time.Time) *Slot) error {
	of, _ := span.counts()
	rows := pg.Query(ctx, tx, waitingSQL, from, until, span.Step, of)
	var when time.Time
	var n int64
	return pg.Each(rows, []any{&when, &n}, func() {
		at(when).Waiting = store.Ptr(n)
	})
}
