package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"rollcall/store/customers"
)

const (
	// exportPause is how long the next rows may take, or a reader to take 64 KiB.
	exportPause = time.Minute
	// exportLife is how long an export may take: places are few.
	exportLife = 2 * time.Hour
)

// exportCustomers answers the whole of a store's list as CSV, at the pace of its
// reader: see LimitWrites for who does not read.
func (s *Site) exportCustomers(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r)
	if err != nil {
		return err
	}
	filter, err := customers.ParseExport(r.PathValue("store"), q)
	if err != nil {
		return err
	}
	d := &download{ResponseWriter: w, r: r, rows: newSheet(),
		name: "customers-" + fileName(filter.Store) + s.cfg.Now().UTC().Format("-2006-01-02") + ".csv"}
	if r.Method == http.MethodHead {
		d.header()
		return nil
	}
	leave, err := s.gates.exports.enter(r.Context(), admitted(r).party())
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithTimeoutCause(r.Context(), exportLife, errReader)
	defer cancel()
	checked := time.Now()
	err = customers.New(s.cfg.Store).ExportCustomers(ctx, filter, func(customers []customers.Customer) error {
		if time.Since(checked) >= s.live.check {
			if err := s.stillMay(r); err != nil {
				return fmt.Errorf("%w may not have it any more: %w", errReader, err)
			}
			checked = time.Now()
		}
		s.ids().customers(customers)
		return d.write(customers)
	})
	if err != nil && errors.Is(context.Cause(ctx), errReader) {
		err = fmt.Errorf("%w took longer than %v", errReader, exportLife)
	}
	if err != nil && d.begun {
		s.broken(r, err)
	}
	return err
}

// stillMay tells whether who asked for a store may still see it. A session token of
// Clerk's lasts for a minute, and what it was admitted to may last longer.
func (s *Site) stillMay(r *http.Request) error {
	if v := admitted(r); v.user != "" && !v.admin {
		return s.admitTo(r.Context(), r.PathValue("store"), v)
	}
	_, err := s.admit(sellers, r)
	return err
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
	r     *http.Request
	name  string
	begun bool
	rows  *sheet
}

// write sends customers, and with the first of them, or none, the head.
func (d *download) write(customers []customers.Customer) error {
	if !d.begun {
		d.begun = true
		d.header()
		d.rows.head()
	}
	for i := range customers {
		d.rows.customer(&customers[i])
	}
	_, err := d.rows.WriteTo(d)
	if err == nil {
		err = http.NewResponseController(d.ResponseWriter).Flush()
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", errReader, err)
	}
	return err
}

// Write sends some bytes at a time: as long as the reader takes them, the request
// goes on.
func (d *download) Write(b []byte) (n int, err error) {
	for part := range slices.Chunk(b, stallBytes) {
		prolong(d.r.Context(), exportPause)
		m, err := d.ResponseWriter.Write(part)
		if n += m; err != nil {
			return n, err
		}
	}
	return n, nil
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
