package webhooks

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"rollcall/store"
)

// decode reads the envelope's fields from body. The body must fit the inbox's json column: one
// object, in UTF-8, without raw control bytes. Escaped ones, including \u0000 and lone surrogates,
// are fine, as json stores the text unchanged. The rest of the body is only checked to be JSON.
func decode(body []byte, envelope any) error {
	if !utf8.Valid(body) {
		return refuse(invalidEncoding, "the body is not UTF-8: send the JSON in UTF-8, uncompressed")
	}
	err := json.Unmarshal(body, envelope)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong) && wrong.Field != "":
		return refuse(invalidField, "the field %q of the body is a JSON %s, which it must not be", wrong.Field, wrong.Value)
	case err != nil && wrong == nil:
		return refuse(invalidJSON, "the body is not JSON: %s", err)
	case bytes.TrimLeft(body, " \t\r\n")[0] != '{':
		return refuse(invalidJSON, "the body is JSON but not an object: send one event per request as {…}")
	}
	return nil
}

// checkNames checks that the event's id and type can be stored. where names the place that the id
// was read from.
func checkNames(id, where, typ string) error {
	switch {
	case id == "":
		return refuse(missingID, "the event has no id: put it in %s", where)
	case typ == "":
		return refuse(missingType, `the event has no type: put it in the body's "type"`)
	case !store.FitsName(id):
		return refuse(invalidField, "the event's id in %s is longer than %d bytes or no plain text", where,
			store.MaxName)
	case !store.FitsName(typ):
		return refuse(invalidField, `the body's "type" is longer than %d bytes or no plain text`, store.MaxName)
	}
	return nil
}

// milliseconds separates seconds from milliseconds since 1970: larger numbers are milliseconds
// (10^12 s is the year 33658, 10^12 ms 2001).
const milliseconds = 1e12

// maxSeconds is the end of the year 9999, the last one in RFC 3339.
const maxSeconds = 253402300799

// readTime reads a time field of the body: an RFC 3339 string, or seconds or milliseconds since
// 1970.
func readTime(raw json.RawMessage, field string) (time.Time, error) {
	if absent(raw) {
		return time.Time{}, refuse(missingTimestamp,
			`the body has no %q: say when it happened, as in "2026-01-12T10:00:00Z"`, field)
	}
	t, err := parseTime(raw)
	if err != nil || t.Unix() <= 0 || t.Unix() > maxSeconds {
		return time.Time{}, refuse(invalidField,
			`the body's %q is no time: write RFC 3339, as in "2026-01-12T10:00:00Z", or seconds or milliseconds since 1970`,
			field)
	}
	return t.UTC(), nil
}

// parseTime uses float64, which is exact to the microsecond until 2255.
func parseTime(raw json.RawMessage) (time.Time, error) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return time.Parse(time.RFC3339, text)
	}
	n, err := strconv.ParseFloat(string(raw), 64)
	if n >= milliseconds {
		n /= 1000
	}
	return time.UnixMicro(int64(math.Round(min(max(n, 0), 1e12) * 1e6))), err
}

// absent reports whether a field is missing or null.
func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }
