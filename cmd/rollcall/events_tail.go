package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"rollcall/store"
	"rollcall/store/inbox"
	"rollcall/store/pg"
)

type eventsTailCmd struct {
	Source string `name:"source" placeholder:"SOURCE" predictor:"source" help:"Only events from stripe, clerk or platform."`
	Status string `name:"status" placeholder:"STATUS" predictor:"status" help:"Only events that end up processed, ignored or failed; or pending: those that wait."`
	Type   string `name:"type" placeholder:"TYPE" predictor:"type" help:"Only events of this type, for example invoice.paid."`
	JSON   bool   `name:"json" help:"Print JSON, an event a line."`
}

// Help is shown below the usage.
func (eventsTailCmd) Help() string {
	return `Prints each event that arrives from now on, with what became of it: as soon as it is applied, and after a ` +
		`second if it waits. Ctrl-C ends it.`
}

const (
	tailEvery = 200 * time.Millisecond // between two looks at the inbox
	// tailReach is how long an event may be committed after one with a higher id.
	tailReach = 10 * time.Second
	// tailPatience is how long an event may wait before it is shown as pending.
	tailPatience = time.Second
)

// filter is what of the inbox is read. Of a status to come, events that wait are read too.
func (c eventsTailCmd) filter() store.EventFilter {
	return store.EventFilter{Source: c.Source, Type: c.Type, Limit: pg.MaxLimit}
}

// tail follows the inbox.
type tail struct {
	eventsTailCmd
	e     *env
	in    *inbox.Reader
	whole time.Time           // when all above the floor was read
	floor int64               // events up to it are known, or older than this tail
	highs []high              // newest ids of the last looks
	known map[int64]bool      // events above the floor that were seen
	open  map[int64]time.Time // pending events, since when; zero: shown as such
}

// high is the newest id at a time.
type high struct {
	at time.Time
	id int64
}

func (c eventsTailCmd) Run(e *env) error {
	filter := c.filter()
	filter.Status = c.Status
	if _, _, err := filter.Check(); err != nil {
		return plain(err)
	}
	s, err := e.open()
	if err != nil {
		return err
	}
	defer s.Close()
	t := &tail{eventsTailCmd: c, e: e, in: inbox.New(s), known: map[int64]bool{}, open: map[int64]time.Time{}}
	newest, _, err := t.in.Events(e, store.EventFilter{Limit: 1})
	if err != nil {
		return err
	}
	if len(newest) > 0 {
		t.floor = newest[0].ID
	}
	fmt.Fprintln(e.err, "Waiting for events. Ctrl-C ends it.")
	if !c.JSON {
		t.line("RECEIVED (UTC)", "SOURCE", "TYPE", "STATUS", "SENDER'S ID", "REMARK")
	}
	return t.follow()
}

// follow looks at the inbox until a signal, or until Postgres goes away.
func (t *tail) follow() error {
	for tick := time.NewTicker(tailEvery); ; {
		err := t.look(time.Now())
		switch {
		case t.e.Err() != nil:
			return nil // it is how it ends
		case err != nil:
			return err
		}
		select {
		case <-tick.C:
		case <-t.e.Done():
			return nil
		}
	}
}

// look shows what is new.
func (t *tail) look(now time.Time) error {
	fresh, err := t.arrived(now)
	if err != nil {
		return err
	}
	all, err := t.in.EventsWithIDs(t.e, slices.Collect(maps.Keys(t.open)))
	if err != nil {
		return err
	}
	all = append(all, fresh...)
	slices.SortFunc(all, func(a, b store.Event) int { return cmp.Compare(a.ID, b.ID) })
	for _, v := range all {
		t.known[v.ID] = true
		if err := t.show(v, now); err != nil {
			return err
		}
	}
	t.forget(now, fresh)
	return nil
}

// arrived reads the events above the floor that were not seen yet. A page without any
// ends it, except once in a while: an event may be committed after many with higher ids.
func (t *tail) arrived(now time.Time) (fresh []store.Event, err error) {
	whole := now.Sub(t.whole) > tailReach/5
	if whole {
		t.whole = now
	}
	for f := t.filter(); ; {
		page, next, err := t.in.Events(t.e, f)
		if err != nil {
			return nil, err
		}
		before := len(fresh)
		for _, v := range page {
			if v.ID > t.floor && !t.known[v.ID] {
				fresh = append(fresh, v)
			}
		}
		f.Cursor = next
		if next == "" || len(page) == 0 || page[len(page)-1].ID <= t.floor || len(fresh) == before && !whole {
			return fresh, nil
		}
	}
}

// show prints an event that is done, or that waits for too long.
func (t *tail) show(v store.Event, now time.Time) error {
	since, waits := t.open[v.ID]
	if v.Status != "pending" {
		delete(t.open, v.ID)
		return t.print(v)
	}
	switch {
	case !waits:
		t.open[v.ID] = now
	case !since.IsZero() && now.Sub(since) > tailPatience:
		t.open[v.ID] = time.Time{}
		return t.print(v)
	}
	return nil
}

// forget raises the floor to what was the newest event some time ago.
func (t *tail) forget(now time.Time, fresh []store.Event) {
	newest := t.floor
	for _, v := range fresh {
		newest = max(newest, v.ID)
	}
	t.highs = append(t.highs, high{now, newest})
	for len(t.highs) > 0 && now.Sub(t.highs[0].at) > tailReach {
		t.floor = max(t.floor, t.highs[0].id)
		t.highs = t.highs[1:]
	}
	maps.DeleteFunc(t.known, func(id int64, _ bool) bool { return id <= t.floor })
}

func (t *tail) print(v store.Event) error {
	if t.Status != "" && t.Status != v.Status {
		return nil
	}
	if t.JSON {
		return json.NewEncoder(t.e.out).Encode(v)
	}
	return t.line(dateTime(&v.ReceivedAt), v.Source, v.Type, v.Status, v.EventID, clip(deref(v.LastError), 80))
}

// line prints a row; the widths are those of most events.
func (t *tail) line(cells ...string) error {
	text := fmt.Sprintf("%-19s  %-8s  %-32s  %s  %-32s  %s", cells[0], cells[1], harmless(cells[2]),
		statusColour(t.e.ink(), fmt.Sprintf("%-9s", cells[3])), harmless(cells[4]), harmless(cells[5]))
	_, err := fmt.Fprintln(t.e.out, text)
	return err
}
