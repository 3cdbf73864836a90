package facts

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	iso "golang.org/x/text/currency"
)

// The pieces that Convex documents are decoded with. Numbers come in two
// formats: since March 2026 whole ones as 1 and others as 1.0, before that whole
// ones as strings. A field of an unexpected shape reads as absent.

// plain returns the text of a JSON string that has no escapes: nearly all.
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

// words is a string; anything else is empty.
type words string

func (w *words) UnmarshalJSON(b []byte) error {
	s, ok := plain(b)
	if !ok && json.Unmarshal(b, &s) != nil {
		s = ""
	}
	*w = words(s)
	return nil
}

// currency reads a currency. Where none is written it is the old app's only one, the
// US dollar; what another text was meant to be nobody knows.
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

// minorIn reads an amount of minor units and its currency.
func (n number) minorIn(field string, w words) (Money, error) {
	amount, err := n.minor()
	if err != nil {
		return Money{}, malformed("%s %v", field, err)
	}
	currency, err := w.currency()
	return Money{amount, currency}, err
}

// convexID is a string that names something.
type convexID string

func (o *convexID) UnmarshalJSON(b []byte) error {
	var w words
	err := w.UnmarshalJSON(b)
	*o = convexID(ref(string(w)))
	return err
}

// idList is a list of ids; what is none in it is left out.
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

// flag is true only where true is written.
type flag bool

func (f *flag) UnmarshalJSON(b []byte) error {
	*f = string(b) == "true"
	return nil
}

// number is a number as it is written; empty where there is none. What is not
// a number stays as it is, for the error that says so.
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

// quoted is the number for an error's text.
func (n number) quoted() string {
	if n == "" {
		return "(missing)"
	}
	const most = 40
	return strconv.Quote(string(n[:min(len(n), most)]))
}

// float reads a finite number; older exports write NaN as a string.
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

// minor reads an amount of minor units, which is not negative. What arithmetic in
// floats left below them is rounded.
func (n number) minor() (int64, error) {
	amount, exact, err := n.shifted(0)
	if f, ok := decimal(string(n)); err == nil && !exact && (!ok || math.Abs(f-float64(amount)) >= dust) {
		err = errors.New(n.quoted() + " has a fraction of a minor unit")
	}
	return within(amount, n, err)
}

// within refuses amounts that no sale has.
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

// major reads a price in major units. What is below the currency's last decimal
// was left there by arithmetic in floats, and is rounded.
func (n number) major(code string) (int64, error) {
	digits := 2
	if unit, err := iso.ParseISO(code); err == nil {
		digits, _ = iso.Standard.Rounding(unit)
	}
	amount, _, err := n.shifted(digits)
	return within(amount, n, err)
}

// shifted is the number times ten to the power of places, to the nearest whole
// one, and whether that is exact. It works on the digits, as floats cannot hold
// most amounts.
func (n number) shifted(places int) (whole int64, exact bool, err error) {
	if n, err := strconv.ParseInt(strings.TrimSuffix(string(n), ".0"), 10, 64); err == nil && places == 0 {
		return n, true, nil // nearly all
	}
	fail := func() (int64, bool, error) { return 0, false, errors.New(n.quoted() + " is not a number") }
	mantissa, exponent, scientific := strings.Cut(strings.ToLower(string(n)), "e")
	if scientific {
		e, err := strconv.Atoi(exponent)
		if err != nil || e < -400 || e > 400 {
			return fail()
		}
		places += e
	}
	mantissa, negative := strings.CutPrefix(mantissa, "-")
	integer, fraction, _ := strings.Cut(mantissa, ".")
	digits := integer + fraction
	if digits == "" || len(digits) > 400 || strings.Trim(digits, "0123456789") != "" {
		return fail()
	}
	if places += len(integer); places < 0 { // now where the point is
		digits, places = strings.Repeat("0", -places)+digits, 0
	}
	if missing := places - len(digits); missing > 0 {
		digits += strings.Repeat("0", missing)
	}
	whole, err = strconv.ParseInt("0"+digits[:places], 10, 64)
	if err != nil || whole == 1<<63-1 {
		return 0, false, errors.New(n.quoted() + " is out of range")
	}
	rest := digits[places:]
	if rest != "" && rest[0] >= '5' {
		whole++
	}
	if negative {
		whole = -whole
	}
	return whole, strings.Trim(rest, "0") == "", nil
}
