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

// firstBytes is the memory that a body gets before any of it has arrived. Most events fit. The
// buffer grows by growth as more arrives, so announcing a large body allocates nothing.
const (
	firstBytes = 4 << 10
	growth     = 4
	largeBody  = 64 << 10 // larger bodies are verified one at a time
)

// errOverloaded ends the reading of a body for lack of memory.
var errOverloaded = &refusal{Code: overloaded,
	Message: "this server is reading as many bodies as it has memory for: " +
		"send the event again after the seconds in Retry-After"}

// budget bounds the memory of all bodies that are being read. Anyone can send a body, as only a
// complete one can be verified. When the budget is used up, it cuts off the bodies that hold the
// most memory for the longest. Signed events are small and arrive at once, so they are not among
// them. A body that is cut off frees its memory a moment later. Until then up to twice the budget
// is in use; beyond that all bodies are refused. No body waits.
type budget struct {
	limit int64

	mu      sync.Mutex
	used    int64
	leaving int64             // held by bodies that were cut off; part of used
	reading map[*reading]bool // bodies that were not cut off
}

// reading is one body on its way in.
type reading struct {
	began time.Time
	held  int64
	cut   bool
	stop  func() // makes the current read fail
}

func newBudget(limit int64) *budget {
	return &budget{limit: limit, reading: map[*reading]bool{}}
}

func (b *budget) bytes() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// begin registers a body; end removes it.
func (b *budget) begin(stop func()) *reading {
	r := &reading{began: time.Now(), stop: stop}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading[r] = true
	return r
}

// end frees the memory of a body.
func (b *budget) end(r *reading) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= r.held
	if r.cut {
		b.leaving -= r.held
	}
	delete(b.reading, r)
}

// take gives n more bytes to a body, and cuts off others to stay within the budget.
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

// give returns n bytes of a body to the budget.
func (b *budget) give(r *reading, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.held -= n
	b.used -= n
	if r.cut {
		b.leaving -= n
	}
}

// sample is how many bodies worst compares. Go iterates over maps in random order.
const sample = 64

// worst returns a body that has held much memory for long.
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

// buffers are reused for later bodies, so that a flood makes no garbage.
type buffers struct {
	sizes []int64
	pools []sync.Pool
}

// newBuffers has sizes for bodies of up to limit bytes, plus one byte that shows that a body is too
// large.
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

// read reads a whole body. The body belongs to the caller until done is called, and uses the budget
// until then.
func (r *Receiver) read(w http.ResponseWriter, req *http.Request) (body []byte, done func(), err error) {
	control := http.NewResponseController(w)
	// Neither call fails on a net/http connection.
	control.SetReadDeadline(time.Now().Add(r.cfg.BodyTimeout))
	reading := r.budget.begin(func() { control.SetReadDeadline(time.Unix(1, 0)) })
	buffer, err := r.readAll(reading, req)
	done = func() {
		if buffer != nil {
			r.buffers.put(buffer)
		}
		r.budget.end(reading)
	}
	var known *refusal
	switch {
	case reading.isCut(r.budget):
		return nil, done, errOverloaded
	case err == nil:
		control.SetReadDeadline(time.Time{})
		return *buffer, done, nil
	case errors.As(err, &known):
		return nil, done, err
	}
	return nil, done, &refusal{incompleteBody, "the body did not arrive whole: send the event again", err}
}

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

// fill reads until the body is complete or its buffer is full.
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
