package core

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/klauspost/compress/gzhttp"

	"rollcall/store/pg"
)

// pagePolicy lets pages load only files of this site, no inline script or style, and
// send forms only to this site. No site may frame them.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Framing lets a page frame others of this site.
func (s *Site) Framing(w http.ResponseWriter) {
	w.Header().Set("Content-Security-Policy", s.policy+"; frame-src 'self'")
}

// compressed compresses text. It adds jitter to the size, so that an attacker who can
// put text into a page does not learn the rest from its size (BREACH).
func compressed(next http.Handler) (http.Handler, error) {
	wrap, err := gzhttp.NewWrapper(gzhttp.RandomJitter(32, 0, false),
		gzhttp.ContentTypes([]string{"text/html", "text/css", "text/javascript", "application/json", "image/svg+xml"}))
	if err != nil {
		return nil, err
	}
	zipped := wrap(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/live") || strings.HasSuffix(r.URL.Path, ".csv") || underMonitoring(r) {
			next.ServeHTTP(w, r) // streams, and asynqmon's pages
			return
		}
		zipped.ServeHTTP(w, r)
	}), nil
}

// Guarded sets the headers of every answer and refuses cross-site requests.
func (s *Site) Guarded(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	// Mail programs send it (RFC 8058), some from pages of their own. It takes no cookie: the token in
	// its path is the permission.
	protection.AddInsecureBypassPattern("POST /mail/u/{token}")
	protection.SetDenyHandler(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.Refuse(w, r, errCrossSite) }))
	next = protection.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", s.policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		// "no-referrer" would make browsers send "Origin: null" with our own forms.
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// recovered answers a request whose handler panicked. After the first byte a 500 is
// too late: the connection must be cut, or the answer would look complete.
func (s *Site) recovered(w *recorder, r *http.Request, cause any) (cut bool) {
	if cause == nil || cause == http.ErrAbortHandler { //nolint:errorlint // as net/http compares it
		return cause != nil
	}
	s.Cfg.Log.ErrorContext(r.Context(), "panic", "route", routeOf(r), "cause", pg.WithoutAddresses(fmt.Sprint(cause)),
		"stack", string(debug.Stack()))
	if w.status != 0 {
		return true
	}
	s.Refuse(w, r, errInternal)
	return false
}

// Clip shortens a visitor's text for the log.
func Clip(s string) string { return s[:min(len(s), 200)] }

// recorder notes the status and size of an answer.
type recorder struct {
	http.ResponseWriter
	status int // 0: nothing yet
	bytes  int64
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
