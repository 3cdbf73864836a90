package core

import (
	"net/http"
	"slices"
	"time"
)

// StallBytes is the size of a write: a client that reads this much within the time
// of a write may go on as long as the answer lasts.
const StallBytes = 64 << 10

// LimitWrites closes the connection of a client that does not read 64 KiB within
// stall. The whole answer has no limit, because streams and exports last.
func LimitWrites(next http.Handler, stall time.Duration) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w := &limitedWriter{rw, http.NewResponseController(rw), stall}
		defer w.extend() // for the rest that net/http sends
		next.ServeHTTP(w, r)
	})
}

type limitedWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
}

// extend renews the deadline. It does not fail on net/http's connections.
func (w *limitedWriter) extend() { w.control.SetWriteDeadline(time.Now().Add(w.stall)) }

func (w *limitedWriter) Write(b []byte) (n int, err error) {
	if len(b) <= StallBytes {
		w.extend()
		return w.ResponseWriter.Write(b)
	}
	for part := range slices.Chunk(b, StallBytes) {
		w.extend()
		m, err := w.ResponseWriter.Write(part)
		if n += m; err != nil {
			return n, err
		}
	}
	return n, nil
}

// FlushError is for http.ResponseController.
func (w *limitedWriter) FlushError() error {
	w.extend()
	return w.control.Flush()
}

// Unwrap is for http.ResponseController.
func (w *limitedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
