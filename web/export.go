package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"rollcall/store"
)

const (
	// exports is how many lists are exported at a time: each holds a connection
	// to Postgres for as long as its reader takes.
	exports = 2
	// exportQueue is how long one more waits for its turn.
	exportQueue = 10 * time.Second
	// exportStall is how long a reader may take nothing. It is what keeps one
	// that is gone, or asleep, from holding a transaction open.
	exportStall = 30 * time.Second
	// exportPause is how long the next rows may take, that included.
	exportPause = time.Minute
)

// exportCustomers answers the whole of a store's list as CSV. Its time is not
// limited as long as it goes on.
func (s *Site) exportCustomers(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r)
	if err != nil {
		return err
	}
	filter, err := store.ParseExport(r.PathValue("store"), q)
	if err != nil {
		return err
	}
	d := &download{ResponseWriter: w, control: http.NewResponseController(w), stall: s.exportStall, rows: newSheet(),
		name: "customers-" + fileName(filter.Store) + s.cfg.Now().UTC().Format("-2006-01-02") + ".csv"}
	if r.Method == http.MethodHead {
		d.header()
		return nil
	}
	if err := s.exportTurn(r.Context()); err != nil {
		return err
	}
	defer func() { <-s.exporting }()
	err = s.cfg.Store.ExportCustomers(r.Context(), filter, func(customers []store.Customer) error {
		prolong(r.Context(), exportPause)
		s.ids().customers(customers)
		return d.write(customers)
	})
	if err != nil && d.begun {
		s.broken(r, err)
	}
	return err
}

// exportTurn waits until one more list may be exported.
func (s *Site) exportTurn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.exportQueue)
	defer cancel()
	select {
	case s.exporting <- struct{}{}:
		return nil
	case <-ctx.Done():
		return errBusy
	}
}

// broken cuts off an answer that has begun: half a list must not pass for whole.
func (s *Site) broken(r *http.Request, err error) {
	switch {
	case errors.Is(err, errReader):
		s.cfg.Log.Info("an export was cut off: its reader is gone, or took nothing any more", "path", clip(r.URL.Path), "error", err)
	case !hungUp(r.Context()):
		s.cfg.Log.Error("an export broke off", "path", clip(r.URL.Path), "error", err)
	}
	panic(http.ErrAbortHandler)
}

// errReader is what went wrong if it is not ours.
var errReader = errors.New("the reader")

// download is an answer that comes some rows at a time.
type download struct {
	http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
	name    string
	begun   bool
	rows    *sheet
}

// write sends customers, and with the first of them, or none, the head.
func (d *download) write(customers []store.Customer) error {
	if !d.begun {
		d.begun = true
		d.header()
		d.rows.head()
	}
	for i := range customers {
		d.rows.customer(&customers[i])
	}
	err := d.control.SetWriteDeadline(time.Now().Add(d.stall))
	if err == nil {
		_, err = d.rows.WriteTo(d)
	}
	if err == nil {
		err = d.control.Flush()
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", errReader, err)
	}
	return err
}

func (d *download) header() {
	h := d.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8; header=present")
	h.Set("Content-Disposition", `attachment; filename="`+d.name+`"`)
}

// fileName is what every file system takes of s as part of a name.
func fileName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r == '_' || r == '-' {
			return r
		}
		return '-'
	}, s)
	return s[:min(len(s), 60)]
}
