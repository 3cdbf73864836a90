package core

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"rollcall/internal/show"
	"rollcall/store"
	"rollcall/store/pg"
)

// AskTimeout limits how long a request may use Postgres without progress.
const AskTimeout = 20 * time.Second

// Failure is the answer to a request that failed.
type Failure struct {
	Status  int    `json:"-"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (f *Failure) Error() string { return f.Code + ": " + f.Message }

// The failures that have an answer of their own.
var (
	ErrNoRoute  = &Failure{http.StatusNotFound, "not_found", "There is nothing at this address."}
	errNotFound = &Failure{http.StatusNotFound, "not_found",
		"Not found. It may have been removed, or you don't have access."}
	ErrMethod = &Failure{http.StatusMethodNotAllowed, "method_not_allowed",
		"This method is not allowed here. See the Allow header."}
	ErrStranger = &Failure{http.StatusUnauthorized, "unauthorized",
		"Send a token with access to this: Authorization: Bearer TOKEN."}
	ErrForm     = &Failure{http.StatusBadRequest, "invalid_form", "The form is incomplete. Send it again."}
	errBodyType = &Failure{http.StatusUnsupportedMediaType, "unsupported_media_type",
		"Send the body as JSON: Content-Type: application/json."}
	errBodySize = &Failure{http.StatusRequestEntityTooLarge, "too_large", "The body is larger than 64 KiB."}
	errQuery    = &Failure{http.StatusBadRequest, "invalid_parameter",
		"The query string is not valid. Check its % signs."}
	errCrossSite = &Failure{http.StatusForbidden, "cross_origin",
		"This request came from a page of another site, so it was rejected."}
	ErrEnded = &Failure{http.StatusUnauthorized, "unauthorized",
		"This token has expired or was revoked. Send another one."}
	ErrSignedOut = &Failure{http.StatusUnauthorized, "unauthorized",
		"You signed out here. Sign out of the marketplace too, then sign in again."}
	ErrTooMany = &Failure{http.StatusTooManyRequests, "too_many_requests",
		"Too many wrong tokens were sent. Wait a few seconds before you try another one. The right token always works."}
	ErrNoKeys = &Failure{http.StatusServiceUnavailable, "unavailable",
		"Clerk's keys are not available, so sessions cannot be checked. Try again in a few seconds."}
	errAway = &Failure{http.StatusServiceUnavailable, "unavailable",
		"The database is not available. Try again in a few seconds."}
	ErrBusy = &Failure{http.StatusServiceUnavailable, "busy",
		"The server is busy with other requests of this kind. Try again in a few seconds."}
	ErrCrowd = &Failure{http.StatusTooManyRequests, "too_many_requests",
		"You have too many requests of this kind running. Wait for one to end, then try again."}
	ErrCounting = &Failure{http.StatusServiceUnavailable, "counting",
		"The results of this campaign are being counted. Try again in a few seconds."}
	ErrSlow = &Failure{http.StatusServiceUnavailable, "too_slow",
		"The database took too long. Narrow the filter, or try again later."}
	errOldLink = &Failure{http.StatusBadRequest, "invalid_parameter",
		"The link to this part of the page is no longer valid. Begin at its start."}
	errInternal = &Failure{http.StatusInternalServerError, "internal",
		"Something went wrong. The server's log has the details."}
	// 503, as the receiver answers without secrets: it is not the visitor's mistake.
	ErrNoToken = &Failure{http.StatusServiceUnavailable, "not_configured",
		"This is for operators, but ADMIN_TOKEN is not set. Set it and restart the server."}
)

// Explain turns an error into the answer that a visitor may see. Only here do kinds
// of errors become statuses.
func Explain(err error) *Failure {
	var told *Failure
	var bad *pg.BadParam
	var running *store.AlreadyRunning
	var wrong *store.WrongStatus
	var conflict *pg.Conflict
	switch {
	case errors.As(err, &told):
		return told
	case errors.As(err, &bad):
		return &Failure{http.StatusBadRequest, "invalid_parameter", bad.Error()}
	case errors.As(err, &conflict):
		return &Failure{http.StatusConflict, conflict.Code, conflict.Reason}
	case errors.As(err, &running):
		return &Failure{http.StatusConflict, "already_running", fmt.Sprintf(
			"Backfill %d of this kind and scope is %s. Wait for it, or cancel it first.", running.Backfill.ID,
			running.Backfill.Status)}
	case errors.As(err, &wrong):
		return &Failure{http.StatusConflict, "wrong_status", fmt.Sprintf(
			"Backfill %d is %s. This works only for a backfill that is %s.", wrong.ID, wrong.Status, wrong.Want)}
	case errors.Is(err, pg.ErrNotFound):
		return errNotFound
	case pg.TimedOut(err):
		return ErrSlow
	case pg.Unavailable(err), pg.Outdated(err), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return errAway
	}
	return errInternal
}

// Answer makes an http.Handler of h: an error becomes an answer, and is logged if
// the fault is the server's.
func (s *Site) Answer(h Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := Limited(r.Context(), AskTimeout)
		defer cancel()
		if !IsAPI(r) {
			ctx = show.InZone(show.InLocale(ctx, localeOf(r)), zoneOf(r))
		}
		err := h(w, r.WithContext(ctx))
		if err == nil {
			return
		}
		f := Explain(err)
		if bad, is := errors.AsType[*pg.BadParam](err); is && bad.Name == ErrCursor.Name && !IsAPI(r) {
			f = errOldLink
		}
		if f.Status >= 500 && r.Context().Err() == nil { // else the client hung up
			LogOf(r.Context()).err = err
		}
		s.Refuse(w, r, f)
	})
}

// limitKey is the context key of the timer that Limited sets.
type limitKey struct{}

// Limited returns a context that ends after d, unless Prolong postpones that.
func Limited(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(d, func() { cancel(context.DeadlineExceeded) })
	return context.WithValue(ctx, limitKey{}, timer), func() {
		timer.Stop()
		cancel(context.Canceled)
	}
}

// Prolong makes the limit of ctx end d from now.
func Prolong(ctx context.Context, d time.Duration) {
	if timer, ok := ctx.Value(limitKey{}).(*time.Timer); ok {
		timer.Reset(d)
	}
}

// HungUp tells whether the client is gone.
func HungUp(ctx context.Context) bool { return errors.Is(context.Cause(ctx), context.Canceled) }

// Refuse answers a request that failed: JSON for programs, a page for browsers.
func (s *Site) Refuse(w http.ResponseWriter, r *http.Request, f *Failure) {
	LogOf(r.Context()).code = f.Code
	if wait := RetryAfter(f); wait != "" {
		w.Header().Set("Retry-After", wait)
	}
	switch {
	case f.Status == http.StatusUnauthorized && underMonitoring(r):
		w.Header().Set("WWW-Authenticate", `Basic realm="rollcall: any user, ADMIN_TOKEN as password", charset="UTF-8"`)
	case f.Status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="rollcall"`)
	}
	if f == ErrStranger && isAdminPage(r) && Presented(r) == "" {
		leadToSignIn(w, r)
		return
	}
	if IsAPI(r) {
		WriteJSON(w, f.Status, map[string]*Failure{"error": f})
		return
	}
	if err := s.Page(w, f.Status, "failure.html", s.FailurePage(r, f)); err != nil {
		panic(err) // a bug, which has no other page
	}
}

// pages keeps the memory of pages that were sent, for the next: a list takes some 100 KB.
var pages = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// Page answers a page. The error is that of its template.
func (s *Site) Page(w http.ResponseWriter, status int, name string, data any) error {
	text := pages.Get().(*bytes.Buffer)
	defer pages.Put(text)
	text.Reset()
	if err := s.write(text, name, data); err != nil {
		return err
	}
	if _, ok := data.(viewed); ok {
		w.Header().Add("Vary", "Accept-Language")
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(text.Bytes()) // the client may be gone
	return nil
}
