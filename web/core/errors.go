package core

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

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
	ErrNoRoute   = &Failure{http.StatusNotFound, "not_found", "There is nothing at this address."}
	errNotFound  = &Failure{http.StatusNotFound, "not_found", "There is no such thing here."}
	ErrMethod    = &Failure{http.StatusMethodNotAllowed, "method_not_allowed", "This address does not take that method; the Allow header names those it takes."}
	ErrStranger  = &Failure{http.StatusUnauthorized, "unauthorized", "Send a token that may see this: Authorization: Bearer TOKEN."}
	ErrForm      = &Failure{http.StatusBadRequest, "invalid_form", "The form did not arrive whole: send it again."}
	errBodyType  = &Failure{http.StatusUnsupportedMediaType, "unsupported_media_type", "Send the body as JSON: Content-Type: application/json."}
	errBodySize  = &Failure{http.StatusRequestEntityTooLarge, "too_large", "The body is larger than what is taken here, 64 KiB."}
	errQuery     = &Failure{http.StatusBadRequest, "invalid_parameter", "The part of the address after the question mark cannot be read: check its % signs."}
	errCrossSite = &Failure{http.StatusForbidden, "cross_origin", "This was sent by a page of another site, so nothing was done."}
	ErrEnded     = &Failure{http.StatusUnauthorized, "unauthorized", "This token has expired or was revoked: send another."}
	ErrTooMany   = &Failure{http.StatusTooManyRequests, "too_many_requests", "Too many wrong tokens were sent, from your address or from all together: wait some seconds before you try another. The right one is taken at any time."}
	ErrNoKeys    = &Failure{http.StatusServiceUnavailable, "unavailable", "Clerk does not tell its keys just now, so its sessions cannot be checked: try again in a few seconds."}
	errAway      = &Failure{http.StatusServiceUnavailable, "unavailable", "The database does not answer just now: try again in a few seconds."}
	ErrBusy      = &Failure{http.StatusServiceUnavailable, "busy", "This server has as many requests of this kind under way as it takes at a time: try again in some seconds."}
	ErrCrowd     = &Failure{http.StatusTooManyRequests, "too_many_requests", "You have as many requests of this kind under way as one visitor may: wait for one to end, then try again."}
	ErrSlow      = &Failure{http.StatusServiceUnavailable, "too_slow", "The database took too long to count or find those who meet this filter: narrow it down, or try again later."}
	errInternal  = &Failure{http.StatusInternalServerError, "internal", "Something went wrong here; the log of the server says what."}
	// 503, as the receiver answers without secrets: it is not the visitor's mistake.
	ErrNoToken = &Failure{http.StatusServiceUnavailable, "not_configured", "This is for operators, and this server has none: set ADMIN_TOKEN and start it again."}
)

// Explain turns an error into the answer that a visitor may see. Only here do kinds
// of errors become statuses.
func Explain(err error) *Failure {
	var told *Failure
	var bad *pg.BadParam
	var running *store.AlreadyRunning
	var wrong *store.WrongStatus
	switch {
	case errors.As(err, &told):
		return told
	case errors.As(err, &bad):
		return &Failure{http.StatusBadRequest, "invalid_parameter", bad.Error()}
	case errors.As(err, &running):
		return &Failure{http.StatusConflict, "already_running", fmt.Sprintf(
			"Backfill %d of this kind and scope is %s: look at it, or cancel it first.", running.Backfill.ID, running.Backfill.Status)}
	case errors.As(err, &wrong):
		return &Failure{http.StatusConflict, "wrong_status", fmt.Sprintf(
			"Backfill %d is %s: this can be done only to one that is %s.", wrong.ID, wrong.Status, wrong.Want)}
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
		err := h(w, r.WithContext(ctx))
		if err == nil {
			return
		}
		f := Explain(err)
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
	s.Page(w, f.Status, "failure.html", s.FailurePage(r, f))
}

// Page renders a template. A template that fails is a bug and panics.
func (s *Site) Page(w http.ResponseWriter, status int, name string, data any) {
	var text bytes.Buffer
	if err := s.pages.ExecuteTemplate(&text, name, data); err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(text.Bytes())
}
