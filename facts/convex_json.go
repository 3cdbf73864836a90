package facts

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Types to decode fields of Convex documents. Numbers have two formats: since March 2026 whole
// numbers are 1 and others 1.0; before that whole numbers were strings. A field of an unexpected
// shape counts as absent.

// plain returns the text of a JSON string without escapes, which is the common case.
func plain(b []byte) (string, bool) {
	if len(b) < 2 || b[0] != '"' || !utf8.Valid(b) {
		return "", false
	}
	for _, c := range b[1 : len(b)-1] {
		if c == '\\' {
			return "", false
		}
	}
	return string(b[1 : len(b)-1]), true
}

// words is a string; other values are empty.
type words string

func (w *words) UnmarshalJSON(b []byte) error {
	s, ok := plain(b)
	if !ok && json.Unmarshal(b, &s) != nil {
		s = ""
	}
	*w = words(s)
	return nil
}

// currency reads a currency. If it is missing, it is the former app's only one, the US dollar. Any
// other text is an error, as its meaning is unknown.
func (w words) currency() (string, error) {
	c := lowerASCII(strings.TrimSpace(string(w)))
	if c == "" {
		return "usd", nil
	}
	if !isCurrency(c) {
		return "", errors.New("currency must be three letters, as usd, got " + number(w).quoted())
	}
	return c, nil
}

// minorIn reads an amount in minor units and its currency.
func (n number) minorIn(field string, w words) (Money, error) {
	amount, err := n.minor()
	if err != nil {
		return Money{}, malformed("%s %v", field, err)
	}
	currency, err := w.currency()
	return Money{amount, currency}, err
}

// convexID is an id.
type convexID string

func (o *convexID) UnmarshalJSON(b []byte) error {
	var w words
	err := w.UnmarshalJSON(b)
	*o = convexID(ref(string(w)))
	return err
}

// idList is a list of ids; other entries are left out.
type idList []string

func (l *idList) UnmarshalJSON(b []byte) error {
	var ids []convexID
	if json.Unmarshal(b, &ids) != nil {
		return nil
	}
	for _, id := range ids {
		if id != "" {
			*l = append(*l, string(id))
		}
	}
	return nil
}

// flag is true only for the value true.
type flag bool

func (f *flag) UnmarshalJSON(b []byte) error {
	*f = string(b) == "true"
	return nil
}

// number is a number as written; empty if absent. Invalid values are kept for the error message.
type number string

func (n *number) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	s, ok := plain(b)
	if !ok {
		s = string(b)
	}
	*n = number(s)
	return nil
}

// quoted returns the number for an error message.
func (n number) quoted() string {
	if n == "" {
		return "(missing)"
	}
	const most = 40
	return strconv.Quote(string(n[:min(len(n), most)]))
}

// float reads a finite number. Older exports write NaN as a string.
func (n number) float() (float64, error) {
	f, err := strconv.ParseFloat(string(n), 64)
	if err == nil && (math.IsNaN(f) || math.IsInf(f, 0)) {
		err = errors.New(n.quoted() + " is not finite")
	}
	return f, err
}

// time reads milliseconds.
func (n number) time() *time.Time {
	ms, err := n.float()
	if err != nil {
		return nil
	}
	return millis(ms).time()
}

// minor reads a nonnegative amount in minor units. It rounds away errors of float arithmetic.
func (n number) minor() (int64, error) {
	amount, exact, err := n.shifted(0)
	if f, ok := decimal(string(n)); err == nil && !exact && (!ok || math.Abs(f-float64(amount)) >= dust) {
		err = errors.New(n.quoted() + " has a fraction of a minor unit")
	}
	return within(amount, n, err)
}

// within rejects amounts above the maximum.
func within(amount int64, n number, err error) (int64, error) {
	switch {
	case err != nil:
		return 0, err
	case amount < 0:
		return 0, errors.New(n.quoted() + " must not be negative")
	case amount > maxAmount:
		return 0, errors.New(n.quoted() + " is more than 10^15 minor units")
	}
	return amount, nil
}

// major reads a price in major units. Digits below the currency's last decimal are float errors and
// are rounded.
func (n number) major(currency string) (int64, error) {
	amount, _, err := n.shifted(Digits(currency))
	return within(amount, n, err)
}

// decimalForm matches decimal numbers. Exponents are bounded because the digits are written out.
var decimalForm = regexp.MustCompile(`^-?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?$`)

// shifted returns n times ten to the power of places, rounded to a whole number (halves away from
// zero), and whether it was whole. Floats cannot hold most amounts.
func (n number) shifted(places int) (whole int64, exact bool, err error) {
	if n, err := strconv.ParseInt(strings.TrimSuffix(string(n), ".0"), 10, 64); err == nil && places == 0 {
		return n, true, nil // the common case
	}
	r, ok := new(big.Rat), len(n) <= 400 && decimalForm.MatchString(string(n))
	if ok {
		_, ok = r.SetString(string(n))
	}
	if !ok {
		return 0, false, errors.New(n.quoted() + " is not a number")
	}
	r.Mul(r, new(big.Rat).SetFloat64(math.Pow10(places)))
	if whole, err = strconv.ParseInt(r.FloatString(0), 10, 64); err != nil {
		return 0, false, errors.New(n.quoted() + " is out of range")
	}
	return whole, r.IsInt(), nil
}
