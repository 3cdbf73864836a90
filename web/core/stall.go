package core

import (
	"net/http"
	"slices"
	"time"
)

// StallBytes are written at a time: a reader who takes so many within the time
// for a write goes on for as long as there is something to read.
const StallBytes = 64 << 10

// LimitWrites ends the connections of those who do not read: each 64 KiB of
// every answer must be taken within stall. There is no limit for the whole of an
// answer, as streams and exports last. A reader of 45 KB/s needs 1.5 s.
func LimitWrites(next http.Handler, stall time.Duration) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w := &limitedWriter{rw, http.NewResponseController(rw), stall}
		defer w.extend() // for what net/http has yet to send
		next.ServeHTTP(w, r)
	})
}

type limitedWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
}

// extend gives the next write its time. It does not fail on a connection of
// net/http's.
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
