package creators

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/web/core"
)

// segmentCount is the data of the template "size": a count, and when it was counted.
type segmentCount struct {
	N     int64
	AsOf  time.Time
	Known bool // false: too much is being counted just now
}

// SegmentCount shows how many customers a filter selects, as a part of a page.
func (s *Pages) SegmentCount(w http.ResponseWriter, r *http.Request) error {
	q, err := core.Query(r)
	if err != nil {
		return err
	}
	f, err := customers.ParseFilter(r.PathValue("store"), q)
	if err != nil {
		return err
	}
	count, err := s.sizeNow(r, f)
	if err != nil {
		return err
	}
	return s.Page(w, http.StatusOK, "size", count)
}

// sizeNow counts what a filter selects, or returns a count of the last minute. It is not
// known if that takes too long just now.
func (s *Pages) sizeNow(r *http.Request, f customers.Filter) (segmentCount, error) {
	f.Sort, f.Cursor, f.Limit = "", "", 0
	count, err := s.counts.of(f, s.Cfg.Now(), func() (n int64, err error) {
		err = s.Counting(r.Context(), f.Quick(), func() (err error) {
			n, err = customers.New(s.Cfg.Store).Count(r.Context(), f)
			return err
		})
		return n, err
	})
	if errors.Is(err, core.ErrCrowd) || errors.Is(err, core.ErrBusy) || pg.TimedOut(err) {
		err = nil
	}
	return count, err
}

// counts are the counts of filters that were asked for lately.
type counts struct {
	mu    sync.Mutex
	known map[customers.Filter]segmentCount
}

const (
	countFor  = time.Minute // a count is shown for so long
	mostKnown = 1000
)

// last is the last count of a filter, however long ago; not Known: there is none.
func (c *counts) last(f customers.Filter) segmentCount {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[f]
}

// of is the count of a filter, counted anew if the last is too old.
func (c *counts) of(f customers.Filter, now time.Time, count func() (int64, error)) (segmentCount, error) {
	c.mu.Lock()
	known, ok := c.known[f]
	c.mu.Unlock()
	if ok && now.Sub(known.AsOf) < countFor {
		return known, nil
	}
	n, err := count()
	if err != nil {
		return segmentCount{}, err
	}
	known = segmentCount{N: n, AsOf: now, Known: true}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= mostKnown || c.known == nil {
		c.known = map[customers.Filter]segmentCount{}
	}
	c.known[f] = known
	return known, nil
}
