package web

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

// askTimeout limits how long a request may keep Postgres busy without progress.
const askTimeout = 20 * time.Second

// failure is why a request got no answer, in words for whoever asked.
type failure struct {
	Status  int    `json:"-"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (f *failure) Error() string { return f.Code + ": " + f.Message }

var (
	errNoRoute   = &failure{http.StatusNotFound, "not_found", "There is nothing at this address."}
	errNotFound  = &failure{http.StatusNotFound, "not_found", "There is no such thing here."}
	errMethod    = &failure{http.StatusMethodNotAllowed, "method_not_allowed", "This address does not take that method; the Allow header names those it takes."}
	errStranger  = &failure{http.StatusUnauthorized, "unauthorized", "Send a token that may see this: Authorization: Bearer TOKEN."}
	errForm      = &failure{http.StatusBadRequest, "invalid_form", "The form did not arrive whole: send it again."}
	errBodyType  = &failure{http.StatusUnsupportedMediaType, "unsupported_media_type", "Send the body as JSON: Content-Type: application/json."}
	errBodySize  = &failure{http.StatusRequestEntityTooLarge, "too_large", "The body is larger than what is taken here, 64 KiB."}
	errQuery     = &failure{http.StatusBadRequest, "invalid_parameter", "The part of the address after the question mark cannot be read: check its % signs."}
	errCrossSite = &failure{http.StatusForbidden, "cross_origin", "This was sent by a page of another site, so nothing was done."}
	errEnded     = &failure{http.StatusUnauthorized, "unauthorized", "This token has expired or was revoked: send another."}
	errTooMany   = &failure{http.StatusTooManyRequests, "too_many_requests", "Too many wrong tokens were sent, from your address or from all together: wait some seconds before you try another. The right one is taken at any time."}
	errNoKeys    = &failure{http.StatusServiceUnavailable, "unavailable", "Clerk does not tell its keys just now, so its sessions cannot be checked: try again in a few seconds."}
	errAway      = &failure{http.StatusServiceUnavailable, "unavailable", "The database does not answer just now: try again in a few seconds."}
	errBusy      = &failure{http.StatusServiceUnavailable, "busy", "This server has as many requests of this kind under way as it takes at a time: try again in some seconds."}
	errCrowd     = &failure{http.StatusTooManyRequests, "too_many_requests", "You have as many requests of this kind under way as one visitor may: wait for one to end, then try again."}
	errSlow      = &failure{http.StatusServiceUnavailable, "too_slow", "The database took too long to count or find those who meet this filter: narrow it down, or try again later."}
	errInternal  = &failure{http.StatusInternalServerError, "internal", "Something went wrong here; the log of the server says what."}
	// As the receiver of webhooks says it of its secrets: no other token would
	// do, so this is not the visitor's mistake but something to be set up.
	errNoToken = &failure{http.StatusServiceUnavailable, "not_configured", "This is for operators, and this server has none: set ADMIN_TOKEN and start it again."}
)

// explain turns an error into what whoever asked may know of it: the one place
// where kinds of errors become statuses.
func explain(err error) *failure {
	var told *failure
	var bad *pg.BadParam
	var running *store.AlreadyRunning
	var wrong *store.WrongStatus
	switch {
	case errors.As(err, &told):
		return told
	case errors.As(err, &bad):
		return &failure{http.StatusBadRequest, "invalid_parameter", bad.Error()}
	case errors.As(err, &running):
		return &failure{http.StatusConflict, "already_running", fmt.Sprintf(
			"Backfill %d of this kind and scope is %s: look at it, or cancel it first.", running.Backfill.ID, running.Backfill.Status)}
	case errors.As(err, &wrong):
		return &failure{http.StatusConflict, "wrong_status", fmt.Sprintf(
			"Backfill %d is %s: this can be done only to one that is %s.", wrong.ID, wrong.Status, wrong.Want)}
	case errors.Is(err, pg.ErrNotFound):
		return errNotFound
	case pg.TimedOut(err):
		return errSlow
	case pg.Unavailable(err), pg.Outdated(err), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return errAway
	}
	return errInternal
}

// answer makes a handler of ours one of net/http's: an error becomes an answer
// and, if it is our fault, goes into the log.
func (s *Site) answer(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := limited(r.Context(), askTimeout)
		defer cancel()
		err := h(w, r.WithContext(ctx))
		if err == nil {
			return
		}
		f := explain(err)
		if f.Status >= 500 && r.Context().Err() == nil { // else they have hung up
			tellingOf(r.Context()).err = err
		}
		s.refuse(w, r, f)
	})
}

// limitKey is where a context has its limit.
type limitKey struct{}

// limited returns a context that ends after d, unless it is prolonged before.
func limited(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(d, func() { cancel(context.DeadlineExceeded) })
	return context.WithValue(ctx, limitKey{}, timer), func() {
		timer.Stop()
		cancel(context.Canceled)
	}
}

// prolong gives a request that makes progress d from now on.
func prolong(ctx context.Context, d time.Duration) {
	if timer, ok := ctx.Value(limitKey{}).(*time.Timer); ok {
		timer.Reset(d)
	}
}

// hungUp tells whether whoever asked is gone.
func hungUp(ctx context.Context) bool { return errors.Is(context.Cause(ctx), context.Canceled) }

// refuse answers a request that failed, as JSON to programs, else as a page.
func (s *Site) refuse(w http.ResponseWriter, r *http.Request, f *failure) {
	tellingOf(r.Context()).code = f.Code
	if wait := retryAfter(f); wait != "" {
		w.Header().Set("Retry-After", wait)
	}
	switch {
	case f.Status == http.StatusUnauthorized && underMonitoring(r):
		w.Header().Set("WWW-Authenticate", `Basic realm="rollcall: any user, ADMIN_TOKEN as password", charset="UTF-8"`)
	case f.Status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="rollcall"`)
	}
	if f == errStranger && isAdminPage(r) && presented(r) == "" {
		leadToSignIn(w, r)
		return
	}
	if isAPI(r) {
		writeJSON(w, f.Status, map[string]*failure{"error": f})
		return
	}
	s.page(w, f.Status, "failure.html", s.failurePage(r, f))
}

// page writes a page; a template that fails is a bug and panics.
func (s *Site) page(w http.ResponseWriter, status int, name string, data any) {
	var text bytes.Buffer
	if err := s.pages.ExecuteTemplate(&text, name, data); err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(text.Bytes())
}
