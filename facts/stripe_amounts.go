package facts

import (
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// Amounts in Stripe objects. An amount that cannot be used is skipped with a note; the person still
// stays on the list.

// minor is an amount in minor units: a whole number, except for float dust, of at most maxAmount.
// For any other value it is empty, and odd holds the value. Stripe's amounts have at most twelve
// digits. https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts
type minor struct {
	value int64
	odd   string
}

func (m *minor) UnmarshalJSON(b []byte) error {
	var n float64
	switch err := json.Unmarshal(b, &n); {
	case string(b) == "null":
	case err == nil && math.Abs(n) <= maxAmount && math.Abs(n-math.Round(n)) < 0.01:
		m.value = int64(math.Round(n))
	default:
		m.odd = got(b)
	}
	return nil
}

func (m minor) ptr() *int64 { return &m.value }

// orNil returns the amount, or nil.
func (m *minor) orNil() *int64 {
	if m == nil || m.odd != "" {
		return nil
	}
	return &m.value
}

const noAmount = "is no amount: the most is 10^15 minor units"

// readNoting reads an object and notes its skipped amounts.
func readNoting[T any](read func(origin, T) (Set, error), o origin, object T) (Set, error) {
	set, err := read(o, object)
	set.Notes = append(oddAmounts(reflect.ValueOf(object), ""), set.Notes...)
	return set, err
}

var minorType = reflect.TypeFor[minor]()

// oddAmounts describes the amounts of a value that cannot be used, by their paths.
func oddAmounts(v reflect.Value, place string) (notes []string) {
	switch kind := v.Kind(); {
	case v.Type() == minorType:
		if odd := v.FieldByName("odd").String(); odd != "" {
			notes = append(notes, place+oddAmount(odd))
		}
	case kind == reflect.Pointer && !v.IsNil():
		return oddAmounts(v.Elem(), place)
	case kind == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		for i := range v.Len() {
			notes = append(notes, oddAmounts(v.Index(i), inside(place, strconv.Itoa(i)))...)
		}
	case kind == reflect.Struct:
		for i := range v.NumField() {
			notes = append(notes, oddAmounts(v.Field(i), placeOf(v.Type().Field(i), place))...)
		}
	}
	return notes
}

// oddAmount says what is wrong with an amount.
func oddAmount(odd string) string {
	n, err := strconv.ParseFloat(odd, 64)
	switch {
	case strings.HasPrefix(odd, `"`):
		return " is text (" + odd + "); Stripe sends a whole number of minor units"
	case err == nil && math.Abs(n) <= maxAmount:
		return " is " + odd + "; Stripe sends a whole number of minor units"
	}
	return ": " + odd + " " + noAmount
}

// placeOf returns the path of a field in JSON.
func placeOf(f reflect.StructField, place string) string {
	if f.Anonymous {
		return place
	}
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "" {
		name = strings.ToLower(f.Name)
	}
	return inside(place, name)
}

func inside(place, name string) string {
	if place == "" {
		return name
	}
	return place + "." + name
}

// times multiplies an amount; false if the result exceeds the maximum.
func times(amount, quantity int64) (int64, bool) {
	product := amount * quantity
	return product, math.Abs(float64(amount)*float64(quantity)) <= maxAmount
}
