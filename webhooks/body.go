package webhooks

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// firstBytes is the memory a body gets before any of it has arrived: most events
// fit. It then grows by growth, as more arrives, so that nobody gets memory for
// announcing a large body.
const (
	firstBytes = 4 << 10
	growth     = 4
	largeBody  = 64 << 10 // one at a time is verified
)

// errOverloaded ends the reading of a body that there is no memory for.
var errOverloaded = &refusal{Code: overloaded, Message: "this server is reading as many bodies as it has memory for: send the event again after the seconds in Retry-After"}

// budget bounds the memory of all bodies that are being read. Anybody can send
// one, as a signature can only be checked over the whole. Once the budget is
// used up, the bodies that hold the most for the longest are cut off: a signed
// event is small and arrives at once, so that is none. Nobody waits. What was cut
// off gives its memory back a moment later; until then up to twice the budget is
// in use, and beyond that everybody is refused.
type budget struct {
	limit int64

	mu      sync.Mutex
	used    int64
	leaving int64 // held by those cut off; part of used
	reading map[*reading]bool
}

// reading is one body on its way in.
type reading struct {
	began time.Time
	held  int64
	cut   bool
	stop  func() // makes the read under way fail
}

func newBudget(limit int64) *budget {
	return &budget{limit: limit, reading: map[*reading]bool{}}
}

// bytes is the memory in use.
func (b *budget) bytes() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// begin counts a body in. Each is ended with end.
func (b *budget) begin(stop func()) *reading {
	r := &reading{began: time.Now(), stop: stop}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading[r] = true
	return r
}

// end gives back what a body held.
func (b *budget) end(r *reading) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= r.held
	if r.cut {
		b.leaving -= r.held
	}
	delete(b.reading, r)
}

// take gives n more bytes to a body, and cuts off others to make up for them.
func (b *budget) take(r *reading, n int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.cut || b.used+n > 2*b.limit {
		return errOverloaded
	}
	r.held += n
	b.used += n
	for b.used-b.leaving > b.limit {
		worst := b.worst()
		worst.cut = true
		b.leaving += worst.held
		if worst == r {
			return errOverloaded
		}
		worst.stop()
	}
	return nil
}

// give takes n bytes back.
func (b *budget) give(r *reading, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.held -= n
	b.used -= n
	if r.cut {
		b.leaving -= n
	}
}

// worst is the body that holds the most for the longest, of those not cut off.
func (b *budget) worst() (worst *reading) {
	now, most := time.Now(), -1.0
	for r := range b.reading {
		if weight := float64(r.held) * now.Sub(r.began).Seconds(); !r.cut && weight > most {
			worst, most = r, weight
		}
	}
	return worst
}

// read reads the whole body, or nothing of it counts. Its memory counts until
// done is called.
func (r *Receiver) read(w http.ResponseWriter, req *http.Request) (body []byte, done func(), err error) {
	control := http.NewResponseController(w)
	// Neither call fails on a connection of net/http's.
	control.SetReadDeadline(time.Now().Add(r.cfg.BodyTimeout))
	reading := r.budget.begin(func() { control.SetReadDeadline(time.Unix(1, 0)) })
	done = func() { r.budget.end(reading) }
	body, err = r.readAll(reading, req)
	var told *refusal
	switch {
	case reading.isCut(r.budget):
		err = errOverloaded
	case err == nil:
		control.SetReadDeadline(time.Time{})
	case !errors.As(err, &told):
		err = &refusal{incompleteBody, "the body did not arrive whole: send the event again", err}
	}
	return body, done, err
}

// isCut tells whether a body was cut off.
func (r *reading) isCut(b *budget) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return r.cut
}

// readAll reads a body into memory that grows with it.
func (r *Receiver) readAll(of *reading, req *http.Request) ([]byte, error) {
	most := r.cfg.BodyLimit + 1 // one byte too many shows that it is too large
	if req.ContentLength >= 0 {
		most = req.ContentLength
	}
	var body []byte
	for size := min(firstBytes, most); ; size = min(growth*size, most) {
		if err := r.budget.take(of, size); err != nil {
			return nil, err
		}
		grown := append(make([]byte, 0, size), body...)
		r.budget.give(of, int64(cap(body)))
		body = grown
		for len(body) < cap(body) {
			n, err := req.Body.Read(body[len(body):cap(body)])
			body = body[:len(body)+n]
			if err == io.EOF {
				return body, r.checkSize(body)
			}
			if err != nil {
				return nil, err
			}
		}
		if int64(len(body)) == most {
			return body, r.checkSize(body)
		}
	}
}

func (r *Receiver) checkSize(body []byte) error {
	if int64(len(body)) > r.cfg.BodyLimit {
		return tooLarge(r.cfg.BodyLimit)
	}
	return nil
}

func tooLarge(limit int64) error {
	return refuse(bodyTooLarge, "the body is larger than %d bytes", limit)
}
