package webhooks

import (
	"cmp"
	"errors"
	"io"
	"net/http"
	"slices"
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
	leaving int64             // held by those cut off; part of used
	reading map[*reading]bool // those not cut off
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
		delete(b.reading, worst)
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

// sample is among how many the worst is sought, of as many as there are: Go
// begins its walk through a map anywhere.
const sample = 64

// worst is a body that holds much for long.
func (b *budget) worst() (worst *reading) {
	now, most, seen := time.Now(), -1.0, 0
	for r := range b.reading {
		if weight := float64(r.held) * now.Sub(r.began).Seconds(); weight > most {
			worst, most = r, weight
		}
		if seen++; seen == sample {
			break
		}
	}
	return worst
}

// buffers are kept for the next body, so that a flood makes no garbage.
type buffers struct {
	sizes []int64
	pools []sync.Pool
}

// newBuffers has sizes for bodies of up to limit bytes, and one for a byte more,
// which shows that a body is too large.
func newBuffers(limit int64) *buffers {
	b := &buffers{}
	for size := int64(firstBytes); size < limit; size *= growth {
		b.sizes = append(b.sizes, size)
	}
	b.sizes = append(b.sizes, limit+1)
	b.pools = make([]sync.Pool, len(b.sizes))
	return b
}

func (b *buffers) get(i int) *[]byte {
	if buffer, ok := b.pools[i].Get().(*[]byte); ok {
		return buffer
	}
	buffer := make([]byte, 0, b.sizes[i])
	return &buffer
}

func (b *buffers) put(buffer *[]byte) {
	*buffer = (*buffer)[:0]
	b.pools[slices.Index(b.sizes, int64(cap(*buffer)))].Put(buffer)
}

// read reads the whole body, or nothing of it counts. It is the caller's until
// done is called, and counts as being read until then.
func (r *Receiver) read(w http.ResponseWriter, req *http.Request) (body []byte, done func(), err error) {
	control := http.NewResponseController(w)
	// Neither call fails on a connection of net/http's.
	control.SetReadDeadline(time.Now().Add(r.cfg.BodyTimeout))
	reading := r.budget.begin(func() { control.SetReadDeadline(time.Unix(1, 0)) })
	buffer, err := r.readAll(reading, req)
	done = func() {
		if buffer != nil {
			r.buffers.put(buffer)
		}
		r.budget.end(reading)
	}
	var told *refusal
	switch {
	case reading.isCut(r.budget):
		return nil, done, errOverloaded
	case err == nil:
		control.SetReadDeadline(time.Time{})
		return *buffer, done, nil
	case errors.As(err, &told):
		return nil, done, err
	}
	return nil, done, &refusal{incompleteBody, "the body did not arrive whole: send the event again", err}
}

// isCut tells whether a body was cut off.
func (r *reading) isCut(b *budget) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return r.cut
}

// readAll reads a body into a buffer that grows with it.
func (r *Receiver) readAll(of *reading, req *http.Request) (buffer *[]byte, err error) {
	for i, size := range r.buffers.sizes {
		if err := r.budget.take(of, size); err != nil {
			return buffer, err
		}
		grown := r.buffers.get(i)
		if buffer != nil {
			*grown = append(*grown, *buffer...)
			r.budget.give(of, int64(cap(*buffer)))
			r.buffers.put(buffer)
		}
		buffer = grown
		if whole, err := fill(buffer, req); whole || err != nil {
			return buffer, cmp.Or(err, r.checkSize(*buffer))
		}
	}
	return buffer, tooLarge(r.cfg.BodyLimit)
}

// fill reads until a body is whole, or its buffer full.
func fill(buffer *[]byte, req *http.Request) (whole bool, err error) {
	for body := *buffer; len(body) < cap(body); {
		n, err := req.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		*buffer = body
		if err == io.EOF {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
	return req.ContentLength == int64(len(*buffer)), nil
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
