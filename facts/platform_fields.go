package facts

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Readers of the fields of platform events. They accept every unambiguous form. A required field
// that cannot be used is an error; an optional one is skipped with a note.

// fields holds the data of an event and the problems found in it.
type fields struct {
	raw   map[string]json.RawMessage
	notes []string
	err   error // the first required field that cannot be used
}

func fieldsOf(data []byte) (*fields, error) {
	f := &fields{}
	if err := json.Unmarshal(data, &f.raw); err != nil {
		return nil, errors.New("data must be an object")
	}
	return f, nil
}

func (f *fields) note(format string, args ...any) {
	f.notes = append(f.notes, fmt.Sprintf(format, args...))
}

func (f *fields) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf(format, args...)
	}
}

// given reports whether a field exists, even as null.
func (f *fields) given(field string) bool { return f.raw[field] != nil }

// empty reports whether a field is missing or has an empty value.
func (f *fields) empty(field string) bool {
	switch strings.Join(strings.Fields(string(f.raw[field])), "") {
	case "", "null", `""`, "[]":
		return true
	}
	return false
}

// withdrawn lists the named fields that exist and are empty.
func (f *fields) withdrawn(names ...string) (out []string) {
	for _, n := range names {
		if f.given(n) && f.empty(n) {
			out = append(out, n)
		}
	}
	return out
}

// got quotes a field's value for an error or note.
func got(raw []byte) string {
	const most = 40
	switch s := strings.TrimSpace(string(raw)); {
	case s == "":
		return "nothing"
	case s[0] == '[':
		return "a list"
	case s[0] == '{':
		return "an object"
	case len(s) > most:
		if text, ok := idText(raw); ok {
			s = text
		}
		runes := []rune(s)
		return strconv.Quote(string(runes[:min(most, len(runes))]) + "…")
	default:
		return s
	}
}

const idShape = "must be 1 to 255 characters"

// required reads a required id.
func (f *fields) required(field string) string {
	text, _ := idText(f.raw[field])
	id := ref(text)
	if id == "" {
		f.fail("%s %s, got %s", field, idShape, got(f.raw[field]))
	}
	return id
}

// id reads an optional id.
func (f *fields) id(field string) string {
	if f.empty(field) {
		return ""
	}
	text, _ := idText(f.raw[field])
	id := ref(text)
	if id == "" {
		f.note("%s %s, got %s", field, idShape, got(f.raw[field]))
	}
	return id
}

// ids reads a list of ids without repetitions; nil if nothing in it can be used. A single id counts
// as a list.
func (f *fields) ids(field string) []string {
	entries, ok := f.list(field)
	if !ok {
		return nil
	}
	ids := []string{}
	for _, e := range entries {
		text, _ := idText(e)
		if ref(text) == "" {
			f.note("each of %s %s, got %s", field, idShape, got(e))
		}
		ids = addID(ids, text)
	}
	if len(ids) == 0 && len(entries) > 0 {
		return nil // all entries were invalid, which is not the same as an empty list
	}
	return ids
}

// list returns the entries of a field; false if it is missing or no list.
func (f *fields) list(field string) (entries []json.RawMessage, ok bool) {
	switch {
	case !f.given(field):
		return nil, false
	case f.empty(field):
		return nil, true
	case json.Unmarshal(f.raw[field], &entries) == nil:
		return entries, true
	}
	if _, ok := idText(f.raw[field]); ok {
		return []json.RawMessage{f.raw[field]}, true
	}
	f.note("%s must be a list of ids, got %s", field, got(f.raw[field]))
	return nil, false
}

// members reads the people with access to a store's list, sorted and without repetitions, so that
// the same members make the same row. An invalid id is an error: skipping it would silently lock a
// person out.
func (f *fields) members(field string) []string {
	if !f.given(field) {
		return nil
	}
	var entries []json.RawMessage
	if !f.empty(field) && json.Unmarshal(f.raw[field], &entries) != nil {
		f.fail("%s must be a list of ids, got %s", field, got(f.raw[field]))
	}
	ids := []string{}
	for _, e := range entries {
		text, _ := idText(e)
		if ref(text) == "" {
			f.fail("each of %s %s, got %s", field, idShape, got(e))
		}
		ids = addID(ids, text)
	}
	slices.Sort(ids)
	return ids
}

// name reads the name of a person or product.
func (f *fields) name(field string) string {
	text, ok := scalar(f.raw[field])
	if !ok && !f.empty(field) {
		f.note("%s must be text, got %s", field, got(f.raw[field]))
	}
	return name(text)
}

