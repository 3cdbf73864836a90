package creators

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"rollcall/store/customers"
	"rollcall/web/core"
)

const (
	// exportPause limits the time to the next rows, or for a client to read 64 KiB.
	exportPause = time.Minute
	// exportLife limits an export, as few may run at a time.
	exportLife = 2 * time.Hour
)

// ExportCustomers streams a store's list as CSV, at the client's pace; LimitWrites
// ends those of clients that do not read.
func (s *Pages) ExportCustomers(w http.ResponseWriter, r *http.Request) error {
	q, err := core.Query(r)
	if err != nil {
		return err
	}
	filter, err := customers.ParseExport(r.PathValue("store"), q)
	if err != nil {
		return err
	}
	d := s.download(w, r)
	if r.Method == http.MethodHead {
		d.header()
		return nil
	}
	err = s.exporting(r, func(ctx context.Context, still func() error) error {
		return customers.New(s.Cfg.Store).ExportCustomers(ctx, filter, func(customers []customers.Customer) error {
			if err := still(); err != nil {
				return err
			}
			s.IDs().Customers(customers)
			return d.write(customers)
		})
	})
	if err != nil && d.begun {
		s.broken(r, err)
	}
	return err
}

// exporting makes an export, of which few run at a time and none for ever. Its maker asks now and then whether the
// visitor may still have it.
func (s *Pages) exporting(r *http.Request, run func(ctx context.Context, still func() error) error) error {
	leave, err := s.Gates.Exports.Enter(r.Context(), core.Admitted(r).Party())
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithTimeoutCause(r.Context(), exportLife, errReader)
	defer cancel()
	checked := time.Now()
	err = run(ctx, func() error {
		if time.Since(checked) < s.Live.Check {
			return nil
		}
		checked = time.Now()
		if err := s.stillMay(r); err != nil {
			return fmt.Errorf("%w may not have it any more: %w", errReader, err)
		}
		return nil
	})
	if err != nil && errors.Is(context.Cause(ctx), errReader) {
		err = fmt.Errorf("%w took longer than %v", errReader, exportLife)
	}
	return err
}

// download is a file for a store's customers.
func (s *Pages) download(w http.ResponseWriter, r *http.Request) *download {
	return &download{ResponseWriter: w, r: r, rows: NewSheet(),
		name: "customers-" + fileName(r.PathValue("store")) + s.Cfg.Now().UTC().Format("-2006-01-02") + ".csv"}
}

// stillMay tells whether the visitor may still see the store. Clerk's session tokens
// last a minute, an export may last longer.
func (s *Pages) stillMay(r *http.Request) error {
	if v := core.Admitted(r); v.User != "" && !v.Admin {
		return s.AdmitTo(r.Context(), r.PathValue("store"), v)
	}
	_, err := s.Admit(core.Sellers, r)
	return err
}

// broken cuts off an answer that has begun, so that half a list never looks complete.
func (s *Pages) broken(r *http.Request, err error) {
	switch {
	case errors.Is(err, errReader):
		s.Cfg.Log.Info("an export was cut off: its reader is gone, or took nothing any more", "path", core.Clip(r.URL.Path),
			"error", err)
	case !core.HungUp(r.Context()):
		s.Cfg.Log.Error("an export broke off", "path", core.Clip(r.URL.Path), "error", err)
	}
	panic(http.ErrAbortHandler)
}

// errReader is the error of a client that stopped reading.
var errReader = errors.New("the reader")

// download streams an export.
type download struct {
	http.ResponseWriter
	r     *http.Request
	name  string
	begun bool
	rows  *sheet
}

// write sends customers; the first call, even without any, also sends the header.
func (d *download) write(customers []customers.Customer) error {
	if !d.begun {
		d.begun = true
		d.header()
		d.rows.head()
	}
	for i := range customers {
		d.rows.Customer(&customers[i])
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

// Write sends b in small pieces, and prolongs the request as the client reads them.
func (d *download) Write(b []byte) (n int, err error) {
	for part := range slices.Chunk(b, core.StallBytes) {
		core.Prolong(d.r.Context(), exportPause)
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

// fileName is s without the characters that file systems refuse.
func fileName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r == '_' || r == '-' {
			return r
		}
		return '-'
	}, s)
	return s[:min(len(s), 60)]
}
