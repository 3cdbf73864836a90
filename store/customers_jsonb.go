package store

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
)

// The lists inside a customer's row are jsonb: arrays of flat objects. Read by
// encoding/json they take more time than all else an export does, so the text
// that Postgres writes of such an array is taken apart here; any other goes to
// encoding/json.

// flatList scans such an array into a slice. set gives an item the value of a
// name, and returns false if that is not of the type that the item has.
type flatList[T any] struct {
	into *[]T
	set  func(item *T, name []byte, v scalar) bool
}

// ScanBytes is called by pgx.
func (l flatList[T]) ScanBytes(text []byte) error {
	if list, ok := l.read(text); ok {
		*l.into = list
		return nil
	}
	*l.into = nil
	return json.Unmarshal(text, l.into)
}

func (l flatList[T]) read(text []byte) (list []T, ok bool) {
	list = make([]T, 0, bytes.Count(text, []byte("{")))
	r := flatReader{text, true}
	r.need("[")
	for r.ok && !r.skip("]") {
		if len(list) > 0 {
			r.need(", ")
		}
		list = append(list, *new(T))
		l.object(&r, &list[len(list)-1])
	}
	return list, r.ok && len(r.text) == 0
}

func (l flatList[T]) object(r *flatReader, item *T) {
	r.need("{")
	for n := 0; r.ok && !r.skip("}"); n++ {
		if n > 0 {
			r.need(", ")
		}
		name := r.scalar()
		r.need(": ")
		value := r.scalar()
		r.ok = r.ok && name.quoted && l.set(item, name.text, value)
	}
}

// flatReader is at some place in a text. It is ok until something else comes
// than was expected.
type flatReader struct {
	text []byte
	ok   bool
}

// skip goes on behind s if that comes next.
func (r *flatReader) skip(s string) bool {
	if len(r.text) < len(s) || string(r.text[:len(s)]) != s {
		return false
	}
	r.text = r.text[len(s):]
	return true
}

func (r *flatReader) need(s string) { r.ok = r.skip(s) && r.ok }

// scalar is the one that comes next; a string with escapes is not expected.
func (r *flatReader) scalar() (v scalar) {
	if r.skip(`"`) {
		end := max(0, bytes.IndexByte(r.text, '"'))
		v = scalar{r.text[:end], true}
		r.text = r.text[end:]
		r.need(`"`)
		r.ok = r.ok && bytes.IndexByte(v.text, '\\') < 0
		return v
	}
	end := 0
	for end < len(r.text) && r.text[end] != ',' && r.text[end] != '}' {
		end++
	}
	v = scalar{r.text[:end], false}
	r.text = r.text[end:]
	r.ok = r.ok && end > 0 && v.text[0] != '[' && v.text[0] != '{'
	return v
}

// scalar is a string without its quotes, or a number, true, false or null.
type scalar struct {
	text   []byte
	quoted bool
}

func (v scalar) null() bool { return !v.quoted && string(v.text) == "null" }

func (v scalar) string(into *string) bool {
	if v.quoted {
		*into = string(v.text)
	}
	return v.quoted || v.null()
}

func (v scalar) int(into *int64) bool {
	n, err := strconv.ParseInt(string(v.text), 10, 64)
	if err == nil {
		*into = n
	}
	return err == nil && !v.quoted || v.null()
}

func (v scalar) float(into *float64) bool {
	n, err := strconv.ParseFloat(string(v.text), 64)
	if err == nil {
		*into = n
	}
	return err == nil && !v.quoted || v.null()
}

func (v scalar) time(into *time.Time) bool {
	at, err := time.Parse(time.RFC3339, string(v.text))
	*into = at
	return err == nil && v.quoted
}

// orNull reads a value that may be null.
func orNull[T any](v scalar, into **T, read func(scalar, *T) bool) bool {
	if v.null() {
		return true
	}
	*into = new(T)
	return read(v, *into)
}

func (m *Money) set(name []byte, v scalar) bool {
	switch string(name) {
	case "amount":
		return v.int(&m.Amount)
	case "currency":
		return v.string(&m.Currency)
	}
	return true
}

func (c *Course) set(name []byte, v scalar) bool {
	switch string(name) {
	case "id":
		return v.string(&c.ID)
	case "progress":
		return v.float(&c.Progress)
	case "enrolled_at":
		return orNull(v, &c.EnrolledAt, scalar.time)
	case "completed_at":
		return orNull(v, &c.CompletedAt, scalar.time)
	}
	return true
}

func (p *Purchase) set(name []byte, v scalar) bool {
	switch string(name) {
	case "product_id":
		return orNull(v, &p.ProductID, scalar.string)
	case "kind":
		return v.string(&p.Kind)
	case "amount":
		return v.int(&p.Amount)
	case "currency":
		return v.string(&p.Currency)
	case "refunded":
		return v.int(&p.Refunded)
	case "purchased_at":
		return orNull(v, &p.PurchasedAt, scalar.time)
	}
	return true
}

// listedSubscription is a Subscription as it is kept.
type listedSubscription struct {
	Subscription
	ProductID *string  `json:"product_id"`
	Products  []string `json:"products"` // if there are several
}

func (s *listedSubscription) set(name []byte, v scalar) bool {
	switch string(name) {
	case "id":
		return v.string(&s.ID)
	case "status":
		return v.string(&s.Status)
	case "product_id":
		return orNull(v, &s.ProductID, scalar.string)
	case "plan":
		return orNull(v, &s.Plan, scalar.string)
	case "amount":
		return orNull(v, &s.Amount, scalar.int)
	case "currency":
		return orNull(v, &s.Currency, scalar.string)
	case "current_period_end":
		return orNull(v, &s.CurrentPeriodEnd, scalar.time)
	}
	return true
}
