package store

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of what may be asked for.
const (
	DefaultLimit = 50
	MaxLimit     = 100

	maxQuery = 200  // characters of a search
	maxParam = 4000 // bytes of any other parameter; a cursor may carry a long name
)

// BadParam is a query parameter that cannot be used as it is. Its text is meant
// for whoever asked: it says what is allowed.
type BadParam struct {
	Name   string
	Reason string
}

func (e *BadParam) Error() string { return e.Name + ": " + e.Reason }

func badParam(name, format string, args ...any) error {
	return &BadParam{name, fmt.Sprintf(format, args...)}
}

// readParams reads q into the fields by name, and limit. What nobody knows is
// an error: a misspelt filter would otherwise show everybody.
func readParams(q url.Values, fields map[string]*string, limit *int) error {
	for _, name := range slices.Sorted(maps.Keys(q)) {
		field := fields[name]
		if field == nil && name != "limit" {
			return badParam(name, "is not a parameter of this list; allowed are limit, %s", strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
		}
		value, err := single(name, q[name])
		if err != nil {
			return err
		}
		if field != nil {
			*field = value
		} else if *limit, err = parseLimit(value); err != nil {
			return err
		}
	}
	return nil
}

// single is the one value of a parameter, without the space around it.
func single(name string, values []string) (string, error) {
	if len(values) != 1 {
		return "", badParam(name, "is given %d times, once is allowed", len(values))
	}
	value := strings.TrimSpace(values[0])
	if len(value) > maxParam {
		return "", badParam(name, "is %d bytes long, at most %d are allowed", len(value), maxParam)
	}
	if !storable(value) {
		return "", badParam(name, "holds characters that are none; send UTF-8 without NUL")
	}
	return value, nil
}

func parseLimit(value string) (int, error) {
	if value == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > MaxLimit {
		return 0, badParam("limit", "%q is not allowed; give a number from 1 to %d", value, MaxLimit)
	}
	return n, nil
}

func oneOf(name, value string, allowed ...string) error {
	if value == "" || slices.Contains(allowed, value) {
		return nil
	}
	return badParam(name, "%q is not known; allowed are %s", value, strings.Join(allowed, ", "))
}

// storable tells whether Postgres takes s as text. What it does not take is the
// name of nothing that is stored.
func storable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

func utc(t *time.Time) *time.Time {
	if t != nil {
		*t = t.UTC()
	}
	return t
}
