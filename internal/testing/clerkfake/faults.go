package clerkfake

import (
	"net/http"
	"net/http/httptest"
)

// Fault is a way for one request to fail.
type Fault func(c *Clerk, w http.ResponseWriter, r *http.Request, right http.Handler)

// Fail makes the next requests fail, one by each fault. A nil fault lets its
// request through.
func (c *Clerk) Fail(faults ...Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = append(c.faults, faults...)
}

// guard checks the key and does what faults demand.
func (c *Clerk) guard(right http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.requests++
		var fault Fault
		if len(c.faults) > 0 {
			fault, c.faults = c.faults[0], c.faults[1:]
		}
		c.mu.Unlock()
		switch {
		case r.Header.Get("Authorization") != "Bearer "+Key:
			fail(w, http.StatusUnauthorized, "clerk_key_invalid", "The provided Clerk Secret Key is invalid")
		case fault != nil:
			fault(c, w, r, right)
		default:
			right.ServeHTTP(w, r)
		}
	})
}

func fail(w http.ResponseWriter, status int, code, message string) {
	answer(w, status, map[string]any{"errors": []any{map[string]any{"code": code, "message": message,
		"long_message": message}}})
}

// TooMany answers 429; an empty retryAfter leaves the header out.
func TooMany(retryAfter string) Fault {
	return func(_ *Clerk, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		fail(w, http.StatusTooManyRequests, "too_many_requests", "Too many requests")
	}
}

// Status answers with a status and a body that is not Clerk's, as a proxy does.
func Status(status int) Fault {
	return func(_ *Clerk, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		w.Write([]byte("<html><h1>It does not work</h1></html>"))
	}
}

// Hang answers nothing until the client or the test gives up.
func Hang(c *Clerk, _ http.ResponseWriter, r *http.Request, _ http.Handler) {
	select {
	case <-r.Context().Done():
	case <-c.stop:
	}
}

// Cut breaks off in the middle of the right answer.
func Cut(_ *Clerk, w http.ResponseWriter, r *http.Request, right http.Handler) {
	record := httptest.NewRecorder()
	right.ServeHTTP(record, r)
	w.Header().Set("Content-Length", "1000000")
	w.Write(record.Body.Bytes()[:record.Body.Len()/2])
	w.(http.Flusher).Flush() // without a byte of it, clients try again on their own
	panic(http.ErrAbortHandler)
}

// Short sends half of the right answer as if it were all.
func Short(_ *Clerk, w http.ResponseWriter, r *http.Request, right http.Handler) {
	record := httptest.NewRecorder()
	right.ServeHTTP(record, r)
	w.Write(record.Body.Bytes()[:record.Body.Len()/2])
}