// email reads an address. An invalid value is not quoted: it may contain personal data that an
// erasure would not find.
func (f *fields) email(field string) string {
	text, _ := idText(f.raw[field])
	address := Email(text)
	if address == "" && !f.empty(field) {
		f.note("%s is no email address", field)
	}
	return address
}

// numeral returns the text of a JSON number, or of a string.
func numeral(raw []byte) string {
	if len(raw) > 0 && raw[0] == '"' {
		text, _ := idText(raw)
		return strings.TrimSpace(text)
	}
	return string(raw)
}

// decimal reads a finite decimal number.
func decimal(s string) (float64, bool) {
	if s == "" || strings.Trim(s, "+-.0123456789eE") != "" { // no NaN, no Infinity, no 0x1p4
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil && !math.IsInf(n, 0)
}

// percent reads progress. Changed lessons and float sums can exceed 100, which then counts as 100.
func (f *fields) percent(field string) *float64 {
	if f.empty(field) {
		return nil
	}
	p, ok := clampPercent(strings.TrimSuffix(numeral(f.raw[field]), "%"))
	if !ok {
		f.note("%s must be a number from 0 to 100, got %s", field, got(f.raw[field]))
		return nil
	}
	return &p
}

// clampPercent reads a percentage, rounded to six decimals and limited to 0–100.
func clampPercent(s string) (float64, bool) {
	n, ok := decimal(strings.TrimSpace(s))
	const decimals = 1e6
	return math.Round(max(0, min(100, n))*decimals) / decimals, ok
}

// maxAmount is the maximum amount of all sources, in minor units. Floats are exact up to it, and no
// product costs as much: Stripe's amounts have at most twelve digits. Sums are numeric; one beyond
// a bigint (more than 9,223 such amounts) shows the maximum.
const maxAmount = 1_000_000_000_000_000

// dust is how far float errors may move an amount from a whole number. Larger fractions are no
// errors: 1999.99 are dollars, not cents.
const dust = 0.0005

// amount reads a required amount in minor units.
func amount(raw []byte) (int64, error) {
	n, ok := decimal(numeral(raw))
	switch near := math.Round(n); {
	case !ok || math.Abs(n-near) >= dust:
		return 0, fmt.Errorf("must be a whole number of minor units (cents), got %s", got(raw))
	case math.Abs(near) > maxAmount:
		return 0, fmt.Errorf("must be at most 10^15 minor units, got %s", got(raw))
	case near < 0:
		return 0, fmt.Errorf("must not be negative, got %s", got(raw))
	default:
		return int64(near), nil
	}
}

// code reads a required currency, in lower case.
func code(raw []byte) (string, error) {
	text, _ := idText(raw)
	text = lowerASCII(strings.TrimSpace(text))
	if !isCurrency(text) {
		return "", fmt.Errorf("must be three letters, as usd, got %s", got(raw))
	}
	return text, nil
}

func isCurrency(s string) bool {
	return len(s) == 3 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") == ""
}

// money reads the required fields amount and currency.
func (f *fields) money() (m Money, err error) {
	if m.Amount, err = amount(f.raw["amount"]); err != nil {
		return m, fmt.Errorf("amount %w", err)
	}
	if m.Currency, err = code(f.raw["currency"]); err != nil {
		return m, fmt.Errorf("currency %w", err)
	}
	return m, nil
}

// Numbers are times: below maxSeconds (the year 5138) seconds since 1970, from there milliseconds
// (in 1973). Numbers below minSeconds (in 1973) are more likely a date like 20260131, a year or a
// count.
const (
	minSeconds = 100_000_000
	maxSeconds = 100_000_000_000
)

func (f *fields) time(field string) *time.Time {
	if f.empty(field) {
		return nil
	}
	t := moment(f.raw[field])
	if t == nil {
		f.note("%s %s is no time: write RFC 3339, a day, or seconds or milliseconds since 1970", field, got(f.raw[field]))
	}
	return t
}

// moment reads RFC 3339, a date (midnight UTC), or seconds or milliseconds since 1970 as number or
// text.
func moment(raw []byte) *time.Time {
	s := numeral(raw)
	if n, ok := decimal(s); ok {
		if n < maxSeconds {
			n *= 1000
		}
		if n < minSeconds*1000 || n > maxUnix*1000 {
			return nil
		}
		t := time.UnixMicro(int64(math.Round(n * 1000))).UTC()
		return &t
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil && !t.IsZero() && t.UTC().Year() >= 1 && t.UTC().Year() <= 9999 {
			return &t
		}
	}
	return nil
}
