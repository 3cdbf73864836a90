package facts

import (
	"encoding/json"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// The tolerant pieces that payloads are decoded with. Versions of an API differ
// in shape; a field of an unexpected shape reads as absent, because one odd
// field must not cost the rest of the object.

// objectID is an id, given bare or as the whole object ("expanded").
type objectID string

func (o *objectID) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) != nil {
		var obj struct{ ID string }
		if json.Unmarshal(b, &obj) != nil {
			return nil // of another shape: names nothing
		}
		s = obj.ID
	}
	*o = objectID(ref(s))
	return nil
}

// text is a string; anything else is empty.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*t = text(s)
	}
	return nil
}

// unix is a time in whole seconds; zero, null and other shapes are no time.
type unix int64

func (u *unix) UnmarshalJSON(b []byte) error {
	var n int64
	if json.Unmarshal(b, &n) == nil {
		*u = unix(n)
	}
	return nil
}

func (u unix) time() *time.Time {
	if u <= 0 || int64(u) > maxUnix {
		return nil
	}
	t := time.Unix(int64(u), 0).UTC()
	return &t
}

// maxUnix is the end of the year 9999, the last a version can be written in.
const maxUnix = 253402300799

// metadata is Stripe's map of free text, written by whoever made the object.
// Numbers and truth values, which Stripe's API makes text of, read as that text.
type metadata map[string]string

func (m *metadata) UnmarshalJSON(b []byte) error {
	var raw map[string]json.RawMessage
	if json.Unmarshal(b, &raw) != nil {
		return nil
	}
	*m = make(metadata, len(raw))
	for k, v := range raw {
		if s, ok := scalar(v); ok {
			(*m)[k] = s
		}
	}
	return nil
}

// scalar is the text of a JSON string, whole number or truth value.
func scalar(b []byte) (string, bool) {
	if string(b) == "true" || string(b) == "false" {
		return string(b), true
	}
	return idText(b)
}

// idText is the text of a JSON string or whole number.
func idText(b []byte) (string, bool) {
	var s string
	if len(b) > 0 && b[0] == '"' {
		err := json.Unmarshal(b, &s)
		return s, err == nil
	}
	return whole(string(b))
}

// whole is the text of a whole number: its digits, however it is written.
// Databases with integer keys, and languages whose numbers are all floats, give
// ids so.
func whole(number string) (string, bool) {
	if number != "" && strings.Trim(strings.TrimPrefix(number, "-"), "0123456789") == "" {
		return number, true // also where no float could hold it
	}
	const exact = 1 << 53
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > exact {
		return "", false
	}
	return strconv.FormatInt(int64(f), 10), true
}

// get reads the first of the keys that is there, in camelCase or snake_case.
func (m metadata) get(keys ...string) string {
	for _, k := range keys {
		if v := first(ref(m[k]), ref(m[snake(k)])); v != "" {
			return v
		}
	}
	return ""
}

// maxMetadata is how many characters of a metadata value Stripe keeps; apps cut
// longer ones themselves, as Stripe refuses them.
// https://docs.stripe.com/metadata
const maxMetadata = 500

// list reads several ids in one value, each once, in their order: a JSON list of
// text or numbers, ids with commas between them, or one id. Where the value was
// cut off, the id at the cut is left out: what is left of it may be another's.
func (m metadata) list(key string) []string { //nolint:unparam // as get
	value := first(m[key], m[snake(key)])
	var entries []json.RawMessage
	if json.Unmarshal([]byte(value), &entries) != nil {
		return brokenList(value)
	}
	var ids []string
	for _, e := range entries {
		var id objectID
		if text, ok := idText(e); ok {
			id = objectID(text)
		} else if json.Unmarshal(e, &id) != nil {
			continue
		}
		ids = addID(ids, string(id))
	}
	return ids
}

// addID adds an id that is one and is not there yet.
func addID(ids []string, id string) []string {
	if id = ref(id); id != "" && !slices.Contains(ids, id) {
		ids = append(ids, id)
	}
	return ids
}

// brokenList reads a list that is no whole JSON.
func brokenList(value string) (ids []string) {
	inner, isJSON := strings.CutPrefix(strings.TrimSpace(value), "[")
	if strings.ContainsAny(inner, "{[") {
		return nil // of objects, or one: which of its texts are ids cannot be told
	}
	cut := utf8.RuneCountInString(value) >= maxMetadata
	if isJSON {
		var ended bool
		inner, ended = strings.CutSuffix(inner, "]")
		cut = !ended
	}
	for part := range listed(inner) {
		if cut && part.last && !part.closed {
			break
		}
		ids = addID(ids, part.text)
	}
	return ids
}

// listPart is an entry of a list.
type listPart struct {
	text         string
	closed, last bool // it ended with its quotation mark; nothing comes after it
}

// listed takes a list apart at its commas, but for those in quotation marks.
func listed(s string) iter.Seq[listPart] {
	return func(yield func(listPart) bool) {
		for more := true; more; {
			var p listPart
			s = strings.TrimSpace(s)
			if p.text, p.closed = leadingText(s); p.closed {
				quoted := p.text
				_, s, more = strings.Cut(s[len(quoted):], ",")
				p.text = unquoted(quoted)
			} else {
				p.text, s, more = strings.Cut(s, ",")
			}
			if p.last = !more; !yield(p) {
				return
			}
		}
	}
}

// leadingText is the text in quotation marks that s begins with, if it ends.
func leadingText(s string) (string, bool) {
	if s == "" || s[0] != '"' && s[0] != '\'' {
		return "", false
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case s[0]:
			return s[:i+1], true
		}
	}
	return "", false
}

func unquoted(s string) string {
	var text string
	if json.Unmarshal([]byte(s), &text) != nil {
		text = s[1 : len(s)-1]
	}
	return text
}

func snake(camel string) string {
	var b strings.Builder
	for _, r := range camel {
		if r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
