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

// Tolerant types to decode payloads. API versions differ in shape. A field of an unexpected shape
// counts as absent, so that one odd field does not lose the rest of the object.

// objectID is an id, either bare or in the whole object ("expanded").
type objectID string

func (o *objectID) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) != nil {
		var obj struct{ ID string }
		if json.Unmarshal(b, &obj) != nil {
			return nil // unexpected shape: no id
		}
		s = obj.ID
	}
	*o = objectID(ref(s))
	return nil
}

// text is a string; other values are empty.
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

// maxUnix is the end of the year 9999, the last that a version can hold.
const maxUnix = 253402300799

// metadata is Stripe's map of free text, written by the object's creator. Numbers and booleans,
// which Stripe's API turns into text, are read as that text.
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

// scalar returns the text of a JSON string, whole number or boolean.
func scalar(b []byte) (string, bool) {
	if string(b) == "true" || string(b) == "false" {
		return string(b), true
	}
	return idText(b)
}

// idText returns the text of a JSON string or whole number.
func idText(b []byte) (string, bool) {
	var s string
	if len(b) > 0 && b[0] == '"' {
		err := json.Unmarshal(b, &s)
		return s, err == nil
	}
	return whole(string(b))
}

// whole returns the digits of a whole number in any notation. Ids from databases with integer keys,
// and from languages with only floats, look so.
func whole(number string) (string, bool) {
	if number != "" && strings.Trim(strings.TrimPrefix(number, "-"), "0123456789") == "" {
		return number, true // even if no float could hold it
	}
	const exact = 1 << 53
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > exact {
		return "", false
	}
	return strconv.FormatInt(int64(f), 10), true
}

// get returns the first of the keys that exists, in camelCase or snake_case.
func (m metadata) get(keys ...string) string {
	for _, k := range keys {
		if v := first(ref(m[k]), ref(m[snake(k)])); v != "" {
			return v
		}
	}
	return ""
}

// maxMetadata is Stripe's limit for a metadata value, in characters. Apps must cut longer values.
// https://docs.stripe.com/metadata
const maxMetadata = 500

// list reads several ids from one value, without repetitions: a JSON list of text or numbers, ids
// separated by commas, or one id. If the value was cut off, it leaves out the last id, whose rest
// could be another id.
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

// addID adds a valid id that is not in the list yet.
func addID(ids []string, id string) []string {
	if id = ref(id); id != "" && !slices.Contains(ids, id) {
		ids = append(ids, id)
	}
	return ids
}

// brokenList reads a list that is incomplete JSON.
func brokenList(value string) (ids []string) {
	inner, isJSON := strings.CutPrefix(strings.TrimSpace(value), "[")
	if strings.ContainsAny(inner, "{[") {
		return nil // objects: which of their texts are ids is unknown
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
	closed, last bool // it ended with its quotation mark; it is the last entry
}

// listed splits a list at its commas, except those in quotation marks.
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

// leadingText returns the quoted text at the start of s, if it is complete.
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
