package facts

import (
	"encoding/json"
	"strings"
	"time"
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
type metadata map[string]string

func (m *metadata) UnmarshalJSON(b []byte) error {
	var raw map[string]any
	if json.Unmarshal(b, &raw) != nil {
		return nil
	}
	*m = make(metadata, len(raw))
	for k, v := range raw {
		if s, ok := v.(string); ok {
			(*m)[k] = s
		}
	}
	return nil
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

// list reads a JSON array of ids written as text.
func (m metadata) list(key string) []string {
	var ids []string
	if json.Unmarshal([]byte(first(m[key], m[snake(key)])), &ids) != nil {
		return nil
	}
	var out []string
	for _, id := range ids {
		if id = ref(id); id != "" {
			out = append(out, id)
		}
	}
	return out
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
