package pg

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of parameters.
const (
	DefaultLimit = 50
	MaxLimit     = 100

	maxQuery = 200  // characters of a search
	MaxParam = 4000 // bytes of any other parameter; a cursor may hold a long name
)

// Param defines a query parameter of a list. Parsing, the list's conditions, pages
// and the API's description all follow from it.
type Param struct {
	Name    string
	Value   *string    // in its filter; empty if it is not given
	Default string     // the value if it is not given
	Kind    *ParamKind // kind of its values; nil: any text
	Choices []Choice   // allowed values, the empty one for its label; nil: any of the kind
	Of      *Param     // the parameter that this one requires

	// The condition that it adds, and the row that On belongs to if the list has
	// several. $? stands for the value, or for Arg if that is set.
	On, SQL string
	Arg     *string

	Label   string // of its menu; empty: none
	Chip    string // a shorter label, for chips
	Doc     string
	Example any
	Schema  string // name of the schema of Choices in the API's description; empty: inline
}

// Choices makes choices of pairs of a value and its label.
func Choices(valuesAndLabels ...string) (all []Choice) {
	for pair := range slices.Chunk(valuesAndLabels, 2) {
		all = append(all, Choice{pair[0], pair[1]})
	}
	return all
}

// Choice is an allowed value and its label.
type Choice struct{ Value, Label string }

// ParamKind is a kind of values.
type ParamKind struct {
	Schema   string // JSON Schema
	Doc      string // appended to a parameter's Doc
	Check    func(name, value string) error
	BuildSQL func(value string) (arg, sql string, ok bool) // an argument, and SQL that converts it; nil: the value itself
}

// Kinds of values of all lists.
var (
	Text   = &ParamKind{Schema: `{"type": "string"}`}
	Search = &ParamKind{Schema: fmt.Sprintf(`{"type": "string", "maxLength": %d}`, maxQuery), Check: checkSearch}
	Moment = &ParamKind{
		Schema:   Text.Schema,
		Doc:      " A day (its beginning, UTC), a time, or an age: `2026-01-31`, `2026-01-31T10:00:00Z`, `12h`, `30d`, `6w`.",
		Check:    checkMoment,
		BuildSQL: ParseMoment,
	}
)

// BadParam is a query parameter that is not valid. Its text is for the client: it
// says what is allowed.
type BadParam struct {
	Name   string
	Reason string
}

func (e *BadParam) Error() string { return e.Name + ": " + e.Reason }

func Refuse(name, format string, args ...any) error {
	return &BadParam{name, fmt.Sprintf(format, args...)}
}

// CursorParam is the parameter for the end of the previous page.
func CursorParam(cursor *string) Param { return Param{Name: "cursor", Value: cursor} }

// ReadParams reads q into params and limit. An unknown parameter is an error: a
// misspelt filter would otherwise show all rows.
func ReadParams(q url.Values, params []Param, limit *int) error {
	allowed := []string{}
	for _, p := range params {
		allowed = append(allowed, p.Name)
	}
	slices.Sort(allowed)
	for _, name := range slices.Sorted(maps.Keys(q)) {
		i := slices.IndexFunc(params, func(p Param) bool { return p.Name == name })
		if i < 0 && name != "limit" {
			return Refuse(name, "is not a parameter of this list; allowed are limit, %s", strings.Join(allowed, ", "))
		}
		value, err := single(name, q[name])
		if err != nil {
			return err
		}
		if i >= 0 {
			*params[i].Value = value
		} else if *limit, err = parseLimit(value); err != nil {
			return err
		}
	}
	return nil
}

// CheckParams sets the defaults and checks the values.
func CheckParams(params []Param) error {
	for _, p := range params {
		*p.Value = cmp.Or(*p.Value, p.Default)
		if *p.Value == "" {
			continue
		}
		if err := p.check(*p.Value); err != nil {
			return err
		}
	}
	return nil
}

func (p Param) check(value string) error {
	switch {
	case !Storable(value):
		return Refuse(p.Name, "holds characters that are none")
	case p.Of != nil && *p.Of.Value == "":
		return Refuse(p.Name, "is about a %[1]s: name it with %[1]s=ID", p.Of.Name)
	case p.Choices != nil:
		return OneOf(p.Name, value, p.Values()...)
	case p.Kind != nil && p.Kind.Check != nil:
		return p.Kind.Check(p.Name, value)
	}
	return nil
}

// Values are the allowed values; none: any of the kind.
func (p Param) Values() (values []string) {
	for _, c := range p.Choices {
		if c.Value != "" {
			values = append(values, c.Value)
		}
	}
	return values
}

// ParamValues is the query for params and limit, without those at their defaults.
func ParamValues(params []Param, limit int) url.Values {
	q := url.Values{}
	for _, p := range params {
		if *p.Value != "" && *p.Value != p.Default {
			q.Set(p.Name, *p.Value)
		}
	}
	if limit != 0 && limit != DefaultLimit {
		q.Set("limit", strconv.Itoa(limit))
	}
	return q
}

// Given tells whether any of params has a value.
func Given(params []Param) bool {
	return slices.ContainsFunc(params, func(p Param) bool { return *p.Value != "" })
}

// single is a parameter's only value, trimmed.
func single(name string, values []string) (string, error) {
	if len(values) != 1 {
		return "", Refuse(name, "is given %d times, once is allowed", len(values))
	}
	value := strings.TrimSpace(values[0])
	if len(value) > MaxParam {
		return "", Refuse(name, "is %d bytes long, at most %d are allowed", len(value), MaxParam)
	}
	if !Storable(value) {
		return "", Refuse(name, "holds characters that are none; send UTF-8 without NUL")
	}
	return value, nil
}

func parseLimit(value string) (int, error) {
	if value == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > MaxLimit {
		return 0, Refuse("limit", "%q is not allowed; give a number from 1 to %d", value, MaxLimit)
	}
	return n, nil
}

func OneOf(name, value string, allowed ...string) error {
	if value == "" || slices.Contains(allowed, value) {
		return nil
	}
	return Refuse(name, "%q is not known; allowed are %s", value, strings.Join(allowed, ", "))
}

func checkSearch(name, value string) error {
	if n := utf8.RuneCountInString(value); n > maxQuery {
		return Refuse(name, "is %d characters long, at most %d are allowed", n, maxQuery)
	}
	return nil
}

// Storable tells whether Postgres can store s as text. If not, s cannot be the name
// of a stored row either.
func Storable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

func UTC(t *time.Time) *time.Time {
	if t != nil {
		*t = t.UTC()
	}
	return t
}
